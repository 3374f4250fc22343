import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { mayPublish, maySubscribe } from '@vcc/mesh'
import { Aedes, type AuthenticateError, type Client } from 'aedes'
import { type ListenAddress, listenOn } from '../tls/listen.ts'
import { MESH_TLS } from '../tls/options.ts'
import { guardPacketSize } from './size-guard.ts'

export interface EmbeddedBrokerDeps {
  /** Judges the client's certificate; the answer is the one client id it may use, or nothing. */
  readonly clientIdOf: (socket: TLSSocket) => Promise<string | undefined>
  readonly events: BrokerEvents
}

export interface BrokerEvents {
  readonly connected: (clientId: string) => void
  readonly disconnected: (clientId: string) => void
  readonly refused: (clientId: string, why: 'certificate' | 'client_id' | 'publish' | 'subscribe') => void
}

export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number
  readonly isConnected: (clientId: string) => boolean
  /** Ends a client's connection at once, if it has one. */
  readonly disconnect: (clientId: string) => void
  /** New connections use this identity; those that are open stay. */
  readonly renewIdentity: (identity: SecureContextOptions) => void
}

/**
 * The embedded MQTT 3.1.1 broker: mutual TLS 1.3, client id = certificate CN, exact topic lists.
 * Keeps nothing on disk: the database is the truth, and retained state is published again at start.
 */
export async function startEmbeddedBroker(
  listen: ListenAddress,
  identity: SecureContextOptions,
  deps: EmbeddedBrokerDeps,
): Promise<EmbeddedBroker> {
  const authenticated = new WeakSet<Client>()
  const clients = new Map<string, Client>()
  const refuse = (client: Client, why: Parameters<BrokerEvents['refused']>[1]) => deps.events.refused(client.id, why)

  const broker = await Aedes.createBroker({
    concurrency: 1000,
    connectTimeout: 5000,
    drainTimeout: 10_000,
    keepaliveLimit: 300,
    maxInflightInbound: 16,
    maxTopicLevels: 8,
    authenticate: (client, _username, _password, done) => {
      const socket = client.conn as TLSSocket // every connection is handed over by the TLS server below
      deps.clientIdOf(socket).then(
        (clientId) => {
          if (clientId === client.id) {
            authenticated.add(client)
            return done(null, true)
          }
          refuse(client, clientId === undefined ? 'certificate' : 'client_id')
          return done(notAuthorized(), false)
        },
        () => done(notAuthorized(), false),
      )
    },
    authorizePublish: (client, packet, done) => {
      if (client === null || (mayPublish(client.id, packet.topic) && (!packet.retain || client.id === 'control'))) {
        return done(null)
      }
      refuse(client, 'publish')
      return done(new Error('not authorized'))
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
  })
  broker.on('clientDisconnect', (client) => {
    if (clients.get(client.id) === client) clients.delete(client.id)
    deps.events.disconnected(client.id)
  })

  const tlsOptions = (current: SecureContextOptions) => ({ ...MESH_TLS, ...current })
  const server = createServer(
    { ...tlsOptions(identity), requestCert: true, rejectUnauthorized: true, handshakeTimeout: 10_000 },
    (socket) => {
      if (socket.isSessionReused()) {
        socket.destroy()
        return
      }
      let client: Client | undefined
      guardPacketSize(socket, () => client !== undefined && authenticated.has(client))
      client = broker.handle(socket)
    },
  )
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const port = await listenOn(server, listen)

  return {
    port,
    isConnected: (clientId) => clients.has(clientId),
    disconnect: (clientId) => clients.get(clientId)?.close(),
    renewIdentity: (next) => server.setSecureContext(tlsOptions(next)),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await new Promise<void>((resolve) => broker.close(() => resolve()))
      await closed
    },
  }
}

function notAuthorized(): AuthenticateError {
  return Object.assign(new Error('not authorized'), { returnCode: 5 })
}
