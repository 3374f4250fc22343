import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Party } from './close-record.ts'
import type { ProxyLimits } from './config.ts'
import type { Registry } from './connections.ts'
import type { RequestHead } from './http-head.ts'
import { type Lane, type LaneConnection, type Lanes, LanesClosed, LanesFull } from './http-lanes.ts'
import { type RelayCount, type RelayEnd, relay } from './http-relay.ts'
import { discardRest } from './http-server.ts'
import { sendProblem } from './problem.ts'
import { type ForeignRefusal, type Refusal, RefusedError } from './refusal.ts'
import type { Direction, Unit } from './unit.ts'

/** One HTTP request on its way through this agent. */
export interface RequestUnit extends Unit {
  readonly http: { readonly method: string; status: number | null }
  readonly count: RelayCount
  /** Set once there is something to break off. */
  onCut: ((why: Refusal) => void) | undefined
}

export interface ExchangeDeps {
  readonly registry: Registry
  readonly limits: Pick<ProxyLimits, 'idleMs'>
  readonly now: () => Date
}

/** A request as this agent got it. */
export interface Incoming {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The caller waits for `100 Continue`. */
  readonly continues: boolean
  /** Breaks the caller's connection off so that it is seen as a failure. */
  readonly reset: () => void
}

/** What a failure on the way to the next hop is called, beside which side this agent stands. */
export interface HopNames {
  readonly side: 'caller' | 'callee'
  readonly unreachable: Refusal['code']
  readonly failed: Refusal['code']
  readonly timeout: Refusal['code']
  readonly rule: string
}

export function createRequestUnit(
  request: IncomingMessage,
  facts: {
    readonly connection: string
    readonly direction: Direction
    readonly source: Party
    readonly target: Party
    readonly judge: Unit['judge']
  },
  now: Date,
): RequestUnit {
  const count: RelayCount = { requestBytes: 0, responseBytes: 0, status: null }
  const http = {
    method: request.method ?? '',
    get status() {
      return count.status
    },
    set status(status) {
      count.status = status
    },
  }
  const isInbound = facts.direction === 'inbound'
  const unit: RequestUnit = {
    connection: facts.connection,
    unit: 'request',
    direction: facts.direction,
    openedAt: now,
    source: facts.source,
    target: facts.target,
    http,
    count,
    bytesIn: () => (isInbound ? count.requestBytes : count.responseBytes),
    bytesOut: () => (isInbound ? count.responseBytes : count.requestBytes),
    judge: facts.judge,
    validUntil: () => undefined,
    onCut: undefined,
    cut: (why) => unit.onCut?.(why),
  }
  return unit
}

/**
 * Carries an admitted request over one of `lanes` and ends its unit. Answers with a problem where the service or its
 * agent gives no answer.
 *
 * A request that changes nothing and has no body is repeated once, on another connection, when the one it was given had
 * been closed just then; no other ever is.
 */
export async function exchange<C extends LaneConnection>(
  unit: RequestUnit,
  head: RequestHead,
  incoming: Incoming,
  lanes: Lanes<C>,
  hop: HopNames,
  deps: ExchangeDeps,
  onLane: (connection: C) => void,
): Promise<void> {
  const { request, response } = incoming
  const given = new AbortController()
  const onClose = () => {
    if (!response.writableFinished) given.abort()
  }
  response.once('close', onClose)
  const cutWhileWaiting = (why: Refusal) => {
    given.abort()
    refuse(unit, response, why, hop.side, deps)
  }
  try {
    let end: RelayEnd | undefined
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      unit.onCut = cutWhileWaiting // between two attempts as before the first: nothing of it may be sent any more
      const lane: Lane<C> = await lanes.take(given.signal)
      if (given.signal.aborted) {
        lane.giveBack()
        return end === undefined ? finishGone(unit, deps) : undefined
      }
      onLane(lane.connection)
      // The body is asked for only now, when somebody is there to take it.
      if (incoming.continues && attempt === 1) response.writeContinue()
      const relayed = relay(head, request, response, lane, unit.count, incoming.reset, deps.limits.idleMs)
      unit.onCut = (why) => {
        relayed.abort()
        if (!response.headersSent) refuse(unit, response, why, hop.side, deps)
      }
      end = await relayed.ended
      if (end.how !== 'failed' || !end.repeatable) break
    }
    if (end !== undefined) conclude(unit, response, end, hop, deps)
  } catch (error) {
    if (response.destroyed || response.headersSent) finishGone(unit, deps)
    else refuse(unit, response, refusalOf(error, hop), hop.side, deps)
  } finally {
    response.off('close', onClose)
  }
}

/** Answers a request with a refusal and ends its unit. */
export function refuse(
  unit: RequestUnit,
  response: ServerResponse,
  refusal: Refusal | ForeignRefusal | Told,
  side: 'caller' | 'callee',
  deps: Pick<ExchangeDeps, 'registry'>,
): void {
  if (!response.headersSent && !response.destroyed) {
    const told = 'side' in refusal ? refusal : { side, connection: unit.connection }
    const context = { side: told.side, source: unit.source.id, target: unit.target.id, connection: told.connection }
    // Who waits for `100 Continue` may or may not send its body after another answer: RFC 9110 §10.1.1.
    const isUnsure = !response.req.complete && response.req.headers.expect !== undefined
    unit.http.status = sendProblem(response, refusal, context, { close: isUnsure })
    if (response.shouldKeepAlive && !isUnsure) discardRest(response, () => response.req.socket.destroy())
  }
  deps.registry.release(unit, {
    code: refusal.code,
    rule: refusal.rule,
    ...(refusal.detail === undefined ? {} : { detail: refusal.detail }),
  })
}

/** A refusal that another agent made, or this one under a connection of its own. */
interface Told extends ForeignRefusal {
  readonly side: 'caller' | 'callee'
  readonly connection: string
}

function conclude(unit: RequestUnit, response: ServerResponse, end: RelayEnd, hop: HopNames, deps: ExchangeDeps): void {
  switch (end.how) {
    case 'complete':
    case 'cut':
      return deps.registry.release(unit, { code: 'complete' })
    case 'caller_gone':
      return finishGone(unit, deps)
    case 'idle':
      response.shouldKeepAlive = false
      if (!end.answered) return refuse(unit, response, { code: 'request_timeout', rule: 'limits' }, hop.side, deps)
      return deps.registry.release(unit, { code: 'idle' })
    case 'failed': {
      if (!end.answered) return refuse(unit, response, refusalOf(end.error, hop), hop.side, deps)
      return deps.registry.release(unit, { code: hop.failed, detail: end.error.message })
    }
  }
}

function finishGone(unit: RequestUnit, deps: ExchangeDeps): void {
  deps.registry.release(unit, { code: 'aborted_by_caller' })
}

function refusalOf(error: unknown, hop: HopNames): Refusal | Told {
  if (error instanceof RefusedError) return { ...error.refusal, side: error.side, connection: error.connection }
  if (error instanceof LanesFull) return { code: 'upstream_busy', rule: 'limits' }
  if (error instanceof LanesClosed) return { code: 'draining', rule: 'limits' }
  if (error instanceof HopUnreachable) return { code: hop.unreachable, rule: hop.rule, detail: error.message }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  const detail = String(error)
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return { code: hop.timeout, rule: hop.rule, detail }
  return { code: hop.failed, rule: hop.rule, detail }
}

/** The next hop does not take connections. */
export class HopUnreachable extends Error {
  override readonly name = 'HopUnreachable'
}
