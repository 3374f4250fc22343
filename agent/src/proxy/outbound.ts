import { createServer as createTcpServer, type Socket } from 'node:net'
import { type Permit, resolveWorkload, type WorkloadId } from '@vcc/policy'
import type { SocketAddress } from '../address.ts'
import type { OutboundListener, ProxyLimits } from './config.ts'
import type { Registry } from './connections.ts'
import { dial, type UpstreamConnection } from './dial.ts'
import { boundEndpoint, ignore, KEEP_ALIVE_MS, listenOn, resetSocket } from './endpoint.ts'
import type { ProxyEvents } from './observe.ts'
import { createOutboundHttp, type OutboundHttpDeps } from './outbound-http.ts'
import { RefusedError } from './refusal.ts'
import type { Mode, Snapshot } from './snapshot.ts'
import { splice } from './splice.ts'
import { endOf } from './splice-end.ts'

/** A place where the local service reaches one upstream. */
export interface Outbound {
  readonly upstream: string
  start(): Promise<void>
  stop(): void
  /** After a new snapshot: connections of the old generation are retired as they become idle. */
  refresh(): void
  drain(): void
  readonly endpoint: () => SocketAddress | undefined
  /** Connections of the local service. */
  readonly size: () => number
  [Symbol.asyncDispose](): Promise<void>
}

export interface OutboundDeps extends OutboundHttpDeps {
  readonly current: () => Snapshot | undefined
  readonly registry: Registry
  readonly limits: ProxyLimits
  readonly events: ProxyEvents
  /** Whether there are as many connections as there may be, both ways together. */
  readonly isFull: () => boolean
}

/**
 * Listens for the local service and carries what comes to the upstream, in the mode that signed state declares.
 *
 * In TCP mode the local connection stands before the call is decided, since TCP gives no other choice: nothing of it is
 * read before the far agent's `OK` (the kernel's buffer bounds it), and a refusal is a reset. In HTTP mode a refusal is
 * an answer.
 */
export function createOutbound(config: OutboundListener, deps: OutboundDeps): Outbound {
  const open = new Set<Socket>()
  const http = createOutboundHttp(() => targetOf(config.upstream, deps.current()), deps)
  const listener = createTcpServer(
    { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
    accept,
  )

  function accept(local: Socket): void {
    local.on('error', ignore)
    const snapshot = deps.current()
    const target = targetOf(config.upstream, snapshot)
    if (snapshot === undefined || target === undefined || deps.isFull()) {
      const reason = snapshot === undefined ? 'not_ready' : 'connection_limit'
      deps.events.admission_refused({ reason, address: addressOf(local) })
      resetSocket(local)
      return
    }
    open.add(local)
    local.once('close', () => open.delete(local))
    if (modeOf(config, target, snapshot) === 'http') http.serve(local)
    else void carry(local, target)
  }

  async function carry(local: Socket, target: WorkloadId): Promise<void> {
    const given = new AbortController()
    const onGone = () => given.abort()
    local.once('close', onGone)
    let upstream: UpstreamConnection
    try {
      upstream = await dial(target, { address: addressOf(local), signal: given.signal }, deps)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      resetSocket(local) // the record has been written where it was refused
      return
    }
    local.off('close', onGone)
    const { unit } = upstream
    const through = spliceOutbound(upstream.permit, local, upstream, deps.limits)
    unit.carriedBy({ bytesIn: through.bytesBtoA, bytesOut: through.bytesAtoB, cut: () => through.abort() })
    deps.registry.release(unit, endOf(await through.ended, { a: 'aborted_by_caller', b: 'aborted_by_service' }))
  }

  return {
    upstream: config.upstream,
    start: () => listenOn(listener, config.listen),
    stop: () => void listener.close(),
    refresh: () => http.refresh(),
    drain: () => http.drain(),
    endpoint: () => boundEndpoint(listener),
    size: () => open.size,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      http[Symbol.dispose]()
      for (const local of open) resetSocket(local)
      await closed
    },
  }
}

/** Bytes flow to the mesh only with a permit in hand. */
function spliceOutbound(_permit: Permit, local: Socket, upstream: UpstreamConnection, limits: ProxyLimits) {
  return splice(local, upstream.socket, {
    idleMs: limits.idleMs,
    halfCloseMs: limits.halfCloseMs,
    fail() {
      resetSocket(local)
      upstream.reset()
    },
  })
}

/** What a configured name means: the state's own name for it, else a service of the own organisation. */
function targetOf(name: string, snapshot: Snapshot | undefined): WorkloadId | undefined {
  if (snapshot === undefined) return undefined
  for (const upstream of snapshot.upstreams.values()) if (upstream.name === name) return upstream.id
  const { trustDomain } = snapshot.trust
  return resolveWorkload(name, { trustDomain, organization: snapshot.self.organization })
}

/** State that no longer names an upstream says nothing of its mode; the refusal still has to be made in one. */
function modeOf(config: OutboundListener, target: WorkloadId, snapshot: Snapshot): Mode {
  return snapshot.upstreams.get(target)?.mode ?? config.mode ?? snapshot.mode
}

function addressOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort ?? 0}`
}
