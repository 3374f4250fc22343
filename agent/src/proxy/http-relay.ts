import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ignore } from './endpoint.ts'
import { endToEnd, isCodedPlainly, type RequestHead } from './http-head.ts'
import { CONNECTION_GONE, type Lane, type LaneConnection } from './http-lanes.ts'
import { discardRest } from './http-server.ts'

export type RelayEnd =
  | { readonly how: 'complete' }
  | { readonly how: 'caller_gone' }
  | { readonly how: 'cut' }
  /** The body stands still, and nothing comes back meanwhile. */
  | { readonly how: 'idle'; readonly answered: boolean }
  /** `answered` is false while the caller has seen nothing of a response: then there is one to be made up. */
  | { readonly how: 'failed'; readonly error: Error; readonly answered: boolean; readonly repeatable: boolean }

export interface Relay {
  readonly ended: Promise<RelayEnd>
  /** Breaks the exchange off on both sides. */
  abort(): void
}

export interface RelayCount {
  requestBytes: number
  responseBytes: number
  status: number | null
}

/**
 * Carries one request to a lane and its response back, streaming both ways with back-pressure, trailers of the response
 * included. Messages are framed anew: nothing of the caller's framing reaches the service.
 *
 * A failure after the response has begun calls `resetCaller`, so that nobody takes a part for the whole. It is complete
 * when the whole response has gone to the caller; the lane is free as soon as the service has given it.
 * Does **not** forward trailers of the request (undici cannot send them), nor interim responses but 100.
 *
 * @param idleMs  A body of which nothing moves for so long ends the exchange; 0: none does.
 */
export function relay(
  head: RequestHead,
  request: IncomingMessage,
  response: ServerResponse,
  lane: Lane<LaneConnection>,
  count: RelayCount,
  resetCaller: () => void,
  idleMs: number,
): Relay {
  const { promise: ended, resolve } = Promise.withResolvers<RelayEnd>()
  let controller: Dispatcher.DispatchController | undefined
  let isAnswered = false
  let isOver = false
  const body = head.hasBody ? new PassThrough() : undefined
  const idle = body !== undefined && idleMs > 0 ? setTimeout(() => onIdle(), idleMs) : undefined

  const finish = (end: RelayEnd) => {
    if (isOver) return
    isOver = true
    clearTimeout(idle)
    response.off('close', onClosed).off('finish', onSent)
    lane.giveBack()
    resolve(end)
  }
  const stop = (end: RelayEnd) => {
    if (isOver) return
    const stopping = controller
    finish(end)
    if (isAnswered) return // the lane may serve another request by now
    body?.on('error', ignore).destroy()
    stopping?.abort(new Error('broken off'))
    // Without a controller the request may be queued still: its socket must not be used again.
    if (stopping === undefined) lane.connection.socket.destroy()
  }
  const onIdle = () => {
    const answered = response.headersSent
    stop({ how: 'idle', answered })
    if (answered) resetCaller()
  }
  const onSent = () => finish({ how: 'complete' })
  const onClosed = () => stop({ how: 'caller_gone' })
  response.on('close', onClosed)

  if (body !== undefined) {
    body.on('error', ignore)
    request.on('data', (chunk: Buffer) => {
      count.requestBytes += chunk.length
      idle?.refresh()
    })
    // From here on the service has everything: how long it may take is no matter of the body.
    request.on('end', () => clearTimeout(idle))
    request.pipe(body)
  }

  const options: Dispatcher.DispatchOptions = {
    method: head.method, // any may pass: undici checks that it is a token
    path: head.path,
    headers: head.headers,
    body: body ?? null,
  }
  lane.client.dispatch(options, {
    onRequestStart(started) {
      controller = started
      if (isOver) started.abort(new Error('broken off'))
    },
    onResponseStart(started, status, _headers, statusText) {
      if (isOver || status < 200) return
      const raw = (started.rawHeaders ?? []) as Buffer[] // undici hands HTTP/1.1 headers over as buffers
      const headers = raw.map((bytes) => bytes.toString('latin1'))
      if (!isCodedPlainly(headers)) return started.abort(new Error('an answer in an unknown transfer coding'))
      count.status = status
      response.writeHead(status, statusText, endToEnd(headers))
      // A head that waits for its body would hide a stream that begins late; one that comes with it travels with it.
      queueMicrotask(() => {
        if (count.responseBytes === 0 && !response.writableEnded) response.flushHeaders()
      })
    },
    onResponseData(started, chunk) {
      if (isOver) return
      count.responseBytes += chunk.length
      if (!request.complete) idle?.refresh()
      if (response.write(chunk)) return
      started.pause()
      response.once('drain', () => started.resume())
    },
    onResponseEnd(started) {
      if (isOver) return
      const raw = (started.rawTrailers ?? []) as Buffer[] // as above
      const trailers = endToEnd(raw.map((bytes) => bytes.toString('latin1')))
      if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(pairs(trailers))
      isAnswered = true
      clearTimeout(idle)
      lane.giveBack()
      response.once('finish', onSent).end()
      discardRest(response, resetCaller)
    },
    onResponseError(_started, error) {
      if (isOver) return
      const answered = response.headersSent
      const wasClosed = CLOSED_MEANWHILE.has('code' in error ? String(error.code) : '')
      const repeatable = !answered && body === undefined && lane.isReused && wasClosed && REPEATABLE.has(head.method)
      finish({ how: 'failed', error, answered, repeatable })
      if (answered) resetCaller()
    },
  })

  return {
    ended,
    abort() {
      if (isOver) return
      stop({ how: 'cut' })
      if (response.headersSent) resetCaller()
    },
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) result.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return result
}

/** What a connection says that was closed just as the request was written. */
const CLOSED_MEANWHILE: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', CONNECTION_GONE])
/** "A proxy MUST NOT automatically retry non-idempotent requests": RFC 9110 §9.2.2. Only those that change nothing. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
