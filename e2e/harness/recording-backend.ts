import { createServer, type Socket } from 'node:net'

/** A request as it arrived, told apart strictly: what is not exactly HTTP/1.1 with one framing is an offence. */
export interface RecordedRequest {
  /** Method, target and version. */
  readonly line: string
  /** Names in lower case, in the order they came. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

/** What a connection ended with that was no whole request. */
export interface Offence {
  readonly why: string
  readonly bytes: string
}

/** A service that keeps every byte. Probes of its health are answered and not kept. */
export interface RecordingBackend extends AsyncDisposable {
  readonly port: number
  readonly requests: RecordedRequest[]
  readonly offences: Offence[]
  /** Requests that broke off, by their first line. */
  readonly broken: string[]
  /** Connections that are open, probes of its health not among them for long. */
  readonly open: () => number
  /** Writes to every open connection, whether or not anybody asked. */
  readonly push: (bytes: string) => void
}

/** Bytes, latin1, in pieces that are written one by one, and how the connection ends after them, where it does. */
export type Answer = readonly (string | End)[]

interface End {
  readonly how: 'closed' | 'reset'
}

export const CLOSED: End = { how: 'closed' }
export const RESET: End = { how: 'reset' }

/**
 * @param answerTo  Asked when a request has arrived to its end; for a target that begins with `/early` when its head
 *   has, and nothing after it is read.
 */
export async function startRecordingBackend(answerTo: (request: RecordedRequest) => Answer): Promise<RecordingBackend> {
  const requests: RecordedRequest[] = []
  const offences: Offence[] = []
  const broken: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let rest = ''
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      if (rest !== '') broken.push(rest.slice(0, Math.max(0, rest.indexOf('\r\n'))))
    })
    socket.on('data', (chunk: Buffer) => {
      rest += chunk.toString('latin1')
      if (EARLY.test(rest)) {
        const [line = ''] = rest.split('\r\n', 1)
        rest = ''
        socket.removeAllListeners('data').pause()
        void answer(socket, answerTo({ line, headers: [], body: '' }))
        return
      }
      for (;;) {
        const read = readRequest(rest)
        if (read === undefined) return
        if ('why' in read) {
          offences.push(read)
          rest = ''
          socket.destroy()
          return
        }
        rest = rest.slice(read.size)
        const isProbe = read.request.line === 'GET /health HTTP/1.1'
        if (!isProbe) requests.push(read.request)
        void answer(socket, isProbe ? [HEALTHY] : answerTo(read.request))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests,
    offences,
    broken,
    open: () => sockets.size,
    push(bytes) {
      for (const socket of sockets) socket.write(Buffer.from(bytes, 'latin1'))
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function answer(socket: Socket, pieces: Answer): Promise<void> {
  for (const piece of pieces) {
    if (piece === CLOSED) socket.destroySoon()
    else if (piece === RESET) socket.resetAndDestroy()
    else if (typeof piece === 'string') {
      socket.write(Buffer.from(piece, 'latin1'))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const HEALTHY = 'HTTP/1.1 204 No Content\r\n\r\n'
const EARLY = /^[A-Z]+ \/early[^]*\r\n\r\n/
const REQUEST_LINE = /^[A-Z-]+ \/[!-~]* HTTP\/1\.1$/
const HEADER = /^([!#$%&'*+.^`|~0-9A-Za-z_-]+): ?([\t\x20-\x7e\x80-\xff]*)$/

type Read = { readonly request: RecordedRequest; readonly size: number } | Offence | undefined

/** `undefined` while it is not complete. */
function readRequest(text: string): Read {
  if (text === '') return undefined
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return text.length > 100_000 ? offence('a head without end', text) : undefined
  const [line = '', ...fields] = text.slice(0, end).split('\r\n')
  if (!REQUEST_LINE.test(line)) return offence('not a request line', text)
  const headers: [string, string][] = []
  for (const field of fields) {
    const [, name, value] = HEADER.exec(field) ?? []
    if (name === undefined || value === undefined) return offence(`not a header: ${field}`, text)
    headers.push([name.toLowerCase(), value])
  }
  const lengths = headers.filter(([name]) => name === 'content-length')
  const codings = headers.filter(([name]) => name === 'transfer-encoding')
  if (lengths.length + codings.length > 1) return offence('framed twice', text)
  if (headers.filter(([name]) => name === 'host').length !== 1) return offence('not exactly one host', text)
  const at = end + 4
  if (codings.length === 1) {
    if (codings[0]?.[1] !== 'chunked') return offence('an unknown coding', text)
    const read = readChunks(text, at)
    return read === undefined || 'why' in read ? read : { request: { line, headers, body: read.body }, size: read.end }
  }
  const length = lengths[0]?.[1] ?? '0'
  if (!/^(0|[1-9]\d*)$/.test(length)) return offence('not a length', text)
  if (text.length < at + Number(length)) return undefined
  const body = text.slice(at, at + Number(length))
  return { request: { line, headers, body }, size: at + Number(length) }
}

function readChunks(text: string, from: number): { body: string; end: number } | Offence | undefined {
  let body = ''
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = text.slice(at, lineEnd)
    if (!/^[0-9a-f]{1,8}$/i.test(size)) return offence(`not a chunk size: ${size}`, text)
    const length = Number.parseInt(size, 16)
    const end = lineEnd + 2 + length
    if (text.length < end + 2) return undefined
    if (text.slice(end, end + 2) !== '\r\n') return offence('a chunk of another size', text)
    body += text.slice(lineEnd + 2, end)
    at = end + 2
    if (length === 0) return { body, end: at }
  }
}

function offence(why: string, bytes: string): Offence {
  return { why, bytes: bytes.slice(0, 2000) }
}
