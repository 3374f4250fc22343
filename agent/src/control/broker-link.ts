import { clientContext, connectPeer, FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import { backoffMs } from '@vcc/runtime'
import { ekuOid } from '@vcc/x509'
import { type IClientOptions, MqttClient } from 'mqtt'
import type { Identity } from '../identity/identity.ts'
import type { MeshTrust } from '../trust/trust-files.ts'
import { limitFrames } from './frame-limit.ts'

export interface BrokerLinkDeps {
  readonly trust: () => MeshTrust
  readonly identity: () => Identity
  /** `mqtts://host:port`, from signed state; none yet before the first document. */
  readonly urls: () => readonly string[]
  readonly onMessage: (topic: string, payload: string) => void
  readonly onConnect: () => void
  readonly onDisconnect: () => void
  readonly now: () => Date
}

export interface BrokerLink extends AsyncDisposable {
  readonly isConnected: () => boolean
  readonly downSince: () => Date | undefined
  /** Whether the broker confirmed it within five seconds. */
  readonly publish: (topic: string, payload: string) => Promise<boolean>
  /** Connects if there is something to connect to, and anew where the certificate of the connection is about to end. */
  readonly tend: () => void
}

const PUBLISH_MS = 5000
const CONNECT_MS = 10_000
/** A document of 200 KiB and its topic; larger ones are pulled. */
const MAX_PACKET_BYTES = 512 * 1024
/** The connection is made anew this long before the certificate that opened it ends. */
const BEFORE_EXPIRY_MS = 3_600_000

/**
 * MQTT 3.1.1 to whatever broker signed state names: a lossy messenger that is believed nothing. Subscribes at every
 * connect, and waits longer after each failure.
 */
export function createBrokerLink(deps: BrokerLinkDeps): BrokerLink {
  let connection: Connection | undefined
  let failures = 0
  let nextAttempt = 0
  let downSince: Date | undefined = deps.now()
  let isClosed = false

  const lost = (gone: Connection) => {
    if (connection !== gone) return
    const wasConnected = gone.isConnected
    connection = undefined
    failures = wasConnected ? 0 : failures + 1
    nextAttempt = performance.now() + backoffMs(failures + 1, BACKOFF)
    downSince ??= deps.now()
    if (wasConnected) deps.onDisconnect()
  }
  const open = (): void => {
    const urls = deps.urls()
    const url = urls[failures % Math.max(1, urls.length)]
    if (url === undefined || isClosed) return
    const identity = deps.identity()
    if (deps.now() > identity.leaf.notAfter) return
    const opened = connect(url, identity, deps, {
      connected: () => {
        failures = 0
        downSince = undefined
        deps.onConnect()
      },
      closed: () => lost(opened),
    })
    connection = opened
  }
  return {
    isConnected: () => connection?.isConnected === true,
    downSince: () => downSince,
    async publish(topic, payload) {
      const { client, isConnected } = connection ?? {}
      if (client === undefined || isConnected !== true) return false
      return Promise.race([client.publishAsync(topic, payload, { qos: 1 }).then(isDone, isNotDone), late(PUBLISH_MS)])
    },
    tend() {
      if (connection === undefined) {
        if (performance.now() >= nextAttempt) open()
      } else if (isOver(connection, deps.identity(), deps.now())) {
        connection.client.end(true)
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      await connection?.client.endAsync(true)
    },
  }
}

const BACKOFF = { baseMs: 500, capMs: 15_000 }

interface Connection {
  readonly client: MqttClient
  /** End of the certificate that opened it. */
  readonly endsAt: Date
  readonly isConnected: boolean
}

function connect(
  url: string,
  identity: Identity,
  deps: BrokerLinkDeps,
  on: { connected: () => void; closed: () => void },
): Connection {
  const { hostname, port } = new URL(url)
  const trust = deps.trust()
  const context = clientContext(trust.root, { keyPem: identity.key.privateKeyPem(), chainPem: identity.chainPem })
  const expected = {
    root: trust.root,
    id: `spiffe://${trust.statement.trustDomain}/broker`,
    eku: ekuOid(trust.statement.oidArc, 'broker'),
    now: deps.now,
  }
  const address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 8883) }
  const options: IClientOptions = {
    protocolVersion: 4,
    clientId: identity.instance,
    clean: true,
    keepalive: 30,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_MS,
    resubscribe: false,
  }
  let isConnected = false
  const open = () => {
    const socket = connectPeer(address, context, expected)
    limitFrames(socket, MAX_PACKET_BYTES)
    return socket
  }
  const client = new MqttClient(open, options)
  const topics = instanceTopics(identity.instance)
  client.on('connect', () => {
    const wanted = [...Object.values(FLEET_TOPICS), ...Object.values(topics.down)]
    client.subscribeAsync(wanted, { qos: 1 }).then(
      () => {
        isConnected = true
        on.connected()
      },
      () => client.end(true),
    )
  })
  client.on('message', (topic, payload) => deps.onMessage(topic, payload.toString('latin1')))
  client.on('error', () => client.end(true))
  client.on('close', () => {
    on.closed()
    isConnected = false
    client.end(true)
  })
  return {
    client,
    endsAt: identity.leaf.notAfter,
    get isConnected() {
      return isConnected
    },
  }
}

/** With a younger certificate a connection is made anew at leisure; without one it ends with its certificate. */
function isOver(connection: Connection, identity: Identity, now: Date): boolean {
  const leftMs = connection.endsAt.getTime() - now.getTime()
  return leftMs < 0 || (leftMs < BEFORE_EXPIRY_MS && identity.leaf.notAfter > connection.endsAt)
}

const isDone = () => true
const isNotDone = () => false

function late(ms: number): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
