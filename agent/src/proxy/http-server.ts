import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ProxyLimits } from './config.ts'
import { ignore, KEEP_ALIVE_MS } from './endpoint.ts'
import { createPipeline } from './http-pipeline.ts'
import { sendProblem, sendRawProblem } from './problem.ts'
import type { Refusal } from './refusal.ts'

/** HTTP/1.1 on connections that somebody else accepted. */
export interface HttpServer extends Disposable {
  feed(socket: Duplex): void
  /**
   * From here on each answer is the last one of its connection, and connections on which nobody asks are closed in a
   * moment: not at once, because a request may be on its way that nobody could repeat.
   */
  drain(): void
}

export interface HttpServerHandlers {
  /** `continues` is true when the caller waits for `100 Continue` before it sends its body. */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, continues: boolean) => void
  readonly side: 'caller' | 'callee'
  /** Who is spoken of in the answer to a request that could not be read. */
  readonly describe: (socket: Duplex) => {
    readonly source: string
    readonly target: string
    readonly connection: string
  }
  /** A request could not be read; its connection is over. */
  readonly onUnreadable: (reason: string, about: ReturnType<HttpServerHandlers['describe']>) => void
}

/**
 * An HTTP/1.1 server with the strict parser and a deadline for every head. Protocol changes are never made:
 * `checkRequestHead` refuses what asks for one.
 */
export function createHttpServer(handlers: HttpServerHandlers, limits: ProxyLimits): HttpServer {
  const open = new Set<ServerResponse>()
  let isDraining = false
  let hasLingered = false
  const server = createServer({
    insecureHTTPParser: false,
    requireHostHeader: false, // checkRequestHead refuses with our code
    maxHeaderSize: limits.maxHeadBytes,
    headersTimeout: limits.headMs,
    requestTimeout: 0, // a body may stream for hours
    connectionsCheckingInterval: Math.max(Math.floor(limits.headMs / 4), 50),
    keepAliveTimeout: limits.keepAliveMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    shouldUpgradeCallback: () => false,
  })

  const pipeline = createPipeline()
  const answerWith = (response: ServerResponse, refusal: Refusal) =>
    sendProblem(response, refusal, { side: handlers.side, ...handlers.describe(response.req.socket) }, { close: true })
  const endWith = (socket: Duplex, refusal: Refusal) =>
    pipeline.end(socket, () => {
      sendRawProblem(socket, refusal, { side: handlers.side, ...handlers.describe(socket) })
      socket.destroy()
    })

  function inTurn(response: ServerResponse, work: () => void): void {
    if (isDraining) response.shouldKeepAlive = false
    open.add(response)
    response.once('close', () => {
      open.delete(response)
      // One that had begun before could not say that it is the last.
      if (hasLingered) server.closeIdleConnections()
    })
    if (!pipeline.add(response, work)) answerWith(response, { code: 'upstream_busy', rule: 'limits' })
  }

  server.on('request', (request, response) => inTurn(response, () => handlers.onRequest(request, response, false)))
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    inTurn(response, () => handlers.onRequest(request, response, true)),
  )
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) =>
    inTurn(response, () => answerWith(response, { code: 'expectation_refused', rule: 'http' })),
  )
  server.on('connect', (_request, socket: Duplex) => {
    // node:http has let go of the socket: without this, answers that are owed would neither drain nor hear of its end.
    socket.on('error', ignore)
    socket.on('drain', () => void pipeline.current(socket)?.emit('drain'))
    socket.on('end', () => void socket.destroy()).resume()
    endWith(socket, { code: 'request_malformed', rule: 'http' })
  })
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    socket.on('error', ignore)
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    handlers.onUnreadable(error.code ?? error.message, handlers.describe(socket))
    endWith(socket, { code: PARSER_CODES[error.code ?? ''] ?? 'request_malformed', rule: 'http' })
  })
  // It never listens: node:http watches the deadlines of heads only from this event on (mesh-S6 shows that it does).
  server.emit('listening')

  return {
    feed: (socket) => void server.emit('connection', socket),
    drain() {
      if (isDraining) return
      isDraining = true
      for (const response of open) if (!response.headersSent) response.shouldKeepAlive = false
      setTimeout(() => {
        hasLingered = true
        server.closeIdleConnections()
      }, IDLE_LINGER_MS).unref()
    },
    [Symbol.dispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/**
 * Reads for a while, and forgets, what a caller still sends of a request that has its answer: until then the connection
 * is of use to nobody, its sender waits, and its end would not be noticed. Closing at once could take the answer with it.
 *
 * Source: RFC 9112 §9.3, §9.6.
 */
export function discardRest(response: ServerResponse, reset: () => void): void {
  const { req: request } = response
  if (request.readableEnded || request.destroyed) return
  request.unpipe()
  request.resume()
  response.once('finish', () => {
    const late = setTimeout(() => request.complete || reset(), DISCARD_MS)
    request.once('close', () => clearTimeout(late))
  })
}

const PARSER_CODES: Readonly<Record<string, Refusal['code']>> = {
  HPE_HEADER_OVERFLOW: 'request_head_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
const IDLE_LINGER_MS = 500
const DISCARD_MS = 5_000
