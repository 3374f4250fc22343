import type { PeerAddress } from '@vcc/mesh'
import { ekuOid } from '@vcc/x509'
import { type BrokerClient, connectBroker } from '../broker/client.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { Identities } from './identities.ts'
import type { ControlMetrics } from './metrics.ts'

export interface Messaging extends BrokerClient {
  /** End of the certificate that the broker served when it was last connected to. */
  readonly certificateEnds: () => Date | undefined
}

/** The control plane as a client of the broker, whichever it is. */
export function joinBroker(
  address: PeerAddress,
  core: Core,
  deps: {
    identities: Identities
    onMessage: (topic: string, payload: Uint8Array) => void
    onConnect: () => Promise<void>
    isStopping: () => boolean
    events: ControlEvents
    metrics: ControlMetrics
  },
): Messaging {
  const { installation, authorities, now } = core
  const { events, metrics } = deps
  let certificateEnds: Date | undefined
  const client = connectBroker({
    address,
    identity: deps.identities.control,
    broker: {
      root: authorities.root('mesh-root').certificate,
      id: `spiffe://${installation.trustDomain}/broker`,
      eku: ekuOid(installation.oidArc, 'broker'),
      now,
    },
    onMessage: deps.onMessage,
    onConnect: (served) => {
      certificateEnds = served
      metrics.vcc_broker_connected.set({}, 1)
      events.broker_connected({ certificateEnds: served.toISOString() })
      if (served.getTime() - now().getTime() < YOUNG_MS) {
        events.broker_certificate_old({ certificateEnds: served.toISOString() })
      }
      deps.onConnect().catch((error: unknown) => events.state_failed({}, error))
    },
    onDisconnect: () => {
      metrics.vcc_broker_connected.set({}, 0)
      if (!deps.isStopping()) events.broker_disconnected({})
    },
  })
  return {
    ...client,
    certificateEnds: () => certificateEnds,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

/** What a broker that takes up each daily renewal of its week has left at least. */
const YOUNG_MS = 5 * 86_400_000
