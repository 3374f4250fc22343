import { createServer, type Server, type ServerResponse } from 'node:http'
import type { TcpAddress } from '../address.ts'
import { formatSocketAddress } from '../address.ts'
import { ListenError } from '../proxy/endpoint.ts'
import type { Reason } from './readiness.ts'

/** `/live` answers while the process works; `/ready` only while it really can serve, else 503 with every reason. */
export async function serveHealth(address: TcpAddress, unreadiness: () => readonly Reason[]): Promise<AsyncDisposable> {
  return serve(address, (path, response) => {
    if (path === '/live') return answer(response, 200, { status: 'live' })
    if (path !== '/ready') return answer(response, 404, { status: 'unknown', hint: '/live or /ready' })
    const reasons = unreadiness()
    return answer(response, reasons.length === 0 ? 200 : 503, {
      status: reasons.length === 0 ? 'ready' : 'not ready',
      reasons,
    })
  })
}

/** `/metrics` in Prometheus' text format. */
export async function serveMetrics(
  address: TcpAddress,
  metrics: { text: () => Promise<string>; contentType: string },
): Promise<AsyncDisposable> {
  return serve(address, (path, response) => {
    if (path !== '/metrics') return answer(response, 404, { status: 'unknown', hint: '/metrics' })
    metrics.text().then(
      (text) => void response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => answer(response, 500, { status: 'failed' }),
    )
  })
}

async function serve(
  address: TcpAddress,
  handle: (path: string, response: ServerResponse) => void,
): Promise<AsyncDisposable> {
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      if (request.method !== 'GET') answer(response, 405, { status: 'refused' })
      else handle(request.url?.split('?')[0] ?? '/', response)
    },
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = formatSocketAddress(address)
      reject(new ListenError('listen_failed', `cannot listen on ${where}: ${cause.message}`, { cause }))
    })
    server.listen(address.port, address.host, () => resolve())
  })
  return { [Symbol.asyncDispose]: () => closed(server) }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`)
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
