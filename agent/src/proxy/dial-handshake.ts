import type { Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { WorkloadId } from '@vcc/policy'
import { decodeCertificate, uriIdentityOf } from '@vcc/x509'
import { refused } from './dial-unit.ts'
import { ignore } from './endpoint.ts'
import type { ProxyMetrics } from './observe.ts'
import { type Refusal, RefusedError } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'
import type { Unit } from './unit.ts'
import { ALPN_MESH, answerReader } from './wire.ts'

/**
 * The TLS handshake with the far agent, under the one context of the generation and without any session. Does **not**
 * judge the peer: whoever gets the socket asks the gate.
 *
 * @throws {RefusedError} `upstream_failed`, `upstream_timeout`.
 */
export function shakeHands(
  raw: Socket,
  target: WorkloadId,
  snapshot: Snapshot,
  unit: Unit,
  wait: { readonly signal: AbortSignal; readonly deadlineMs: number; readonly metrics: ProxyMetrics },
): Promise<TLSSocket> {
  const socket = connectTls({
    socket: raw,
    secureContext: snapshot.tls.client,
    ALPNProtocols: [ALPN_MESH],
    rejectUnauthorized: false,
    checkServerIdentity: (_host, certificate) => identityMismatch(certificate.raw, target),
  })
  socket.on('error', ignore)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('upstream_timeout', 'handshake'), wait.deadlineMs)
    const fail = (code: Refusal['code'], detail: string) => {
      settle()
      wait.metrics.handshake('outbound', code)
      socket.destroy()
      reject(refused({ code, rule: 'upstream', detail }, unit))
    }
    const onError = (error: Error) => fail('upstream_failed', error.message)
    const onClose = () => fail('upstream_failed', 'closed during the handshake')
    const onAbort = () => fail('upstream_failed', 'given up')
    const settle = () => {
      clearTimeout(timer)
      wait.signal.removeEventListener('abort', onAbort)
      socket.off('error', onError).off('close', onClose)
    }
    wait.signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError).once('close', onClose)
    socket.once('secureConnect', () => {
      settle()
      resolve(socket)
    })
    if (wait.signal.aborted) onAbort()
  })
}

/** `undefined` when the certificate names exactly the service that was called (RFC 6125 plays no part here). */
function identityMismatch(der: Uint8Array, target: WorkloadId): Error | undefined {
  try {
    if (uriIdentityOf(decodeCertificate(der)) === target) return undefined
  } catch {
    // The gate finds the reason; here it only matters that the peer is not authorized.
  }
  return Object.assign(new Error('the peer is not the service called'), { code: 'peer_not_expected' })
}

/**
 * The name of a connection in the records of both sides, without a byte on the wire for it: exported keying material
 * (RFC 8446 §7.5), which tells nothing about the keys.
 */
export function connectionId(socket: TLSSocket): string {
  return socket.exportKeyingMaterial(CONNECTION_ID_BYTES, 'EXPORTER-vcc-connection-id', Buffer.alloc(0)).toString('hex')
}

/**
 * Waits for the far agent's answer; what it sends after its `OK` stays in the socket.
 *
 * @throws {RefusedError} the callee's own, `upstream_answer_invalid`, `upstream_timeout`.
 */
export function awaitOk(socket: TLSSocket, unit: Unit, signal: AbortSignal, deadlineMs: number): Promise<void> {
  const read = answerReader()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail({ code: 'upstream_timeout', rule: 'upstream', detail: 'no answer' }),
      deadlineMs,
    )
    const fail = (refusal: Refusal) => {
      settle()
      reject(refused(refusal, unit))
    }
    const invalid = (detail: string) => fail({ code: 'upstream_answer_invalid', rule: 'upstream', detail })
    const onError = (error: Error) => invalid(error.message)
    const onEnd = () => invalid('closed without an answer')
    const onAbort = () => fail({ code: 'upstream_failed', rule: 'upstream', detail: 'given up' })
    const onReadable = () => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      const progress = read(chunk)
      if (progress.state === 'incomplete') return
      if (progress.state === 'invalid') return invalid(progress.why)
      settle()
      if (progress.rest.length > 0) socket.unshift(progress.rest)
      if (progress.answer.ok) return resolve()
      const { code, rule, connection } = progress.answer.record
      reject(new RefusedError({ code, rule }, { side: 'callee', connection }))
    }
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd).off('close', onEnd)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('readable', onReadable).once('error', onError).once('end', onEnd).once('close', onEnd)
    if (signal.aborted) onAbort()
    else if (socket.destroyed) onEnd()
  })
}

const CONNECTION_ID_BYTES = 12
