import http from 'node:http'
import net from 'node:net'
import type { SocketAddress } from '../address.ts'
import type { ServiceHealth } from './readiness.ts'

/**
 * Asks the local service whether it is there: by `GET path` (any status below 400 is well) or, without a path, by connecting.
 * Takes at most `timeoutMs` (default 3 s). Reads no more of an answer than its head.
 */
export async function probeService(
  target: SocketAddress,
  path: string | undefined,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<ServiceHealth> {
  const limit = AbortSignal.timeout(options.timeoutMs ?? 3000)
  const signal = options.signal ? AbortSignal.any([limit, options.signal]) : limit
  try {
    if (path === undefined) await connect(target, signal)
    else await get(target, path, signal)
    return { health: 'ok' }
  } catch (error) {
    if (limit.aborted) return { health: 'failing', detail: 'no answer in time' }
    return { health: 'failing', detail: reasonOf(error) }
  }
}

async function connect(target: SocketAddress, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = net.connect(dialOptions(target))
  const abort = () => reject(new Error('aborted'))
  signal.addEventListener('abort', abort, { once: true })
  socket.once('connect', resolve).once('error', reject)
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

async function get(target: SocketAddress, path: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = http.get({
    ...dialOptions(target),
    path,
    signal,
    agent: false,
    headers: { 'user-agent': 'vcc-agent' },
  })
  request.once('error', reject)
  request.once('response', (response) => {
    const status = response.statusCode ?? 0
    response.destroy()
    if (status >= 200 && status < 400) resolve()
    else reject(new Error(`${path} answers with status ${status}`))
  })
  await promise
}

function dialOptions(
  target: SocketAddress,
): { path: string } | { host: string; port: number } | { socketPath: string; path: string } {
  if (target.kind === 'tcp') return { host: target.host, port: target.port }
  return { socketPath: target.path, path: target.path }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  if ('code' in error && error.code === 'ECONNREFUSED') return 'connection refused'
  if ('code' in error && error.code === 'ENOENT') return 'its socket does not exist'
  return error.message
}
