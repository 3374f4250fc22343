import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/** A plain connection of a service to its own agent, with everything that came back. */
export interface RawConnection {
  readonly socket: Socket
  readonly received: () => Buffer
  readonly text: () => string
  /** SHA-256 of all that came, hex; also of what is too large to keep. */
  readonly hash: () => string
  readonly bytes: () => number
  /** `end` for an end of data, the code of an error, `close` when neither came before it. */
  readonly over: Promise<string>
}

const KEPT = 1024 * 1024

export function openRaw(port: number, first: string | Uint8Array = ''): RawConnection {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const hash = createHash('sha256')
  let kept = Buffer.alloc(0)
  let bytes = 0
  const { promise: over, resolve } = Promise.withResolvers<string>()
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
    if (kept.length < KEPT) kept = Buffer.concat([kept, chunk])
  })
  socket.on('end', () => resolve('end'))
  socket.on('error', (error: Error & { code?: string }) => resolve(error.code ?? 'error'))
  socket.on('close', () => resolve('close'))
  if (first.length > 0) socket.write(first)
  return {
    socket,
    received: () => kept,
    text: () => kept.toString('latin1'),
    hash: () => hash.copy().digest('hex'),
    bytes: () => bytes,
    over,
  }
}

/** Writes bytes as they are and returns all that comes until the other side ends. */
export async function exchangeRaw(port: number, request: string): Promise<string> {
  const connection = openRaw(port, Buffer.from(request, 'latin1'))
  const deadline = setTimeout(() => connection.socket.destroy(), 30_000)
  await connection.over
  clearTimeout(deadline)
  connection.socket.destroy()
  return connection.text()
}

/** The JSON body of an answer, as a problem document has one. */
export function problemIn(answer: string): Record<string, unknown> {
  const at = answer.indexOf('\r\n\r\n')
  return JSON.parse(answer.slice(at + 4)) as Record<string, unknown>
}
