import { createHash, randomBytes } from 'node:crypto'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'

/** A service in the test's own process, which sees every byte and every end of a connection. */
export interface LocalService extends AsyncDisposable {
  readonly port: number
}

/** A request as it arrived, headers in their order and spelling. */
export interface ArrivedRequest {
  readonly method: string
  readonly url: string
  /** Name, value, name, value. */
  readonly rawHeaders: readonly string[]
  readonly rawTrailers: readonly string[]
  readonly body: Buffer
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface HttpService extends LocalService {
  /** What has arrived to its end, but for probes of its health. */
  readonly arrived: ArrivedRequest[]
}

/** Answers paths by the table; anything else with 200 and nothing. Bodies above 1 MiB are hashed by the table's own. */
export async function startHttpService(answers: Readonly<Record<string, Answer>>): Promise<HttpService> {
  const arrived: ArrivedRequest[] = []
  const server = createHttpServer((request, response) => {
    const url = request.url ?? ''
    if (url === '/health') return void response.end('well')
    const answer = answers[url.split('?')[0] ?? '']
    if (answer !== undefined) return answer(request, response)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', rawHeaders, rawTrailers } = request
      arrived.push({ method, url, rawHeaders, rawTrailers, body: Buffer.concat(chunks) })
      response.end('arrived')
    })
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  return { ...(await listening(server)), arrived }
}

export interface TcpService extends LocalService {
  /** Connections by what their first line asked for; probes of its health are not among them. */
  readonly connections: { readonly asked: string; readonly socket: Socket; end: string }[]
}

/**
 * Does what the first line of a connection asks for:
 * `echo`, `hash` (of all that comes until the client's end), `send N`, `first-to-end`, `hold`, `reset`.
 * Speaks HTTP/2 with prior knowledge and answers an Upgrade, too.
 */
export async function startTcpService(): Promise<TcpService> {
  const connections: TcpService['connections'] = []
  const http2 = createHttp2Server()
  http2.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'seen-path': headers[':path'] ?? '' }))
    stream.pipe(stream)
  })
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    let head = Buffer.alloc(0)
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      const line = head.indexOf('\n')
      if (line < 0) return
      socket.off('data', read)
      const asked = head.subarray(0, line).toString('latin1').trim()
      if (asked.startsWith('GET /health')) {
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        return
      }
      const connection = { asked, socket, end: 'open' }
      connections.push(connection)
      socket.on('end', () => (connection.end = 'ended'))
      socket.on('error', (error: Error & { code?: string }) => (connection.end = error.code ?? 'error'))
      if (asked.startsWith('PRI * HTTP/2.0')) {
        http2.emit('connection', socket)
        socket.unshift(head)
        return
      }
      socket.pause()
      socket.unshift(head.subarray(line + 1))
      serve(asked, socket)
      socket.resume()
    }
    socket.on('data', read)
  })
  return { ...(await listening(server)), connections }
}

function serve(asked: string, socket: Socket): void {
  const [word, argument] = asked.split(' ')
  if (word === 'echo') socket.pipe(socket)
  else if (word === 'send') randomStream(Number(argument)).pipe(socket)
  else if (word === 'reset') socket.once('data', () => socket.resetAndDestroy())
  else if (word === 'hash' || word === 'first-to-end') {
    const hash = createHash('sha256')
    if (word === 'first-to-end') socket.end('goodbye')
    socket.on('data', (chunk: Buffer) => hash.update(chunk))
    socket.on('end', () => {
      const digest = hash.digest('hex')
      if (word === 'hash') socket.end(digest)
      else socket.emit('hashed', digest)
    })
  } else if (word === 'GET') {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    socket.pipe(socket)
  }
}

const BLOCK = randomBytes(65_536)

/** `size` bytes of a repeated random block, made as they are asked for. */
export function randomStream(size: number): Readable {
  let left = size
  return new Readable({
    highWaterMark: BLOCK.length,
    read() {
      if (left === 0) return void this.push(null)
      const chunk = BLOCK.subarray(0, Math.min(left, BLOCK.length))
      left -= chunk.length
      this.push(chunk)
    },
  })
}

/** SHA-256 of what `randomStream(size)` gives, hex. */
export function randomStreamHash(size: number): string {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= BLOCK.length) hash.update(BLOCK.subarray(0, Math.min(left, BLOCK.length)))
  return hash.digest('hex')
}

export async function hashOf(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk)
  return hash.digest('hex')
}

async function listening(server: Server): Promise<LocalService> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
