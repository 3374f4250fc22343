import { ekuOid, encodePem } from '@vcc/x509'
import { type BrokerClient, connectBroker } from '../broker/client.ts'
import { type EmbeddedBroker, startEmbeddedBroker } from '../broker/embedded.ts'
import { type ControlConfig, listenAddress } from '../config.ts'
import type { Authenticator } from '../http/authenticate.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { Identities } from './identities.ts'
import type { ControlMetrics } from './metrics.ts'

/** The embedded broker. */
export async function startBroker(
  config: ControlConfig,
  core: Core,
  deps: { identities: Identities; authenticator: Authenticator; events: ControlEvents },
): Promise<EmbeddedBroker> {
  const { events } = deps
  return startEmbeddedBroker(listenAddress(config.listen.broker), brokerTls(core, deps.identities), {
    clientIdOf: deps.authenticator.mqttClientIdOf,
    events: {
      connected: (clientId) => events.broker_client_connected({ clientId }),
      disconnected: (clientId) => events.broker_client_disconnected({ clientId }),
      refused: (clientId, why) => events.broker_client_refused({ clientId, why }),
      failed: (error) => events.broker_failed({}, error),
    },
  })
}

export function brokerTls(core: Core, identities: Identities) {
  const { key, cert } = identities.broker()
  return { key, cert, ca: encodePem('CERTIFICATE', core.authorities.root('mesh-root').certificate.der) }
}

/** The control plane as a client of it. */
export function joinBroker(
  port: number,
  core: Core,
  deps: {
    identities: Identities
    onMessage: (topic: string, payload: Uint8Array) => void
    onConnect: () => Promise<void>
    isStopping: () => boolean
    events: ControlEvents
    metrics: ControlMetrics
  },
): BrokerClient {
  const { installation, authorities, now } = core
  const { events, metrics } = deps
  return connectBroker({
    address: { host: '127.0.0.1', port },
    identity: deps.identities.control,
    broker: {
      root: authorities.root('mesh-root').certificate,
      id: `spiffe://${installation.trustDomain}/broker`,
      eku: ekuOid(installation.oidArc, 'broker'),
      now,
    },
    onMessage: deps.onMessage,
    onConnect: () => {
      metrics.vcc_broker_connected.set({}, 1)
      events.broker_connected({})
      deps.onConnect().catch((error: unknown) => events.state_failed({}, error))
    },
    onDisconnect: () => {
      metrics.vcc_broker_connected.set({}, 0)
      if (!deps.isStopping()) events.broker_disconnected({})
    },
  })
}
