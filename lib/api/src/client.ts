import { type Dispatcher, request as send } from 'undici'
import { ROUTES, type RouteInput, type RouteName, type RouteOutput } from './routes.ts'
import type { ProblemDocument } from './schemas/problem.ts'

/** An answer of the API that is a problem document. Transport faults are undici's own errors. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: ProblemDocument

  constructor(problem: ProblemDocument) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }

  get code(): string {
    return this.problem.code
  }
}

export interface ClientOptions {
  /** `https://control.vcc.internal:8444`, without a path. */
  readonly baseUrl: string
  /** Carries the TLS identity, the trust and the time limits of connecting. */
  readonly dispatcher: Dispatcher
  /** For the whole of one call. Default 30 s. */
  readonly timeoutMs?: number
}

export interface ApiClient {
  call<N extends RouteName>(
    route: N,
    input: RouteInput<N>,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<RouteOutput<N>>
}

/**
 * A client of the control plane's API, typed by the route table.
 * Sends JSON, reads JSON or bytes, as the route says, at most 16 MiB of them, follows no redirect and retries nothing.
 *
 * @throws {ApiProblem} for every answer that is not a success.
 */
export function apiClient(options: ClientOptions): ApiClient {
  return {
    async call(name, input, callOptions = {}) {
      const route = ROUTES[name]
      const { params, query, body } = input as { params?: object; query?: object; body?: object }
      const limit = AbortSignal.timeout(callOptions.timeoutMs ?? options.timeoutMs ?? 30_000)
      const response = await send(options.baseUrl + pathOf(route.path, params) + queryOf(query), {
        method: route.method,
        dispatcher: options.dispatcher,
        signal: callOptions.signal ? AbortSignal.any([limit, callOptions.signal]) : limit,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
      })
      const answer = await readBytes(response.body)
      const isSuccess = response.statusCode >= 200 && response.statusCode < 300
      if (isSuccess && 'produces' in route) return answer as RouteOutput<typeof name>
      if (isSuccess) return asJson(answer) as RouteOutput<typeof name>
      throw new ApiProblem(asProblem(asJson(answer), response.statusCode))
    },
  }
}

const ANSWER_LIMIT = 16 * 1024 * 1024

async function readBytes(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > ANSWER_LIMIT) {
      body.destroy()
      throw new Error(`the answer is larger than ${ANSWER_LIMIT} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function asJson(bytes: Buffer): unknown {
  const text = bytes.toString('utf8')
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An answer that is not ours (a proxy's error page, an empty body) still gets a code. */
function asProblem(answer: unknown, status: number): ProblemDocument {
  if (typeof answer === 'object' && answer !== null && 'code' in answer && 'title' in answer)
    return answer as ProblemDocument
  return {
    type: 'about:blank',
    title: `HTTP ${status}`,
    status,
    code: status === 503 ? 'unavailable' : 'answer_not_understood',
  }
}

function pathOf(template: string, params: object = {}): string {
  const values = params as Record<string, string | number>
  return template.replaceAll(/:(\w+)/g, (_, key: string) => encodeURIComponent(String(values[key])))
}

function queryOf(query: object = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined)
  return pairs.length === 0
    ? ''
    : `?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString()}`
}
