import { randomUUID } from 'node:crypto'
import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { ROUTES, type Route, type RouteAccess, type RouteName } from '@vcc/api'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { Compile } from 'typebox/compile'
import { Value } from 'typebox/value'
import { DomainError } from '../errors.ts'
import { problem, problemFor } from '../problems.ts'
import type { Caller } from './caller.ts'
import type { Handler, Handlers } from './handlers.ts'

export interface AppDeps {
  readonly handlers: Handlers
  /** Who is at the other end of this connection; asked for every request, since certificates end and are withdrawn. */
  readonly callerOf: (socket: TLSSocket) => Promise<Caller>
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
  const app = Fastify({
    serverFactory: (handler) => {
      server.on('request', handler)
      return server
    },
    bodyLimit: BODY_LIMIT,
    requestTimeout: 30_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 65_000,
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    logger: false,
    forceCloseConnections: true,
    return503OnClosing: true,
  })
  app.setValidatorCompiler<never>(({ schema, httpPart }) => validator(schema, httpPart))
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler((error, request, reply) => {
    const document = problemFor(error, request.id)
    if (document.status >= 500)
      deps.events.failed({ route: request.routeOptions.url ?? '', requestId: request.id }, error)
    return reply.code(document.status).type('application/problem+json').send(document)
  })
  app.setNotFoundHandler((request, reply) => {
    const document = problem('route_unknown', request.id, `there is no ${request.method} ${request.url.split('?')[0]}`)
    return reply.code(document.status).type('application/problem+json').send(document)
  })
  for (const name of only ?? (Object.keys(ROUTES) as RouteName[])) mount(app, name, deps)
  return app
}

function mount<N extends RouteName>(app: FastifyInstance, name: N, deps: AppDeps): void {
  const route: Route = ROUTES[name]
  const handler = deps.handlers[name] as Handler<N>
  app.route({
    method: route.method,
    url: route.path,
    bodyLimit: route.bodyLimit ?? BODY_LIMIT,
    schema: {
      ...(route.params ? { params: route.params } : {}),
      ...(route.query ? { querystring: route.query } : {}),
      ...(route.body ? { body: route.body } : {}),
    },
    handler: async (request, reply) => {
      const startedAt = performance.now()
      const caller = await deps.callerOf(request.raw.socket as TLSSocket)
      await authorise(route, name, caller, request, deps)
      const gone = new AbortController()
      request.raw.once('close', () => gone.abort())
      const input = { params: request.params, query: request.query, body: request.body } as Parameters<
        typeof handler
      >[0]
      const context = { caller, requestId: request.id, signal: gone.signal } as Parameters<typeof handler>[1]
      const answer = await handler(input, context)
      const status = route.status ?? 200
      const durationMs = performance.now() - startedAt
      deps.events.answered({ route: name, status, caller: caller.kind, requestId: request.id, durationMs })
      return reply.code(status).type('application/json').header('cache-control', 'no-store').send(answer)
    },
  })
}

async function authorise(
  route: Route,
  name: string,
  caller: Caller,
  request: FastifyRequest,
  deps: AppDeps,
): Promise<void> {
  const refusal = refusalOf(route.access, caller)
  if (refusal === undefined) return
  await deps.events.denied({ route: name, caller, code: refusal.code, requestId: request.id })
  throw refusal
}

function refusalOf(access: RouteAccess, caller: Caller): DomainError | undefined {
  if (access === 'open') return undefined
  if (caller.kind === 'anonymous') {
    return caller.refused === undefined
      ? new DomainError('client_certificate_required', 'this route answers holders of a client certificate only', {
          hint: 'agents: vcc-agent join; people: vcc-pki configure --client-cert FILE',
        })
      : new DomainError('client_certificate_refused', `the client certificate is not accepted: ${caller.refused}`)
  }
  if (access === 'agent') {
    return caller.kind === 'agent' ? undefined : new DomainError('not_allowed', 'this route answers agents only')
  }
  if (caller.kind === 'admin' && caller.permissions.has(access)) return undefined
  return new DomainError('not_allowed', `this needs the permission ${access}`)
}

/** Bodies are taken as they are; path and query text is converted to the numbers and booleans its schema names. */
function validator(schema: object, httpPart: string | undefined) {
  const compiled = Compile(schema)
  return (value: unknown) => {
    const given = httpPart === 'body' ? value : Value.Convert(schema, value)
    if (compiled.Check(given)) return { value: given }
    const faults = compiled
      .Errors(given)
      .slice(0, 20)
      .map((fault) => ({ at: `${httpPart ?? 'request'}${fault.instancePath}`, message: fault.message }))
    return { error: new DomainError('request_invalid', `${httpPart ?? 'request'} does not fit its schema`, { faults }) }
  }
}
