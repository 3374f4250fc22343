import { type ConnectionOptions, connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls'

/** A certificate with its chain and key, PEM. */
export interface Shown {
  readonly chainPem: string
  readonly keyPem: string
}

/** What an agent's inbound port says to a TLS client before anything else. */
export interface Greeting {
  /** `OK`, the code of a refusal, or `closed` when nothing was said. */
  readonly said: string
  readonly rule: string | undefined
  readonly connection: string | undefined
  readonly protocol: string | null
}

/** Shakes hands with an agent's inbound port as another agent would, with whatever certificate, and listens. */
export async function greet(port: number, shown: Shown | undefined): Promise<Greeting> {
  const socket = dialAsAgent(port, shown)
  let bytes = Buffer.alloc(0)
  let protocol: string | null = null
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => socket.destroy(), 20_000)
  socket.on('secureConnect', () => (protocol = socket.getProtocol()))
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (decode(bytes).said !== 'closed') resolve()
  })
  socket.on('error', () => {}) // a reset after the refusal is as good as an end
  socket.on('close', () => resolve())
  await promise
  clearTimeout(deadline)
  socket.destroy()
  return { ...decode(bytes), protocol }
}

/** A connection to an agent's inbound port that stays open, as another agent keeps one. */
export interface AgentConnection {
  readonly socket: TLSSocket
  /** As in a greeting; `closed` for whoever got nothing, in time or at all. */
  readonly said: string
  /** What the other side gave for a resumption later. */
  readonly tickets: readonly Buffer[]
  readonly isOver: () => boolean
  /** Settles when the connection is closed, whoever did it. */
  readonly over: Promise<void>
}

/** Shakes hands as an agent and waits for the answer, at most a minute. What comes after it is the caller's to read. */
export async function openAsAgent(
  port: number,
  shown: Shown | undefined,
  options: DialOptions = {},
): Promise<AgentConnection> {
  const socket = dialAsAgent(port, shown, options)
  let bytes = Buffer.alloc(0)
  let isOver = false
  const tickets: Buffer[] = []
  socket.on('session', (ticket: Buffer) => tickets.push(ticket))
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {}) // an end by reset is an end
  socket.once('close', () => (isOver = true))
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => socket.destroy(), 60_000)
  const read = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (decode(bytes).said !== 'closed') resolve()
  }
  socket.on('data', read)
  await Promise.race([promise, over])
  clearTimeout(deadline)
  socket.off('data', read)
  socket.resume()
  return { socket, said: decode(bytes).said, tickets, isOver: () => isOver, over }
}

/** node:tls passes the address on to node:net, and does not say so in its type. */
type DialOptions = ConnectionOptions & { readonly localAddress?: string }

/** A TLS connection with the protocol of agents, to whoever answers. */
function dialAsAgent(port: number, shown: Shown | undefined, options: DialOptions = {}): TLSSocket {
  return connect({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['vcc/1'],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.3',
    ...(shown === undefined ? {} : { key: shown.keyPem, cert: shown.chainPem }),
    ...options,
  })
}

function decode(bytes: Buffer): Omit<Greeting, 'protocol'> {
  const nothing = { said: 'closed', rule: undefined, connection: undefined }
  const word = bytes.subarray(0, 2).toString('latin1')
  if (word === 'OK') return { ...nothing, said: 'OK' }
  if (word !== 'NO' || bytes.length < 4 || bytes.length < 4 + bytes.readUInt16BE(2)) return nothing
  const record = JSON.parse(bytes.subarray(4, 4 + bytes.readUInt16BE(2)).toString('utf8')) as {
    code: string
    rule: string
    connection: string
  }
  return { said: record.code, rule: record.rule, connection: record.connection }
}

export interface Impostor extends AsyncDisposable {
  /** Everything that clients wrote after the handshake. */
  readonly heard: () => Buffer
  /** For each handshake, whether a session was resumed. */
  readonly resumed: () => readonly boolean[]
}

export interface ImpostorOptions extends TlsOptions {
  /** What it says to whoever shakes hands. */
  readonly first?: Uint8Array
  /** What it says whenever it hears something. */
  readonly answer?: Uint8Array
}

/** Stands where an agent's inbound port was, with whatever certificate. Gives out tickets, as Node does by itself. */
export async function startImpostor(port: number, shown: Shown, options: ImpostorOptions = {}): Promise<Impostor> {
  const { first, answer, ...tls } = options
  const sockets = new Set<TLSSocket>()
  const resumed: boolean[] = []
  let heard = Buffer.alloc(0)
  const server = createServer({
    key: shown.keyPem,
    cert: shown.chainPem,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['vcc/1'],
    ...tls,
  })
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    resumed.push(socket.isSessionReused())
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
      if (answer !== undefined) socket.write(answer)
    })
    if (first !== undefined) socket.write(first)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    heard: () => heard,
    resumed: () => resumed,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
