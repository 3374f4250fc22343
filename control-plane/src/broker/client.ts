import type { ConnectionOptions } from 'node:tls'
import { CONTROL_CLIENT_ID, CONTROL_FILTERS } from '@vcc/mesh'
import { connect, type IClientOptions } from 'mqtt'
import { MESH_TLS } from '../tls/options.ts'

export interface BrokerClientOptions {
  /** `mqtts://host:port` */
  readonly url: string
  /** PEM; read anew at each connection, so that a renewed identity is used from the next one on. */
  readonly identity: () => { readonly key: string; readonly cert: string }
  readonly rootPem: string
  /** Judges the broker's certificate (DER chain); its name is not a DNS name. Throws to refuse. */
  readonly assertBroker: (chain: readonly Uint8Array[]) => void
  readonly onMessage: (topic: string, payload: Uint8Array) => void
  readonly onConnect: () => void
  readonly onDisconnect: () => void
}

export interface BrokerClient extends AsyncDisposable {
  readonly isConnected: () => boolean
  /** Whether the broker confirmed it within five seconds. Nothing is queued for a broker that is away. */
  readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
}

const PUBLISH_DEADLINE_MS = 5000

/** The control plane as an MQTT client, on the embedded broker as on an external one: the same code, the same trust. */
export function connectBroker(options: BrokerClientOptions): BrokerClient {
  const { hostname, port } = new URL(options.url)
  // What is not MQTT's goes to tls.connect as it is.
  const settings: IClientOptions & Pick<ConnectionOptions, 'checkServerIdentity'> = {
    protocol: 'mqtts',
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 8883),
    protocolVersion: 4,
    clientId: CONTROL_CLIENT_ID,
    clean: true,
    keepalive: 30,
    reconnectPeriod: 500,
    connectTimeout: 10_000,
    resubscribe: false,
    ...MESH_TLS,
    ...options.identity(),
    ca: options.rootPem,
    rejectUnauthorized: true,
    checkServerIdentity: (_host: string, certificate: LegacyCertificate) => {
      try {
        options.assertBroker(chainOf(certificate))
        return undefined
      } catch (error) {
        return error instanceof Error ? error : new Error('the broker is refused')
      }
    },
  }
  const client = connect(settings)
  client.on('connect', () => {
    client.subscribe([...CONTROL_FILTERS], { qos: 1 })
    options.onConnect()
  })
  client.on('close', options.onDisconnect)
  client.on('error', () => {}) // followed by `close`, and by the next attempt
  client.on('message', (topic, payload) => options.onMessage(topic, payload))
  client.on('reconnect', () => Object.assign(client.options, options.identity()))
  return {
    isConnected: () => client.connected,
    async publish(topic, payload, retain) {
      if (!client.connected) return false
      const sent = client.publishAsync(topic, payload, { qos: 1, retain }).then(
        () => true,
        () => false,
      )
      const late = AbortSignal.timeout(PUBLISH_DEADLINE_MS)
      const tooLate = new Promise<boolean>((resolve) =>
        late.addEventListener('abort', () => resolve(false), { once: true }),
      )
      return Promise.race([sent, tooLate])
    },
    async [Symbol.asyncDispose]() {
      await client.endAsync(true)
    },
  }
}

interface LegacyCertificate {
  readonly raw: Uint8Array
  readonly issuerCertificate?: LegacyCertificate
}

/** Leaf first; Node's object ends in a certificate that is its own issuer. */
function chainOf(certificate: LegacyCertificate): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let at: LegacyCertificate | undefined = certificate
  while (at !== undefined && chain.length < 4) {
    chain.push(new Uint8Array(at.raw))
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate
  }
  return chain
}
