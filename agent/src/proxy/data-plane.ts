import { randomBytes } from 'node:crypto'
import { formatSocketAddress, isLocal, type SocketAddress } from '../address.ts'
import { createAddressBook } from './address-book.ts'
import type { CloseRecord } from './close-record.ts'
import { PROXY_LIMITS, type ProxyConfig } from './config.ts'
import { createRegistry } from './connections.ts'
import { createDialTurns } from './dial-turns.ts'
import { createInbound, type Inbound } from './inbound.ts'
import { createInboundHttp } from './inbound-http.ts'
import { createNames } from './names.ts'
import type { ProxyEvents, ProxyMetrics } from './observe.ts'
import { createOutbound } from './outbound.ts'
import { checkSelf, type SelfCheck } from './self-check.ts'
import { formatGeneration, type Snapshot } from './snapshot.ts'

/** The part of the agent that carries bytes. It works by the last snapshot it was given and knows nothing else. */
export interface DataPlane {
  /**
   * Puts a snapshot in force: new connections from here on, and every live one decided again, before it returns its
   * promise. The first one binds the listeners. The promise settles with what the own listener then really serves.
   *
   * @throws {ListenError} {@link SelfCheckError}; the snapshot is in force all the same.
   */
  apply(snapshot: Snapshot): Promise<Applied>
  /** Stops accepting, lets live connections end until the deadline, then cuts them; says how many it had to. */
  drain(deadlineMs: number): Promise<{ readonly cut: number }>
  status(): DataPlaneStatus
  [Symbol.asyncDispose](): Promise<void>
}

export interface Applied {
  readonly decided: number
  readonly cut: number
  /** Absent for an agent without an inbound side. */
  readonly served: SelfCheck | undefined
}

export interface DataPlaneStatus {
  readonly generation: string | undefined
  readonly enforceUntil: Date | undefined
  readonly phase: 'waiting' | 'serving' | 'draining'
  readonly listeners: readonly { readonly name: string; readonly endpoint: string }[]
  /** What the listener served at the last look. */
  readonly served: SelfCheck | undefined
  readonly connections: { readonly inbound: number; readonly outbound: number; readonly handshakes: number }
  readonly upstreams: readonly { readonly id: string; readonly addresses: number; readonly ejected: number }[]
}

export interface DataPlaneDeps {
  readonly now: () => Date
  readonly events: ProxyEvents
  readonly metrics: ProxyMetrics
  /** The access log: once per connection, and per request in HTTP mode. Must not throw. */
  readonly onClose: (record: CloseRecord) => void
}

/** The configuration cannot work; `message` names the field. */
class ProxyConfigError extends Error {
  override readonly name = 'ProxyConfigError'
  readonly code = 'proxy_config_invalid'
}

/** @throws {ProxyConfigError} when the local service's address is one of the agent's own listeners. */
export function createDataPlane(config: ProxyConfig, deps: DataPlaneDeps): DataPlane {
  assertNoLoop(config)
  const limits = { ...PROXY_LIMITS, ...config.limits }
  let snapshot: Snapshot | undefined
  let phase: DataPlaneStatus['phase'] = 'waiting'
  let served: SelfCheck | undefined
  let starting: Promise<void> | undefined

  const current = () => snapshot
  const registry = createRegistry({
    current,
    now: deps.now,
    maxConnectionAgeMs: limits.maxConnectionAgeMs,
    onClose: deps.onClose,
    metrics: deps.metrics,
  })
  const addresses = createAddressBook(deps)
  const names = createNames({ now: deps.now, servers: config.nameServers })
  const turns = createDialTurns({
    atOnce: limits.maxDials,
    maxWaiting: limits.maxWaiting,
    waitMs: limits.connectMs + limits.handshakeMs,
  })
  const newId = connectionIds()
  const isFull = () => connectionsOpen() >= limits.maxConnections
  const common = { ...deps, current, registry, addresses, names, turns, limits, newId, isFull }
  const http = config.inbound && createInboundHttp(config.inbound.target, common)
  const inbound: Inbound | undefined =
    config.inbound && http && createInbound(config.inbound.listen, config.inbound.target, { ...common, http })
  const outbounds = config.outbound.map((listener) => createOutbound(listener, common))

  function connectionsOpen(): number {
    return outbounds.reduce((sum, outbound) => sum + outbound.size(), inbound?.size() ?? 0)
  }

  async function start(): Promise<void> {
    for (const outbound of outbounds) await outbound.start()
    await inbound?.start()
    phase = 'serving'
    for (const { name, endpoint } of listeners()) deps.events.listening({ listener: name, endpoint })
  }

  function listeners() {
    const bound = [
      { name: 'inbound', endpoint: inbound?.endpoint() },
      ...outbounds.map((outbound) => ({ name: outbound.upstream, endpoint: outbound.endpoint() })),
    ]
    return bound.flatMap(({ name, endpoint }) =>
      endpoint === undefined ? [] : [{ name, endpoint: formatSocketAddress(endpoint) }],
    )
  }

  async function lookAtSelf(applied: Snapshot): Promise<SelfCheck | undefined> {
    const endpoint = inbound?.endpoint()
    if (endpoint === undefined || phase === 'draining') return undefined
    try {
      served = await checkSelf(endpoint, applied, limits.handshakeMs)
    } catch (error) {
      served = undefined // what was seen before is not what is served now: the next apply looks again
      // A snapshot that came meanwhile is looked at by its own apply.
      if (snapshot?.tls !== applied.tls) return undefined
      deps.events.self_check_failed({ reason: String(error) })
      throw error
    }
    deps.events.self_check({ ...served })
    return served
  }

  return {
    async apply(next) {
      const previous = snapshot
      snapshot = next
      const { decided, cut } = registry.reassess()
      for (const outbound of outbounds) outbound.refresh()
      deps.events.snapshot_applied({ generation: formatGeneration(next.label), decided, cut })
      if (phase !== 'draining') starting ??= start()
      await starting
      const isServed = served !== undefined && previous?.tls === next.tls
      return { decided, cut, served: isServed ? served : await lookAtSelf(next) }
    },
    async drain(deadlineMs) {
      phase = 'draining'
      inbound?.stop()
      http?.drain()
      for (const outbound of outbounds) {
        outbound.stop()
        outbound.drain()
      }
      if (await registry.emptied(deadlineMs)) return { cut: 0 }
      return { cut: registry.cutAll({ code: 'draining', rule: 'limits' }) }
    },
    status: () => ({
      generation: snapshot && formatGeneration(snapshot.label),
      enforceUntil: snapshot?.enforceUntil,
      phase,
      listeners: listeners(),
      served,
      connections: {
        inbound: registry.count('inbound', 'connection'),
        outbound: registry.count('outbound', 'connection'),
        handshakes: inbound?.handshakes() ?? 0,
      },
      upstreams: [...(snapshot?.upstreams.values() ?? [])].map((upstream) => ({
        id: upstream.id,
        addresses: upstream.addresses.length,
        ejected: addresses.ejected(upstream.addresses),
      })),
    }),
    async [Symbol.asyncDispose]() {
      phase = 'draining'
      await starting?.catch(() => undefined)
      registry.cutAll({ code: 'draining', rule: 'limits' })
      http?.[Symbol.dispose]()
      const parts = inbound === undefined ? outbounds : [inbound, ...outbounds]
      await Promise.all(parts.map((part) => part[Symbol.asyncDispose]()))
      registry[Symbol.dispose]()
    },
  }
}

/** Names for what has no connection of its own yet: unlike any other agent's, and cheap enough for every request. */
function connectionIds(): () => string {
  const prefix = randomBytes(ID_PREFIX_BYTES).toString('hex')
  let count = 0
  return () => {
    count += 1
    return prefix + count.toString(16).padStart(ID_COUNT_DIGITS, '0')
  }
}

/** A target that is an own listener would call itself until the connections run out. */
function assertNoLoop(config: ProxyConfig): void {
  if (config.inbound === undefined) return
  const { listen, target } = config.inbound
  if (!isLocal(target)) {
    throw new ProxyConfigError(`inbound target ${formatSocketAddress(target)} is not on this machine`)
  }
  for (const own of [listen, ...config.outbound.map((outbound) => outbound.listen)]) {
    if (isSame(own, target)) {
      throw new ProxyConfigError(`inbound target ${formatSocketAddress(target)} is one of the agent's own listeners`)
    }
  }
}

/** On one machine a port is one listener, whatever address it is written with. */
function isSame(a: SocketAddress, b: SocketAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path
  return a.port === b.port && a.port !== 0
}

const ID_PREFIX_BYTES = 8
const ID_COUNT_DIGITS = 8
