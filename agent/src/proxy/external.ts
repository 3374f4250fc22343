import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { isLoopback } from '../address.ts'
import { ignore } from './endpoint.ts'
import type { Address, ExternalTrust } from './upstream.ts'

/**
 * Makes a connection to a service without an agent trustworthy in the way the registry declares: by CA and DNS name,
 * by pinned key, or not at all on loopback. No certificate of ours is shown.
 *
 * @throws {Error} for every reason not to trust it; `message` is for the log.
 */
export async function connectExternal(
  raw: Socket,
  trust: ExternalTrust,
  address: Address,
  wait: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<Duplex> {
  switch (trust.tls) {
    case 'plain':
      if (!isLoopback(address.host)) throw new Error('plain text is allowed on loopback only')
      return raw
    case 'ca':
      return await secured(raw, { ca: trust.caPem, servername: trust.dnsName, rejectUnauthorized: true }, wait)
    case 'pin': {
      const named = trust.dnsName === undefined ? {} : { servername: trust.dnsName }
      const socket = await secured(raw, { ...named, rejectUnauthorized: false }, wait)
      if (isPinned(socket, trust.spkiSha256)) return socket
      socket.destroy()
      throw new Error('the key is not one of those pinned')
    }
  }
}

function isPinned(socket: TLSSocket, pins: readonly string[]): boolean {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' })
  return spki !== undefined && pins.includes(createHash('sha256').update(spki).digest('hex'))
}

function secured(
  raw: Socket,
  options: ConnectionOptions,
  wait: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<TLSSocket> {
  // An external service may know TLS 1.2 only; a session is never passed, so none is resumed.
  const socket = connectTls({ ...options, socket: raw, minVersion: 'TLSv1.2' })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error('handshake deadline passed')), wait.deadlineMs)
    const fail = (error: Error) => {
      settle()
      socket.on('error', ignore)
      socket.destroy()
      reject(error)
    }
    const onClose = () => fail(new Error('closed during the handshake'))
    const onAbort = () => fail(new Error('given up'))
    const settle = () => {
      clearTimeout(timer)
      wait.signal.removeEventListener('abort', onAbort)
      socket.off('error', fail).off('close', onClose)
    }
    wait.signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', fail).once('close', onClose)
    socket.once('secureConnect', () => {
      if (socket.isSessionReused()) return fail(new Error('the session was resumed'))
      settle()
      socket.on('error', ignore)
      resolve(socket)
    })
  })
}
