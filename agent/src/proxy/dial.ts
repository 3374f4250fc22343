import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { DENIALS, decide, decideDial, type Permit, type WorkloadId } from '@vcc/policy'
import { decodeCertificate, uriIdentityOf } from '@vcc/x509'
import type { AddressBook } from './address-book.ts'
import type { ProxyLimits } from './config.ts'
import type { Party, Registry, Unit, Verdict } from './connections.ts'
import { ConnectTimeout, connectTo, ignore, resetSocket } from './endpoint.ts'
import { connectExternal } from './external.ts'
import { type Evidence, evidenceOf, judgePeer, type PeerIdentity } from './gate.ts'
import type { Names } from './names.ts'
import type { ProxyMetrics } from './observe.ts'
import { type Refusal, RefusedError } from './refusal.ts'
import type { Mode, Snapshot } from './snapshot.ts'
import type { Tls } from './tls.ts'
import type { Address, Upstream } from './upstream.ts'
import { ALPN_MESH, answerReader } from './wire.ts'

/** An admitted connection to a service: the far agent has said `OK`. Whoever gets it must release its unit. */
export interface UpstreamConnection {
  readonly socket: Duplex
  readonly unit: DialUnit
  readonly permit: Permit
  readonly mode: Mode
  /** Absent for external services. */
  readonly tls: Tls | undefined
  /** Seen as a failure by the other side, never as an end of data. */
  readonly reset: () => void
}

/** The unit of an outbound connection; who carries its bytes says how they are counted and how it is cut. */
export interface DialUnit extends Unit {
  carriedBy(carrier: Carrier): void
}

export interface Carrier {
  bytesIn(): number
  bytesOut(): number
  cut: Unit['cut']
}

export interface DialDeps {
  readonly registry: Registry
  readonly current: () => Snapshot | undefined
  readonly names: Names
  readonly addresses: AddressBook
  readonly limits: ProxyLimits
  readonly metrics: ProxyMetrics
  readonly now: () => Date
  readonly newId: () => string
}

/**
 * Opens a connection to a service: decides the edge before dialling, the identity and class of the peer after the
 * handshake, and waits for the far agent's `OK`. Nothing of the caller's is sent before all three.
 *
 * The state's addresses are tried in order, each name's addresses too, until one works; only what another instance
 * could do better is tried elsewhere, a refusal by the matrix never is.
 *
 * @throws {RefusedError} for every reason; its unit is released by then.
 */
export async function dial(
  target: WorkloadId,
  caller: { readonly address: string | undefined; readonly signal: AbortSignal },
  deps: DialDeps,
): Promise<UpstreamConnection> {
  const given = new AbortController()
  const signal = AbortSignal.any([caller.signal, given.signal])
  const unit = createUnit(target, caller.address, given, deps)
  const admission = deps.registry.admit(unit, unit.decideEdge)
  try {
    if (!admission.allowed) throw refused(admission.refusal, unit)
    return await tryAddresses(unit, target, signal, deps)
  } catch (error) {
    const refusal =
      error instanceof RefusedError
        ? error
        : refused({ code: 'upstream_failed', rule: 'upstream', detail: String(error) }, unit)
    const { code, rule, detail } = refusal.refusal
    deps.registry.release(unit, { code, rule, ...(detail === undefined ? {} : { detail }) })
    throw refusal
  }
}

async function tryAddresses(
  unit: DialingUnit,
  target: WorkloadId,
  signal: AbortSignal,
  deps: DialDeps,
): Promise<UpstreamConnection> {
  const upstream = deps.current()?.upstreams.get(target)
  if (upstream === undefined || upstream.addresses.length === 0) {
    throw refused({ code: 'upstream_unknown', rule: 'upstream' }, unit)
  }
  const giveUpAt = deps.now().getTime() + deps.limits.connectMs + deps.limits.handshakeMs + deps.limits.answerMs
  let last: RefusedError | undefined
  for (const address of deps.addresses.order(upstream.addresses).slice(0, MAX_ADDRESSES)) {
    for (const host of await resolve(address, unit, deps)) {
      if (signal.aborted) throw abortReason(signal, unit)
      if (last !== undefined && deps.now().getTime() > giveUpAt) throw last
      try {
        const connection = await attempt(unit, upstream, { ...address, host }, signal, deps)
        deps.addresses.worked(address)
        return connection
      } catch (error) {
        if (signal.aborted) throw abortReason(signal, unit)
        if (!(error instanceof RefusedError) || !isWorthAnother(error)) throw error
        last = error
      }
    }
    deps.addresses.failed(upstream.name, address, last?.refusal.code ?? 'name_unresolved')
  }
  throw last ?? refused({ code: 'upstream_unreachable', rule: 'upstream', detail: 'no name could be resolved' }, unit)
}

async function resolve(address: Address, unit: Unit, deps: DialDeps): Promise<readonly string[]> {
  try {
    return (await deps.names.resolve(address.host)).slice(0, MAX_ADDRESSES)
  } catch {
    unit.target = { ...unit.target, address: `${address.host}:${address.port}` }
    return []
  }
}

async function attempt(
  unit: DialingUnit,
  upstream: Upstream,
  address: Address,
  signal: AbortSignal,
  deps: DialDeps,
): Promise<UpstreamConnection> {
  const snapshot = deps.current()
  if (snapshot === undefined) throw refused({ code: 'not_ready', rule: 'state' }, unit)
  unit.target = { id: upstream.id, address: `${address.host}:${address.port}` }
  const raw = await connectTo(
    { kind: 'tcp', host: address.host, port: address.port },
    deps.limits.connectMs,
    signal,
  ).catch((cause: unknown) => {
    const code = cause instanceof ConnectTimeout ? 'upstream_timeout' : 'upstream_unreachable'
    throw refused({ code, rule: 'upstream', detail: String(cause) }, unit)
  })
  raw.on('error', ignore)
  try {
    if (upstream.kind === 'external') {
      const socket = await connectExternal(raw, upstream.trust, address, {
        deadlineMs: deps.limits.handshakeMs,
        signal,
      }).catch((cause: unknown) => {
        throw refused({ code: 'upstream_not_trusted', rule: 'upstream', detail: String(cause) }, unit)
      })
      const verdict = deps.registry.decideAgain(unit, unit.decideExternal)
      if (!verdict.allowed) throw refused(verdict.refusal, unit)
      const reset = () => resetBoth(socket, raw)
      unit.stands(reset)
      return { socket, unit, permit: verdict.proof, mode: upstream.mode, tls: undefined, reset }
    }
    const socket = await shakeHands(raw, upstream.id, snapshot, unit, signal, deps)
    const permit = admitPeer(socket, snapshot, unit, deps)
    await awaitOk(socket, unit, signal, deps.limits.answerMs)
    const reset = () => resetBoth(socket, raw)
    unit.stands(reset)
    return { socket, unit, permit, mode: upstream.mode, tls: snapshot.tls, reset }
  } catch (error) {
    resetSocket(raw)
    throw error
  }
}

function shakeHands(
  raw: Socket,
  target: WorkloadId,
  snapshot: Snapshot,
  unit: Unit,
  signal: AbortSignal,
  deps: DialDeps,
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
    const timer = setTimeout(() => fail('upstream_timeout', 'handshake'), deps.limits.handshakeMs)
    const fail = (code: Refusal['code'], detail: string) => {
      settle()
      deps.metrics.handshake('outbound', code)
      socket.destroy()
      reject(refused({ code, rule: 'upstream', detail }, unit))
    }
    const onError = (error: Error) => fail('upstream_failed', error.message)
    const onClose = () => fail('upstream_failed', 'closed during the handshake')
    const onAbort = () => fail('upstream_failed', 'given up')
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError).off('close', onClose)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError).once('close', onClose)
    socket.once('secureConnect', () => {
      settle()
      resolve(socket)
    })
    if (signal.aborted) onAbort()
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

function admitPeer(socket: TLSSocket, snapshot: Snapshot, unit: DialingUnit, deps: DialDeps): Permit {
  unit.connection = connectionId(socket)
  unit.shown(evidenceOf(socket), snapshot)
  const verdict = deps.registry.decideAgain(unit, unit.decideCall)
  deps.metrics.handshake('outbound', verdict.allowed ? 'ok' : verdict.refusal.code)
  if (!verdict.allowed) throw refused(verdict.refusal, unit)
  if (socket.alpnProtocol !== ALPN_MESH) throw refused({ code: 'protocol_not_spoken', rule: 'upstream' }, unit)
  return verdict.proof
}

/**
 * The name of a connection in the records of both sides, without a byte on the wire for it: exported keying material
 * (RFC 8446 §7.5), which tells nothing about the keys.
 */
export function connectionId(socket: TLSSocket): string {
  return socket.exportKeyingMaterial(CONNECTION_ID_BYTES, 'EXPORTER-vcc-connection-id', Buffer.alloc(0)).toString('hex')
}

function awaitOk(socket: TLSSocket, unit: Unit, signal: AbortSignal, deadlineMs: number): Promise<void> {
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

interface DialingUnit extends DialUnit {
  shown(evidence: Evidence, snapshot: Snapshot): void
  /** From here on there is something to reset, whether or not anybody carries bytes yet. */
  stands(reset: () => void): void
  readonly decideEdge: (snapshot: Snapshot) => Verdict<unknown>
  readonly decideCall: (snapshot: Snapshot, now: Date) => Verdict
  readonly decideExternal: (snapshot: Snapshot) => Verdict
}

function createUnit(
  target: WorkloadId,
  callerAddress: string | undefined,
  given: AbortController,
  deps: DialDeps,
): DialingUnit {
  let evidence: Evidence | undefined
  let external = false
  let validUntil: Date | undefined
  let carrier: Carrier | undefined
  let reset: (() => void) | undefined
  const source = selfParty(deps.current(), callerAddress)
  const unit: DialingUnit = {
    connection: deps.newId(),
    unit: 'connection',
    direction: 'outbound',
    openedAt: deps.now(),
    source,
    target: { id: target },
    bytesIn: () => carrier?.bytesIn() ?? 0,
    bytesOut: () => carrier?.bytesOut() ?? 0,
    judge: (snapshot, now) => {
      if (external) return unit.decideExternal(snapshot)
      return evidence === undefined ? unit.decideEdge(snapshot) : unit.decideCall(snapshot, now)
    },
    validUntil: () => validUntil,
    cut(why) {
      given.abort(refused(why, unit))
      if (carrier !== undefined) carrier.cut(why)
      else reset?.()
    },
    stands(by) {
      reset = by
    },
    carriedBy(by) {
      carrier = by
    },
    shown(shown, snapshot) {
      evidence = shown
      validUntil = snapshot.self.notAfter
    },
    decideEdge: (snapshot) => fromDecision(decideDial(snapshot.policy, { source: snapshot.self.id, target })),
    decideExternal(snapshot) {
      external = true
      const { id, class: sourceClass } = snapshot.self
      return fromDecision(decide(snapshot.policy, { source: id, sourceClass, target, targetClass: 'no-certificate' }))
    },
    decideCall(snapshot, now) {
      if (evidence === undefined) throw new TypeError('decided before the handshake')
      const judgement = judgePeer(evidence, 'server', snapshot.trust, now)
      if (!judgement.ok) return { allowed: false, refusal: judgement.refusal }
      const { peer } = judgement
      unit.target = { ...partyOf(peer), ...(unit.target.address === undefined ? {} : { address: unit.target.address }) }
      if (peer.id !== target) return { allowed: false, refusal: { code: 'peer_not_expected', rule: 'identity' } }
      validUntil = earlier(validUntil, peer.validUntil)
      const { id, class: sourceClass } = snapshot.self
      return fromDecision(decide(snapshot.policy, { source: id, sourceClass, target, targetClass: peer.class }))
    },
  }
  return unit
}

/** A decision of the matrix as a verdict of the data plane. */
export function fromDecision<Proof>(
  decision:
    | { readonly allowed: true; readonly rule: string; readonly permit: Proof }
    | { readonly allowed: false; readonly code: Refusal['code']; readonly rule: string; readonly reason: string },
): Verdict<Proof> {
  if (decision.allowed) return { allowed: true, rule: decision.rule, proof: decision.permit }
  return { allowed: false, refusal: { code: decision.code, rule: decision.rule, detail: decision.reason } }
}

/** This agent's own service, as a party of a record. */
export function selfParty(snapshot: Snapshot | undefined, address?: string): Party {
  const { id = '', instance, class: ownClass, serialHex } = snapshot?.self ?? {}
  return {
    id,
    ...(instance === undefined ? {} : { instance }),
    ...(ownClass === undefined ? {} : { class: ownClass }),
    ...(serialHex === undefined ? {} : { serialHex }),
    ...(address === undefined ? {} : { address }),
  }
}

export function partyOf(peer: PeerIdentity): Party {
  return { id: peer.id, instance: peer.instance, class: peer.class, serialHex: peer.serialHex }
}

export function earlier(a: Date | undefined, b: Date): Date {
  return a === undefined || b < a ? b : a
}

function isWorthAnother(error: RefusedError): boolean {
  const { code } = error.refusal
  if (error.side === 'callee') return CALLEE_UNABLE.has(code)
  return !Object.hasOwn(DENIALS, code) && code !== 'state_expired' && code !== 'own_certificate_expired'
}

function abortReason(signal: AbortSignal, unit: Unit): RefusedError {
  const why: unknown = signal.reason
  if (why instanceof RefusedError) return why
  return refused({ code: 'upstream_failed', rule: 'upstream', detail: 'the caller has gone' }, unit)
}

function refused(refusal: Refusal, unit: Unit): RefusedError {
  return new RefusedError(refusal, { side: 'caller', connection: unit.connection })
}

function resetBoth(socket: Duplex, raw: Socket): void {
  resetSocket(raw)
  socket.destroy()
}

/** What an agent says of itself, not of the caller: another instance may do better. */
const CALLEE_UNABLE: ReadonlySet<string> = new Set<Refusal['code']>([
  'not_ready',
  'state_expired',
  'own_certificate_expired',
  'draining',
  'connection_limit',
  'service_unreachable',
])
const MAX_ADDRESSES = 8
const CONNECTION_ID_BYTES = 12
