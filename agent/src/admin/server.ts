import { randomBytes } from 'node:crypto'
import { chmod, lstat, rename, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { errorCode } from '@vcc/runtime'
import { AgentError } from '../errors.ts'

/** What the socket answers. Whoever may open it (mode 0600) may ask all of it. */
export interface AdminHandlers {
  readonly status: () => unknown
  /** @throws {AgentError} `admin_request_invalid` */
  readonly explain: (
    source: string,
    target: string,
  ) => { allowed: boolean; rule: string; code: string | null; explanation: string }
  readonly drain: () => Promise<{ cut: number }>
  /** @throws {AgentError} `admin_request_invalid` */
  readonly logLevel: (level: string) => { level: string }
}

const BODY_BYTES = 4096

/**
 * Serves the admin socket. A dead one is replaced, anything else in its place is not.
 * @throws {AgentError} `state_folder_busy` when another agent answers there, `admin_socket_unusable`
 */
export async function serveAdmin(path: string, handlers: AdminHandlers): Promise<AsyncDisposable> {
  if (await isAnswered(path)) throw new AgentError('state_folder_busy', `another agent answers on ${path}`)
  await assertReplaceable(path)
  // No longer than `admin.sock`: the kernel has 107 bytes for the whole path.
  const temporary = join(dirname(path), `.${randomBytes(4).toString('hex')}`)
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 8192 }, (request, response) => {
    respond(request, handlers).then(
      (body) => response.writeHead(200, JSON_TYPE).end(`${JSON.stringify(body)}\n`),
      (error: unknown) => {
        const known = error instanceof AgentError
        const problem = known
          ? { code: error.code, message: error.message, hint: error.hint }
          : { code: 'internal', message: 'internal error' }
        response.writeHead(known ? 400 : 500, JSON_TYPE).end(`${JSON.stringify(problem)}\n`)
      },
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(unusable(path, `cannot be made in ${dirname(path)}`, { cause })))
    server.listen(temporary, () => resolve())
  })
  // Nobody knows its name before it is closed to others.
  await chmod(temporary, 0o600)
  await rename(temporary, path)
  return {
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>()
      server.close(() => resolve())
      server.closeAllConnections()
      await promise
      await unlink(path).catch(() => {})
    },
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

async function respond(request: IncomingMessage, handlers: AdminHandlers): Promise<unknown> {
  const route = `${request.method} ${request.url}`
  if (route === 'GET /status') return handlers.status()
  if (route === 'POST /drain') return handlers.drain()
  const body = await readBody(request)
  if (route === 'POST /explain') return handlers.explain(text(body, 'source'), text(body, 'target'))
  if (route === 'PUT /log-level') return handlers.logLevel(text(body, 'level'))
  throw new AgentError('admin_request_invalid', `there is no ${route}`)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > BODY_BYTES) throw new AgentError('admin_request_invalid', 'the request is too large')
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new AgentError('admin_request_invalid', 'the request is not JSON', { cause })
  }
}

function text(body: unknown, name: string): string {
  const value = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined
  if (typeof value === 'string' && value.length <= 500) return value
  throw new AgentError('admin_request_invalid', `the request lacks ${name}`)
}

async function assertReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch((cause: unknown) => {
    if (errorCode(cause) !== 'ENOENT') throw unusable(path, 'cannot be looked at', { cause })
  })
  if (found?.isSocket() === false) throw unusable(path, 'is a file that is no socket')
}

function unusable(path: string, why: string, options: ErrorOptions = {}): AgentError {
  return new AgentError('admin_socket_unusable', `the admin socket ${path} ${why}`, options)
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
