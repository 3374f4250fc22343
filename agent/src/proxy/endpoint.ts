import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server, type Socket } from 'node:net'
import { formatSocketAddress, type SocketAddress } from '../address.ts'

/** Why a listener could not be bound; `message` names the endpoint. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: 'listen_failed' | 'listen_in_use' | 'listen_not_a_socket'

  constructor(code: ListenError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Nobody answered the connect in time. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout'
  override readonly message = 'nobody answered in time'
}

/**
 * Binds `server`. A Unix socket gets mode 0660, and replaces a file in its place only when that is a socket on which
 * nobody listens any more.
 *
 * @throws {ListenError}
 */
export async function listenOn(server: Server, endpoint: SocketAddress): Promise<void> {
  if (endpoint.kind === 'unix') await removeDeadSocket(endpoint.path)
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(
        new ListenError('listen_failed', `cannot listen on ${formatSocketAddress(endpoint)}: ${cause.message}`, {
          cause,
        }),
      )
    server.once('error', failed)
    server.listen({ ...placeOf(endpoint), backlog: BACKLOG }, () => {
      server.off('error', failed)
      resolve()
    })
  })
  if (endpoint.kind === 'unix') await chmod(endpoint.path, SOCKET_MODE)
}

/** Where the server listens, with the port that the kernel chose when the configuration said 0. */
export function boundEndpoint(server: Server): SocketAddress | undefined {
  const address = server.address()
  if (address === null) return undefined
  return typeof address === 'string'
    ? { kind: 'unix', path: address }
    : { kind: 'tcp', host: address.address, port: address.port }
}

/** Connects, half-open capable and with keep-alive. Rejects at `deadlineMs`, with the socket destroyed. */
export function connectTo(endpoint: SocketAddress, deadlineMs: number, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...placeOf(endpoint),
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    })
    const timer = setTimeout(() => fail(new ConnectTimeout()), deadlineMs)
    const onAbort = () => fail(new Error('given up'))
    signal?.addEventListener('abort', onAbort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off('error', fail)
    }
    const fail = (error: Error) => {
      settle()
      socket.on('error', ignore)
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
    if (signal?.aborted === true) onAbort()
  })
}

/**
 * Ends a plain socket so that the other side sees a failure, not an end of data: RST where there is TCP. Of a TLS socket
 * reset the TCP socket below: its own end would read as an end of data.
 */
export function resetSocket(socket: Socket): void {
  socket.on('error', ignore)
  if (socket.destroyed) return
  // resetAndDestroy refuses Unix sockets; closing one with unread bytes already reads as a reset.
  if (socket.remotePort === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

export function ignore(): void {}

function placeOf(endpoint: SocketAddress): { path: string } | { host: string; port: number } {
  return endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port }
}

async function removeDeadSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new ListenError('listen_not_a_socket', `${path} exists and is not a socket`)
  const alive = await connectTo({ kind: 'unix', path }, PROBE_MS).then(
    (socket) => {
      socket.on('error', ignore)
      socket.destroy()
      return true
    },
    () => false,
  )
  if (alive) throw new ListenError('listen_in_use', `another process listens on ${path}`)
  await unlink(path)
}

export const KEEP_ALIVE_MS = 60_000
const SOCKET_MODE = 0o660
const BACKLOG = 511
const PROBE_MS = 2_000
