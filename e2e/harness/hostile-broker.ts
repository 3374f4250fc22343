import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer, type TLSSocket } from 'node:tls'
import type { ExternalBroker } from './mosquitto.ts'
import {
  answerTo,
  CONNECT,
  clientIdOf,
  filtersOf,
  firstPacket,
  type Message,
  matches,
  messageOf,
  PUBLISH,
  publishPacket,
  SUBSCRIBE,
} from './mqtt-packets.ts'
import type { Shown } from './peer.ts'

/** What becomes of one message on its way: each call of `deliver` is one delivery to all who subscribed to its topic. */
export type Conduct = (message: Message, deliver: (message: Message) => void) => void

/** A broker with the real certificate of the broker, in the wrong hands: it confirms everything and does what it likes. */
export interface HostileBroker extends ExternalBroker {
  /** How it treats messages from now on. */
  readonly behave: (conduct: Conduct) => void
  /** Says something to everybody who subscribed to the topic, or to one client whatever it subscribed to. */
  readonly say: (topic: string, payload: string, to?: string) => void
  /** Client ids in the order they connected. */
  readonly clients: readonly string[]
  /** Everything that was given to it, and everything it gave to somebody; since `forget`. */
  readonly taken: readonly Message[]
  readonly given: readonly (Message & { readonly to: string })[]
  readonly forget: () => void
  /** Ends every connection. */
  readonly cut: () => void
  /** Does so with each connection from now on, at the point of its life that is named. */
  readonly throwOut: (when: 'at CONNECT' | 'after SUBSCRIBE' | 'never') => void
  /** The certificate it shows from now on. */
  readonly show: (shown: Shown | 'its own') => void
}

export const honest: Conduct = (message, deliver) => deliver(message)

interface Connection {
  readonly socket: TLSSocket
  id: string
  readonly filters: Set<string>
}

/** Keeps what is kept of a message: enough of them for a test, not for a flood. */
const KEPT = 10_000

export function hostileBroker(): HostileBroker {
  const connections = new Set<Connection>()
  const clients: string[] = []
  const retained = new Map<string, Message>()
  const taken: Message[] = []
  const given: (Message & { to: string })[] = []
  let conduct = honest
  let thrownOut: 'at CONNECT' | 'after SUBSCRIBE' | 'never' = 'never'
  let own: Shown = { keyPem: '', chainPem: '' }

  const give = (connection: Connection, message: Message) => {
    if (given.length < KEPT) given.push({ ...message, to: connection.id })
    connection.socket.write(publishPacket(message))
  }
  const deliver = (message: Message) => {
    for (const connection of connections) {
      if ([...connection.filters].some((filter) => matches(filter, message.topic))) give(connection, message)
    }
  }
  const onPublish = (message: Message) => {
    if (taken.length < KEPT) taken.push(message)
    if (message.retain) retained.set(message.topic, message)
    conduct({ ...message, retain: false }, deliver)
  }
  const onSubscribe = (connection: Connection, filters: readonly string[]) => {
    for (const filter of filters) connection.filters.add(filter)
    for (const message of retained.values()) {
      if (!filters.some((filter) => matches(filter, message.topic)) || message.payload === '') continue
      conduct(message, (what) => give(connection, what))
    }
    if (thrownOut === 'after SUBSCRIBE') setTimeout(() => connection.socket.destroy(), 20)
  }
  const server = createServer({ minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false }, (socket) => {
    const connection: Connection = { socket, id: '', filters: new Set() }
    let rest = Buffer.alloc(0)
    connections.add(connection)
    socket.on('error', () => {})
    socket.on('close', () => connections.delete(connection))
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let packet = firstPacket(rest); packet !== undefined; packet = firstPacket(rest)) {
        rest = rest.subarray(packet.size)
        if (packet.type === CONNECT) {
          connection.id = clientIdOf(packet)
          clients.push(connection.id)
          if (thrownOut === 'at CONNECT') return void socket.destroy()
        }
        const answer = answerTo(packet)
        if (answer !== undefined) socket.write(answer)
        if (packet.type === SUBSCRIBE) onSubscribe(connection, filtersOf(packet))
        if (packet.type === PUBLISH) onPublish(messageOf(packet))
      }
    })
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const cut = () => {
    for (const { socket } of connections) socket.destroy()
  }
  return {
    isRunning: () => server.listening,
    async start({ folder, port, certified }) {
      await certified()
      const pem = await readFile(join(folder, 'broker.pem'), 'utf8')
      own = { keyPem: pem, chainPem: pem }
      server.setSecureContext(contextOf(own))
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      cut()
      await closed
    },
    behave: (next) => {
      conduct = next
    },
    say(topic, payload, to) {
      const message = { topic, payload, retain: false }
      if (to === undefined) return deliver(message)
      for (const connection of connections) if (connection.id === to) give(connection, message)
    },
    clients,
    taken,
    given,
    forget() {
      taken.length = 0
      given.length = 0
    },
    cut,
    throwOut: (when) => {
      thrownOut = when
    },
    show: (shown) => server.setSecureContext(contextOf(shown === 'its own' ? own : shown)),
  }
}

function contextOf({ keyPem, chainPem }: Shown) {
  return { key: keyPem, cert: chainPem, minVersion: 'TLSv1.3' } as const
}
