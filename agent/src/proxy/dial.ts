import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { DENIALS, type Permit, type WorkloadId } from '@vcc/policy'
import type { AddressBook } from './address-book.ts'
import type { ProxyLimits } from './config.ts'
import type { Registry } from './connections.ts'
import { awaitOk, connectionId, shakeHands } from './dial-handshake.ts'
import { type DialTurn, type DialTurns, NoTurn } from './dial-turns.ts'
import { createDialUnit, type DialingUnit, type DialUnit, refused } from './dial-unit.ts'
import { ConnectTimeout, connectTo, ignore, resetSocket } from './endpoint.ts'
import { connectExternal } from './external.ts'
import { evidenceOf } from './gate.ts'
import type { Names } from './names.ts'
import type { ProxyMetrics } from './observe.ts'
import { type Refusal, RefusedError } from './refusal.ts'
import type { Mode, Snapshot } from './snapshot.ts'
import type { Tls } from './tls.ts'
import type { Unit } from './unit.ts'
import type { Address, Upstream } from './upstream.ts'
import { ALPN_MESH } from './wire.ts'

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

export interface DialDeps {
  readonly registry: Registry
  readonly current: () => Snapshot | undefined
  readonly names: Names
  readonly addresses: AddressBook
  readonly turns: DialTurns
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
  const unit = createDialUnit(target, caller.address, given, deps)
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
  const place = `${address.host}:${address.port}`
  unit.begins({ id: upstream.id, address: place })
  const turn = await deps.turns.take(place, signal).catch((cause: unknown) => {
    if (cause instanceof NoTurn) throw refused({ code: 'upstream_busy', rule: 'limits', detail: cause.message }, unit)
    throw refused({ code: 'upstream_timeout', rule: 'upstream', detail: String(cause) }, unit)
  })
  try {
    return await dialInTurn(turn, unit, upstream, address, signal, deps)
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === 'upstream_timeout') turn.giveUp(error)
    throw error
  } finally {
    turn.end()
  }
}

async function dialInTurn(
  turn: DialTurn,
  unit: DialingUnit,
  upstream: Upstream,
  address: Address,
  signal: AbortSignal,
  deps: DialDeps,
): Promise<UpstreamConnection> {
  const snapshot = deps.current()
  if (snapshot === undefined) throw refused({ code: 'not_ready', rule: 'state' }, unit)
  const raw = await connectTo(
    { kind: 'tcp', host: address.host, port: address.port },
    deps.limits.connectMs,
    signal,
  ).catch((cause: unknown) => {
    const code = cause instanceof ConnectTimeout ? 'upstream_timeout' : 'upstream_unreachable'
    throw refused({ code, rule: 'upstream', detail: String(cause) }, unit)
  })
  raw.on('error', ignore)
  unit.stands(() => resetSocket(raw))
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
      return { socket, unit, permit: verdict.proof, mode: upstream.mode, tls: undefined, reset }
    }
    const socket = await shakeHands(raw, upstream.id, snapshot, unit, {
      signal,
      deadlineMs: deps.limits.handshakeMs,
      metrics: deps.metrics,
    })
    turn.end() // the service behind the other agent may take its time
    const permit = admitPeer(socket, snapshot, unit, deps)
    await awaitOk(socket, unit, signal, deps.limits.answerMs)
    const reset = () => resetBoth(socket, raw)
    return { socket, unit, permit, mode: upstream.mode, tls: snapshot.tls, reset }
  } catch (error) {
    resetSocket(raw)
    throw error
  }
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

function isWorthAnother(error: RefusedError): boolean {
  const { code } = error.refusal
  if (error.side === 'callee') return CALLEE_UNABLE.has(code)
  return !Object.hasOwn(DENIALS, code) && !OWN_FAULTS.has(code)
}

function abortReason(signal: AbortSignal, unit: Unit): RefusedError {
  const why: unknown = signal.reason
  if (why instanceof RefusedError) return why
  return refused({ code: 'upstream_failed', rule: 'upstream', detail: 'the caller has gone' }, unit)
}

function resetBoth(socket: Duplex, raw: Socket): void {
  resetSocket(raw)
  socket.destroy()
}

/** What has nothing to do with the address. */
const OWN_FAULTS: ReadonlySet<string> = new Set<Refusal['code']>([
  'state_expired',
  'own_certificate_expired',
  'upstream_busy',
])
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
