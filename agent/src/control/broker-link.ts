import {
  brokerAddress,
  clientContext,
  connectPeer,
  FLEET_TOPICS,
  instanceTopics,
  limitPackets,
  type PeerAddress,
} from '@vcc/mesh'
import { backoffMs, errorCode } from '@vcc/runtime'
import { ekuOid } from '@vcc/x509'
import { type IClientOptions, MqttClient } from 'mqtt'
import type { Identity } from '../identity/identity.ts'
import type { MeshTrust } from '../trust/trust-files.ts'

export interface BrokerLinkDeps {
  readonly trust: () => MeshTrust
  readonly identity: () => Identity
  /** `mqtts://host:port`, from signed state; none yet before the first document. */
  readonly urls: () => readonly string[]
  readonly onMessage: (topic: string, payload: string) => void
  readonly onConnect: () => void
  readonly onDisconnect: () => void
  /** An attempt failed, for another reason than the one before. */
  readonly onFailed: (code: string, error: unknown) => void
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
/** From the first byte to the last subscription. */
const SUBSCRIBED_MS = 15_000
/** A connection that ends sooner counts as a failed attempt: a broker that lets in and throws out is not asked in a loop. */
const STEADY_MS = 30_000
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
  let lastCode: string | undefined

  const waitLonger = () => {
    failures += 1
    nextAttempt = performance.now() + backoffMs(failures, BACKOFF)
    downSince ??= deps.now()
  }
  const failed = (error: unknown) => {
    waitLonger()
    const code = errorCode(error) ?? 'broker_failed'
    if (code !== lastCode) deps.onFailed(code, error)
    lastCode = code
  }
  const lost = (gone: Connection, error: unknown) => {
    if (connection !== gone) return
    connection = undefined
    if (performance.now() - gone.connectedAt > STEADY_MS) failures = 0
    if (!gone.isConnected) return failed(error)
    waitLonger()
    deps.onDisconnect()
  }
  const open = (): void => {
    const urls = deps.urls()
    const url = urls[failures % Math.max(1, urls.length)]
    if (url === undefined || isClosed) return
    const identity = deps.identity()
    if (deps.now() > identity.leaf.notAfter) return
    const at = brokerAddress(url)
    if (at === undefined) return failed(new TypeError(`"${url}" is not the address of a broker`))
    const opened = connect(at, identity, deps, {
      connected: () => {
        downSince = undefined
        lastCode = undefined
        deps.onConnect()
      },
      closed: (error) => lost(opened, error),
    })
    connection = opened
  }
  return {
    isConnected: () => connection?.isConnected === true,
    downSince: () => downSince,
    async publish(topic, payload) {
      const { client, isConnected } = connection ?? {}
      if (client === undefined || isConnected !== true) return false
      return Promise.race([client.publishAsync(topic, payload, { qos: 1 }).then(isDone, isNotDone), inVain(PUBLISH_MS)])
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
  /** By the process's own clock; infinite before. */
  readonly connectedAt: number
}

function connect(
  address: PeerAddress,
  identity: Identity,
  deps: BrokerLinkDeps,
  on: { connected: () => void; closed: (error: unknown) => void },
): Connection {
  const trust = deps.trust()
  const context = clientContext(trust.root, { keyPem: identity.key.privateKeyPem(), chainPem: identity.chainPem })
  const expected = {
    root: trust.root,
    id: `spiffe://${trust.statement.trustDomain}/broker`,
    eku: ekuOid(trust.statement.oidArc, 'broker'),
    now: deps.now,
  }
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
  let connectedAt = Number.POSITIVE_INFINITY
  let failure: unknown = new Error('the broker closed the connection')
  const noteFailure = (error: Error) => {
    failure = error
  }
  const open = () => {
    const socket = connectPeer(address, context, expected)
    limitPackets(socket, () => MAX_PACKET_BYTES)
    socket.on('error', noteFailure) // the client passes over what it does not know
    return socket
  }
  const client = new MqttClient(open, options)
  const late = setTimeout(() => client.end(true), SUBSCRIBED_MS).unref()
  const topics = instanceTopics(identity.instance)
  client.on('connect', () => {
    const wanted = [...Object.values(FLEET_TOPICS), ...Object.values(topics.down)]
    client.subscribeAsync(wanted, { qos: 1 }).then(
      () => {
        clearTimeout(late)
        isConnected = true
        connectedAt = performance.now()
        on.connected()
      },
      () => client.end(true),
    )
  })
  client.on('message', (topic, payload) => deps.onMessage(topic, payload.toString('latin1')))
  client.on('error', (error) => {
    noteFailure(error)
    client.end(true)
  })
  client.on('close', () => {
    clearTimeout(late)
    on.closed(failure)
    isConnected = false
    client.end(true)
  })
  return {
    client,
    endsAt: identity.leaf.notAfter,
    get isConnected() {
      return isConnected
    },
    get connectedAt() {
      return connectedAt
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

function inVain(ms: number): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
