import { connect } from 'node:tls'
import { decodeCertificate } from '@vcc/x509'
import type { SocketAddress } from '../address.ts'
import { ignore } from './endpoint.ts'
import type { Snapshot } from './snapshot.ts'
import { ALPN_SELF_CHECK, answerReader } from './wire.ts'

/** What the own listener really serves. */
export interface SelfCheck {
  readonly protocol: string
  readonly cipher: string
  /** The key exchange group. */
  readonly group: string
  readonly serialHex: string
}

/** The own listener does not serve what it should; `message` says why. */
class SelfCheckError extends Error {
  override readonly name = 'SelfCheckError'
  readonly code = 'self_check_failed'
}

/**
 * Shakes hands with the own listener, as a peer would: with the own certificate, and checking the served one.
 *
 * @throws {SelfCheckError} also when another certificate is served than the snapshot's.
 */
export function checkSelf(listener: SocketAddress, snapshot: Snapshot, deadlineMs: number): Promise<SelfCheck> {
  if (listener.kind !== 'tcp') return Promise.reject(new SelfCheckError('the listener is not TCP'))
  const { promise, resolve, reject } = Promise.withResolvers<SelfCheck>()
  const socket = connect({
    host: reachable(listener.host),
    port: listener.port,
    secureContext: snapshot.tls.client,
    ALPNProtocols: [ALPN_SELF_CHECK],
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) =>
      snapshot.self.leaf.equals(certificate.raw)
        ? undefined
        : new Error('another certificate is served than the one in force'),
  })
  const timer = setTimeout(() => fail('no answer in time'), deadlineMs)
  const read = answerReader()
  let seen: SelfCheck | undefined
  const finish = () => {
    clearTimeout(timer)
    socket.on('error', ignore)
    socket.destroy()
  }
  const fail = (why: string) => {
    finish()
    reject(new SelfCheckError(why))
  }
  socket.once('error', (error) => fail(error.message))
  socket.once('secureConnect', () => {
    const served = socket.getPeerX509Certificate()
    if (served === undefined) return fail('no certificate is served')
    const group = socket.getEphemeralKeyInfo()
    seen = {
      protocol: socket.getProtocol() ?? '',
      cipher: socket.getCipher().name,
      group: group !== null && 'name' in group ? String(group.name) : '',
      serialHex: decodeCertificate(served.raw).serialHex,
    }
  })
  socket.on('data', (chunk: Buffer) => {
    const progress = read(chunk)
    if (progress.state === 'incomplete') return
    if (seen === undefined || progress.state === 'invalid' || !progress.answer.ok) return fail('the gate refused')
    finish()
    resolve(seen)
  })
  socket.once('end', () => fail('closed without an answer'))
  return promise
}

/** A listener on every address is reached through loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
