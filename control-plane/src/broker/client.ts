import type { TLSSocket } from 'node:tls'
import {
  CONTROL_CLIENT_ID,
  CONTROL_FILTERS,
  connectPeer,
  type ExpectedPeer,
  limitPackets,
  type PeerAddress,
} from '@vcc/mesh'
import { backoffMs } from '@vcc/runtime'
import { decodeCertificate } from '@vcc/x509'
import { type IClientOptions, MqttClient } from 'mqtt'
import type { TlsIdentity } from '../tls/identity.ts'
import { peerChain } from '../tls/peer.ts'

export interface BrokerClientOptions {
  readonly address: PeerAddress
  /** Read anew at each connection, so that a renewed identity is used from the next one on. */
  readonly identity: () => Pick<TlsIdentity, 'context'>
  readonly broker: ExpectedPeer
  readonly onMessage: (topic: string, payload: Uint8Array) => void
  /** With the end of the certificate that the broker served. */
  readonly onConnect: (certificateEnds: Date) => void
  readonly onDisconnect: () => void
}

export interface BrokerClient extends AsyncDisposable {
  readonly isConnected: () => boolean
  /** Whether the broker confirmed it within five seconds. Nothing is queued for a broker that is away. */
  readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
  /** Ends the connection and makes it anew with the identity of now. */
  readonly reconnect: () => void
}

const PUBLISH_MS = 5000
/** Agents send envelopes of 64 KiB at most; whoever the broker is, more than this is not kept. */
const MAX_PACKET_BYTES = 256 * 1024
const SETTINGS: IClientOptions = {
  protocolVersion: 4,
  clientId: CONTROL_CLIENT_ID,
  clean: true,
  keepalive: 30,
  reconnectPeriod: 0,
  connectTimeout: 10_000,
  resubscribe: false,
}
const BACKOFF = { baseMs: 250, capMs: 5000 }

/**
 * The control plane as an MQTT client, on the embedded broker as on an external one: the same code, the same trust.
 * Each connection is a client of its own: nothing that was meant for one is sent on the next.
 */
export function connectBroker(options: BrokerClientOptions): BrokerClient {
  let client: MqttClient | undefined
  let isReady = false
  let isClosed = false
  let failures = 0
  let retry: NodeJS.Timeout | undefined

  const open = () => {
    const socket = connectPeer(options.address, options.identity().context, options.broker)
    limitPackets(socket, () => MAX_PACKET_BYTES)
    const opened = new MqttClient(() => socket, SETTINGS)
    client = opened
    opened.on('connect', () => {
      opened.subscribeAsync([...CONTROL_FILTERS], { qos: 1 }).then(
        () => {
          failures = 0
          isReady = true
          options.onConnect(certificateEnd(socket))
        },
        () => opened.end(true),
      )
    })
    opened.on('message', (topic, payload) => options.onMessage(topic, payload))
    opened.on('error', () => opened.end(true)) // `close` follows
    opened.on('close', () => lost(opened))
  }
  const lost = (gone: MqttClient) => {
    if (client !== gone) return
    client = undefined
    gone.end(true)
    if (isReady) options.onDisconnect()
    isReady = false
    failures += 1
    if (!isClosed) retry = setTimeout(open, backoffMs(failures, BACKOFF))
  }
  open()
  return {
    isConnected: () => isReady,
    async publish(topic, payload, retain) {
      if (client === undefined || !isReady) return false
      const sent = client.publishAsync(topic, payload, { qos: 1, retain }).then(isDone, isNotDone)
      return Promise.race([sent, late(PUBLISH_MS)])
    },
    reconnect: () => void client?.end(true),
    async [Symbol.asyncDispose]() {
      isClosed = true
      clearTimeout(retry)
      await client?.endAsync(true)
    },
  }
}

/** The peer was verified by it. */
function certificateEnd(socket: TLSSocket): Date {
  const [leaf] = peerChain(socket)
  if (leaf === undefined) throw new TypeError('a broker without a certificate was let through')
  return decodeCertificate(leaf).notAfter
}

const isDone = () => true
const isNotDone = () => false

function late(ms: number): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
