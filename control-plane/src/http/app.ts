import { randomUUID } from 'node:crypto'
import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { ROUTES, type Route, type RouteName } from '@vcc/api'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { DomainError } from '../errors.ts'
import { problem, problemFor, retryAfterSeconds } from '../problems.ts'
import { authorise } from './authorise.ts'
import type { Caller } from './caller.ts'
import type { Handler, Handlers } from './handlers.ts'
import { validator } from './validator.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the body is read. */
    caller: Caller
  }
}

export interface AppDeps {
  readonly handlers: Handlers
  /** Who is at the other end of this connection; asked for every request, since certificates end and are withdrawn. */
  readonly callerOf: (socket: TLSSocket) => Promise<Caller>
  /** Whether an anonymous caller from this address may ask once more; every one costs a signature check or a token. */
  readonly admitAddress: (address: string) => boolean
  /** Whether this caller may be refused once more with an audit row. */
  readonly admitDenied: (caller: string) => boolean
  /** Aborted when the server is about to stop: answers that wait for agents are given as they are. */
  readonly stopping: AbortSignal
  readonly events: AppEvents
}

export interface AppEvents {
  readonly answered: (fact: {
    route: string
    status: number
    caller: string
    requestId: string
    durationMs: number
  }) => void
  readonly failed: (fact: { route: string; requestId: string }, cause: unknown) => void
  readonly denied: (fact: { route: string; caller: Caller; code: string; requestId: string }) => Promise<void>
}

const BODY_LIMIT = 64 * 1024

/** The routes of the contract on one HTTPS server. `only` restricts them, as on the public listener before OIDC. */
export function createApp(server: Server, deps: AppDeps, only?: readonly RouteName[]): FastifyInstance {
  boundRequests(server)
  const app = Fastify({
    serverFactory: (handler) => {
      server.on('request', handler)
      return server
    },
    bodyLimit: BODY_LIMIT,
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    logger: false,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    frameworkErrors: (error, request, reply) => answerFailure(error, request, reply, deps),
    clientErrorHandler: (_error, socket) => refuseGarbage(socket),
  })
  app.decorateRequest('caller')
  app.setValidatorCompiler<never>(({ schema, httpPart }) => validator(schema, httpPart))
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler((error: FastifyError, request, reply) => answerFailure(error, request, reply, deps))
  app.setNotFoundHandler((request, reply) => {
    const detail = `there is no ${request.method} ${request.url.split('?')[0]}`
    return answerFailure(new DomainError('route_unknown', detail), request, reply, deps)
  })
  app.addHook('onResponse', (request, reply, done) => {
    const route = routeOf(request)
    const caller = (request.caller as Caller | undefined)?.kind ?? 'anonymous' // none on a route that does not exist
    const fact = { route, caller, requestId: request.id, durationMs: reply.elapsedTime }
    deps.events.answered({ ...fact, status: reply.statusCode })
    done()
  })
  for (const name of only ?? (Object.keys(ROUTES) as RouteName[])) mount(app, name, deps)
  return app
}

/** Fastify leaves a server that it did not make as it is. */
function boundRequests(server: Server): void {
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.keepAliveTimeout = 65_000
  server.setTimeout(120_000) // an answer may wait a minute for agents
}

interface RouteConfig {
  readonly name?: RouteName
}

function mount(app: FastifyInstance, name: RouteName, deps: AppDeps): void {
  const route: Route = ROUTES[name]
  const handler = deps.handlers[name] as Handler<RouteName> // its row in the table says what it takes
  app.route({
    method: route.method,
    url: route.path,
    bodyLimit: route.bodyLimit ?? BODY_LIMIT,
    config: { name } satisfies RouteConfig,
    schema: {
      ...(route.params ? { params: route.params } : {}),
      ...(route.query ? { querystring: route.query } : {}),
      ...(route.body ? { body: route.body } : {}),
    },
    // Before the body is read: who may not call has none of it parsed.
    onRequest: async (request) => {
      request.caller = await deps.callerOf(request.raw.socket as TLSSocket) // every connection of ours is TLS
      await authorise(request.caller, { name, access: route.access, address: request.ip, requestId: request.id }, deps)
    },
    handler: async (request, reply) => {
      const input = { params: request.params, query: request.query, body: request.body } as Parameters<
        typeof handler
      >[0]
      const context = {
        caller: request.caller,
        requestId: request.id,
        // Made for those who ask: few wait.
        get signal() {
          return AbortSignal.any([goneSignal(reply), deps.stopping])
        },
      } as Parameters<typeof handler>[1]
      const answer = await handler(input, context)
      return reply
        .code(route.status ?? 200)
        .type(route.produces ?? 'application/json')
        .header('cache-control', 'no-store')
        .send(route.produces === undefined ? answer : Buffer.from(answer as Uint8Array)) // its row says so
    },
  })
}

/** The response closes with its connection; the request does as soon as its body is read. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  if (raw.closed) gone.abort()
  raw.once('close', () => gone.abort())
  return gone.signal
}

function answerFailure(error: unknown, request: FastifyRequest, reply: FastifyReply, deps: AppDeps): void {
  const document = problemFor(error, request.id)
  if (document.status >= 500) deps.events.failed({ route: routeOf(request), requestId: request.id }, error)
  const waitSeconds = retryAfterSeconds(document)
  if (waitSeconds !== undefined) reply.header('retry-after', String(waitSeconds))
  reply.code(document.status).type('application/problem+json').header('cache-control', 'no-store').send(document)
}

function routeOf(request: FastifyRequest): string {
  const config = request.routeOptions.config as RouteConfig | undefined // as `mount` wrote it, where it did
  return config?.name ?? 'unknown'
}

/** What is no HTTP gets one answer and the end of the connection. */
function refuseGarbage(socket: { writable: boolean; end: (text: string) => void; destroy: () => void }): void {
  if (!socket.writable) return socket.destroy()
  const body = JSON.stringify(problem('request_invalid', randomUUID(), 'this is not an HTTP request we can read'))
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}
