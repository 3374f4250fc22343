import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { CONTROL_CLIENT_ID, isInstanceId, limitPackets, MESH_TLS, mayPublish, maySubscribe } from '@vcc/mesh'
import { Aedes, type Client, type ConnectPacket } from 'aedes'
import { limitHandshakes } from '../tls/handshake-limit.ts'
import { type ListenAddress, listenOn } from '../tls/listen.ts'

export interface EmbeddedBrokerDeps {
  /** Judges the client's certificate; the answer is the one client id it may use, or nothing. */
  readonly clientIdOf: (socket: TLSSocket) => Promise<string | undefined>
  readonly events: BrokerEvents
}

export interface BrokerEvents {
  readonly connected: (clientId: string) => void
  readonly disconnected: (clientId: string) => void
  readonly refused: (
    clientId: string,
    why: 'session' | 'certificate' | 'client_id' | 'publish' | 'subscribe' | 'withdrawn',
  ) => void
  readonly failed: (error: unknown) => void
}

export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number
  readonly isConnected: (clientId: string) => boolean
  /** Ends a client's connection at once, if it has one. */
  readonly disconnect: (clientId: string) => void
  /** Judges the certificates of all connections again: ends those that have expired or were withdrawn. */
  readonly review: () => Promise<void>
  /** New connections use this identity; those that are open stay. */
  readonly renewIdentity: (identity: SecureContextOptions) => void
}

/**
 * The embedded MQTT 3.1.1 broker: mutual TLS 1.3, client id = certificate CN, exact topic lists, clean sessions
 * without wills. Keeps nothing on disk, and nothing for a client that is away: the database is the truth, and retained
 * state is published again at start.
 */
export async function startEmbeddedBroker(
  listen: ListenAddress,
  identity: SecureContextOptions,
  deps: EmbeddedBrokerDeps,
): Promise<EmbeddedBroker> {
  const authenticated = new WeakSet<TLSSocket>()
  const clients = new Map<string, Client>()
  const refuse = (client: Client, why: Parameters<BrokerEvents['refused']>[1]) => deps.events.refused(client.id, why)
  const review = async (client: Client) => {
    const clientId = await deps.clientIdOf(socketOf(client)).catch(() => undefined)
    if (clientId === client.id) return
    refuse(client, 'withdrawn')
    client.close()
  }

  const broker = await Aedes.createBroker({
    concurrency: 1000,
    connectTimeout: 5000,
    drainTimeout: 10_000,
    keepaliveLimit: 300,
    maxInflightInbound: 16,
    maxTopicLevels: 8,
    preConnect: (_client, packet, done) => {
      if (isAcceptable(packet)) return done(null, true)
      deps.events.refused(isInstanceId(packet.clientId) ? packet.clientId : '', 'session')
      return done(new Error('session refused'), false) // aedes asks for an error; nobody reads it
    },
    authenticate: (client, _username, _password, done) => {
      deps.clientIdOf(socketOf(client)).then(
        (clientId) => {
          if (clientId === client.id) {
            authenticated.add(socketOf(client))
            return done(null, true)
          }
          refuse(client, clientId === undefined ? 'certificate' : 'client_id')
          return done(null, false)
        },
        (error: unknown) => {
          deps.events.failed(error)
          done(null, false)
        },
      )
    },
    authorizePublish: (client, packet, done) => {
      const isAllowed =
        client !== null && mayPublish(client.id, packet.topic) && (!packet.retain || client.id === CONTROL_CLIENT_ID)
      if (isAllowed) return done(null)
      if (client !== null) refuse(client, 'publish')
      return done(new Error('not authorized')) // ends the connection
    },
    authorizeSubscribe: (client, subscription, done) => {
      if (maySubscribe(client.id, subscription.topic)) return done(null, subscription)
      refuse(client, 'subscribe')
      return done(null, null)
    },
  })
  broker.on('clientReady', (client) => {
    clients.set(client.id, client)
    deps.events.connected(client.id)
    void review(client) // it may have been withdrawn between the verdict and now
  })
  broker.on('clientDisconnect', (client) => {
    if (clients.get(client.id) === client) clients.delete(client.id)
    deps.events.disconnected(client.id)
  })
  // Without a listener an error of the store would end the process.
  ;(broker as NodeJS.EventEmitter).on('error', deps.events.failed)

  const tlsOptions = (current: SecureContextOptions) => ({ ...MESH_TLS, ...current })
  const server = createServer(
    { ...tlsOptions(identity), requestCert: true, rejectUnauthorized: true, handshakeTimeout: 10_000 },
    (socket) => {
      if (socket.isSessionReused()) {
        socket.destroy()
        return
      }
      limitPackets(socket, () => (authenticated.has(socket) ? MAX_BYTES.ofClient : MAX_BYTES.ofStranger))
      broker.handle(socket)
    },
  )
  limitHandshakes(server)
  const port = await listenOn(server, listen)

  return {
    port,
    isConnected: (clientId) => clients.has(clientId),
    disconnect: (clientId) => clients.get(clientId)?.close(),
    async review() {
      for (const client of clients.values()) await review(client)
    },
    renewIdentity: (next) => server.setSecureContext(tlsOptions(next)),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await new Promise<void>((resolve) => broker.close(() => resolve()))
      await closed
    },
  }
}

/**
 * MQTT 3.1.1, a clean session, no will: what a broker keeps for a client that is away grows without bound, and a will
 * says nothing that a signed status would not.
 */
function isAcceptable({ protocolVersion, clean, will }: ConnectPacket): boolean {
  return protocolVersion === 4 && clean === true && will === undefined
}

function socketOf(client: Client): TLSSocket {
  return client.conn as TLSSocket // every connection is handed over by the TLS server
}

/** Of one packet: a CONNECT before anybody is known; a document and its topic after that. */
const MAX_BYTES = { ofStranger: 4 * 1024, ofClient: 256 * 1024 } as const
