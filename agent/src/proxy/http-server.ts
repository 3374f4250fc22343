import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ProxyLimits } from './config.ts'
import { ignore, KEEP_ALIVE_MS } from './endpoint.ts'
import { createPipeline } from './http-pipeline.ts'
import { sendProblem, sendRawProblem } from './problem.ts'
import type { Refusal } from './refusal.ts'

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
}

/**
 * An HTTP/1.1 server with the strict parser and a deadline for every head. It may listen itself, or be fed with
 * connections by `serve`. Protocol changes are never made: `checkRequestHead` refuses what asks for one.
 */
export function createHttpServer(handlers: HttpServerHandlers, limits: ProxyLimits): Server {
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
  const inTurn = (response: ServerResponse, work: () => void) => {
    if (pipeline.add(response, work)) return
    answerWith(response, { code: 'upstream_busy', rule: 'limits' })
  }
  const answerWith = (response: ServerResponse, refusal: Refusal) =>
    sendProblem(response, refusal, { side: handlers.side, ...handlers.describe(response.req.socket) }, { close: true })
  const endWith = (socket: Duplex, refusal: Refusal) =>
    pipeline.end(socket, () => {
      sendRawProblem(socket, refusal, { side: handlers.side, ...handlers.describe(socket) })
      socket.destroy()
    })

  server.on('request', (request, response) => inTurn(response, () => handlers.onRequest(request, response, false)))
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    inTurn(response, () => handlers.onRequest(request, response, true)),
  )
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) =>
    inTurn(response, () => answerWith(response, { code: 'expectation_refused', rule: 'http' })),
  )
  server.on('connect', (_request, socket: Duplex) => endWith(socket, { code: 'request_malformed', rule: 'http' }))
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    socket.on('error', ignore)
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    endWith(socket, { code: PARSER_CODES[error.code ?? ''] ?? 'request_malformed', rule: 'http' })
  })
  return server
}

/**
 * Prepares a server that is fed and never listens: node:http watches the deadlines of heads only from the event
 * `listening` on (mesh-S6 shows that it does).
 */
export function startFed(server: Server): void {
  server.emit('listening')
}

const PARSER_CODES: Readonly<Record<string, Refusal['code']>> = {
  HPE_HEADER_OVERFLOW: 'request_head_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}
