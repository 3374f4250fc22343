import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { readThroughStream } from '@vcc/mesh'
import type { SocketAddress } from '../address.ts'
import { CALLER_HEADER, callerHeader } from './caller-header.ts'
import type { ProxyLimits } from './config.ts'
import type { Registry } from './connections.ts'
import { connectTo, ignore } from './endpoint.ts'
import {
  createRequestUnit,
  type ExchangeDeps,
  exchange,
  type HopNames,
  HopUnreachable,
  type RequestUnit,
  refuse,
} from './exchange.ts'
import { checkRequestHead } from './http-head.ts'
import { createLanes, type LaneConnection } from './http-lanes.ts'
import { createHttpServer } from './http-server.ts'
import type { InboundConnection } from './inbound.ts'
import type { Admitted } from './inbound-unit.ts'
import type { ProxyEvents } from './observe.ts'
import { sendProblem } from './problem.ts'
import type { Refusal } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'

/** The inbound side in HTTP mode: requests are decided one by one, and the service is told who calls. */
export interface InboundHttp {
  serve(connection: InboundConnection, admitted: Admitted): void
  /** Answers whatever a client asks on this connection with the refusal, then closes. */
  refuse(connection: InboundConnection, refusal: Refusal): void
  /** Keeps no connection for a next request. */
  drain(): void
  [Symbol.dispose](): void
}

export interface InboundHttpDeps extends ExchangeDeps {
  readonly registry: Registry
  readonly limits: ProxyLimits
  readonly events: Pick<ProxyEvents, 'request_unreadable'>
}

export function createInboundHttp(target: SocketAddress, deps: InboundHttpDeps): InboundHttp {
  const { limits, registry } = deps
  const contexts = new WeakMap<Duplex, Context>()
  const lanes = createLanes({
    open: (signal) => openLocal(target, limits, signal),
    maxLanes: limits.maxConnections,
    maxWaiting: limits.maxWaiting,
    waitMs: limits.connectMs,
    keepAliveMs: limits.localKeepAliveMs,
    responseMs: limits.responseMs,
    idleMs: limits.idleMs,
    maxHeadBytes: limits.maxHeadBytes,
  })
  const server = createHttpServer(
    {
      side: 'callee',
      onRequest: (request, response, continues) => void onRequest(request, response, continues),
      describe: (socket) => describe(contexts.get(socket)),
      onUnreadable: (reason, about) => deps.events.request_unreadable({ side: 'callee', reason, ...about }),
    },
    limits,
  )

  async function onRequest(request: IncomingMessage, response: ServerResponse, continues: boolean): Promise<void> {
    const context = contexts.get(request.socket)
    if (context === undefined) return void response.destroy()
    if (context.refusal !== undefined) {
      sendProblem(response, context.refusal, { side: 'callee', ...describe(context) }, { close: true })
      return
    }
    const { unit: connection } = context.connection
    const { source, target: self } = connection
    const judge = connection.judge.bind(connection)
    const facts = { connection: connection.connection, direction: 'inbound', source, target: self, judge } as const
    const unit = createRequestUnit(request, facts, deps.now())

    const verdict = registry.admit(unit, connection.decide)
    if (!verdict.allowed) return refuse(unit, response, verdict.refusal, 'callee', deps)
    const checked = checkRequestHead(request)
    if (!checked.ok) {
      response.shouldKeepAlive = false
      return refuse(unit, response, checked.refusal, 'callee', deps)
    }
    checked.head.headers.push(CALLER_HEADER, callerOf(context, verdict.proof, verdict.snapshot))
    context.requests.add(unit)
    await exchange(
      unit,
      checked.head,
      { request, response, continues, reset: context.connection.reset },
      lanes,
      HOP,
      deps,
      ignore,
    )
    context.requests.delete(unit)
  }

  function cut(context: Context, why: Refusal): void {
    context.refusal = why
    // Requests are units of their own: those that are cut by the same reason come first and may still be answered.
    setImmediate(() => {
      for (const unit of context.requests) registry.cut(unit, why)
      const { socket, reset } = context.connection
      socket.destroySoon()
      setTimeout(reset, CUT_LINGER_MS).unref()
    })
  }

  function attach(connection: InboundConnection, context: Context): void {
    contexts.set(connection.socket, context)
    server.feed(connection.socket)
    readThroughStream(connection.socket)
  }

  return {
    serve(connection, admitted) {
      const { socket, raw, unit } = connection
      const context: Context = { connection, refusal: undefined, requests: new Set(), caller: undefined }
      unit.carriedBy({
        bytesIn: () => raw.bytesRead,
        bytesOut: () => raw.bytesWritten,
        cut: (why) => cut(context, why),
      })
      callerOf(context, admitted, undefined)
      socket.once('close', () => registry.release(unit, { code: 'complete' }))
      attach(connection, context)
    },
    refuse(connection, refusal) {
      attach(connection, { connection, refusal, requests: new Set(), caller: undefined })
    },
    drain() {
      lanes.drain()
      server.drain()
    },
    [Symbol.dispose]() {
      lanes.close()
      server[Symbol.dispose]()
    },
  }
}

/** The header is the same for every request that is decided by the same snapshot. */
function callerOf(context: Context, { peer, permit }: Admitted, snapshot: Snapshot | undefined): string {
  if (context.caller === undefined || context.caller.snapshot !== snapshot) {
    context.caller = { snapshot, value: callerHeader(peer, permit) }
  }
  return context.caller.value
}

function describe(context: Context | undefined) {
  const unit = context?.connection.unit
  return { source: unit?.source.id ?? '', target: unit?.target.id ?? '', connection: unit?.connection ?? '' }
}

async function openLocal(target: SocketAddress, limits: ProxyLimits, signal: AbortSignal): Promise<LaneConnection> {
  try {
    const socket = await connectTo(target, limits.connectMs, signal)
    return { socket, onClosed: ignore, isCurrent: () => true }
  } catch (cause) {
    throw new HopUnreachable(cause instanceof Error ? cause.message : 'not reachable', { cause })
  }
}

interface Context {
  readonly connection: InboundConnection
  /** Set when nothing more is allowed here. */
  refusal: Refusal | undefined
  readonly requests: Set<RequestUnit>
  caller: { readonly snapshot: Snapshot | undefined; readonly value: string } | undefined
}

const HOP: HopNames = {
  side: 'callee',
  unreachable: 'service_unreachable',
  failed: 'service_failed',
  timeout: 'service_timeout',
  rule: 'service',
}
const CUT_LINGER_MS = 1_000
