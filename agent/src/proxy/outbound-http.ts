import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type DialPermit, decideDial, type WorkloadId } from '@vcc/policy'
import { type DialDeps, dial, type UpstreamConnection } from './dial.ts'
import { resetSocket } from './endpoint.ts'
import { createRequestUnit, exchange, type HopNames, refuse } from './exchange.ts'
import { checkRequestHead } from './http-head.ts'
import { createLanes, type LaneConnection, type Lanes } from './http-lanes.ts'
import { createHttpServer } from './http-server.ts'
import type { ProxyEvents } from './observe.ts'
import { fromDecision, selfParty } from './party.ts'
import type { Snapshot } from './snapshot.ts'
import type { Verdict } from './unit.ts'

/** The outbound side in HTTP mode: each request is decided; connections to the upstream's agents are shared. */
export interface OutboundHttp {
  serve(local: Socket): void
  refresh(): void
  drain(): void
  [Symbol.dispose](): void
}

export interface OutboundHttpDeps extends DialDeps {
  readonly events: Pick<ProxyEvents, 'request_unreadable'>
}

export function createOutboundHttp(target: () => WorkloadId | undefined, deps: OutboundHttpDeps): OutboundHttp {
  const { limits, registry } = deps
  const byTarget = new Map<WorkloadId, Lanes<MeshLane>>()
  const server = createHttpServer(
    {
      side: 'caller',
      onRequest: (request, response, continues) => void onRequest(request, response, continues),
      describe: () => ({ source: deps.current()?.self.id ?? '', target: target() ?? '', connection: '' }),
      onUnreadable: (reason, about) => deps.events.request_unreadable({ side: 'caller', reason, ...about }),
    },
    limits,
  )

  async function onRequest(request: IncomingMessage, response: ServerResponse, continues: boolean): Promise<void> {
    const id = target()
    const snapshot = deps.current()
    if (id === undefined || snapshot === undefined) return void response.destroy()
    const decideEdge = (under: Snapshot): Verdict<DialPermit> =>
      fromDecision(decideDial(under.policy, { source: under.self.id, target: id }))
    const facts = {
      connection: deps.newId(),
      direction: 'outbound',
      source: selfParty(snapshot),
      target: { id },
      judge: decideEdge,
    } as const
    const unit = createRequestUnit(request, facts, deps.now())
    const verdict = registry.admit(unit, decideEdge)
    if (!verdict.allowed) return refuse(unit, response, verdict.refusal, 'caller', deps)
    const checked = checkRequestHead(request)
    if (!checked.ok) {
      response.shouldKeepAlive = false
      return refuse(unit, response, checked.refusal, 'caller', deps)
    }
    const reset = () => resetSocket(request.socket)
    await exchange(
      unit,
      checked.head,
      { request, response, continues, reset },
      lanesOf(id),
      HOP,
      deps,
      ({ upstream }) => {
        unit.connection = upstream.unit.connection
        unit.target = upstream.unit.target
      },
    )
  }

  function lanesOf(id: WorkloadId): Lanes<MeshLane> {
    const known = byTarget.get(id)
    if (known !== undefined) return known
    const lanes = createLanes({
      open: async (signal) => laneOf(await dial(id, { address: undefined, signal }, deps)),
      maxLanes: limits.maxLanes,
      maxWaiting: limits.maxWaiting,
      waitMs: limits.connectMs,
      keepAliveMs: limits.meshKeepAliveMs,
      // Longer than the callee's agent waits, so that its reason is the one told.
      responseMs: limits.responseMs === 0 ? 0 : limits.responseMs + limits.connectMs,
      idleMs: limits.idleMs,
      maxHeadBytes: limits.maxHeadBytes,
    })
    byTarget.set(id, lanes)
    return lanes
  }

  function laneOf(upstream: UpstreamConnection): MeshLane {
    const { socket, unit } = upstream
    const retireAt = retirement(upstream, deps)
    unit.carriedBy({
      bytesIn: () => ('bytesRead' in socket ? Number(socket.bytesRead) : 0),
      bytesOut: () => ('bytesWritten' in socket ? Number(socket.bytesWritten) : 0),
      cut: () => upstream.reset(),
    })
    return {
      upstream,
      socket,
      onClosed: () => registry.release(unit, { code: 'complete' }),
      isCurrent() {
        const isOfThisGeneration = upstream.tls === undefined || upstream.tls === deps.current()?.tls
        return isOfThisGeneration && deps.now().getTime() < retireAt
      },
    }
  }

  return {
    serve(local) {
      server.feed(local)
      local.resume()
    },
    refresh() {
      for (const lanes of byTarget.values()) lanes.prune()
    },
    drain() {
      for (const lanes of byTarget.values()) lanes.drain()
      server.drain()
    },
    [Symbol.dispose]() {
      for (const lanes of byTarget.values()) lanes.close()
      server[Symbol.dispose]()
    },
  }
}

/** Retired a tenth of its life before it would be cut, so that no request meets the cut. */
function retirement({ unit }: UpstreamConnection, deps: DialDeps): number {
  const opened = unit.openedAt.getTime()
  const { maxConnectionAgeMs } = deps.limits
  const ends = Math.min(
    unit.validUntil()?.getTime() ?? Number.POSITIVE_INFINITY,
    maxConnectionAgeMs === 0 ? Number.POSITIVE_INFINITY : opened + maxConnectionAgeMs,
  )
  return opened + Math.min((ends - opened) * 0.9, LONGEST_USE_MS)
}

interface MeshLane extends LaneConnection {
  readonly upstream: UpstreamConnection
}

const HOP: HopNames = {
  side: 'caller',
  unreachable: 'upstream_unreachable',
  failed: 'upstream_failed',
  timeout: 'upstream_timeout',
  rule: 'upstream',
}
/** Shared connections are renewed now and then, so that a peer's new certificate is seen. */
const LONGEST_USE_MS = 3_600_000
