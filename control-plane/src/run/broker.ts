import { brokerAddress } from '@vcc/mesh'
import { encodePem } from '@vcc/x509'
import type { Broker } from '../broker/broker.ts'
import { startEmbeddedBroker } from '../broker/embedded.ts'
import { externalBroker } from '../broker/external.ts'
import { type ControlConfig, listenAddress } from '../config.ts'
import type { Authenticator } from '../http/authenticate.ts'
import { issueIdentity } from '../tls/identity.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'

export interface BrokerDeps {
  readonly authenticator: Authenticator
  readonly events: ControlEvents
}

/** The broker that the configuration names, or the embedded one. */
export async function openBroker(config: ControlConfig, core: Core, deps: BrokerDeps): Promise<Broker> {
  const { external } = config.broker
  return external === undefined ? embeddedBroker(config, core, deps) : filesFor(external, core, deps)
}

async function embeddedBroker(
  config: ControlConfig,
  core: Core,
  { authenticator, events }: BrokerDeps,
): Promise<Broker> {
  const ca = encodePem('CERTIFICATE', core.authorities.root('mesh-root').certificate.der)
  const newIdentity = async () => {
    const { key, cert, certificate } = await issueIdentity('broker', core)
    return { tls: { key, cert, ca }, serialHex: certificate.serialHex }
  }
  const broker = await startEmbeddedBroker(listenAddress(config.listen.broker), (await newIdentity()).tls, {
    clientIdOf: authenticator.mqttClientIdOf,
    events: {
      connected: (clientId) => events.broker_client_connected({ clientId }),
      disconnected: (clientId) => events.broker_client_disconnected({ clientId }),
      refused: (clientId, why) => events.broker_client_refused({ clientId, why }),
      failed: (error) => events.broker_failed({}, error),
    },
  })
  return {
    address: { host: '127.0.0.1', port: broker.port },
    async renewCertificate() {
      const { tls, serialHex } = await newIdentity()
      broker.renewIdentity(tls)
      events.identity_renewed({ kind: 'broker', serialHex })
    },
    tend: broker.review,
    disconnect: broker.disconnect,
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
}

/** A folder that cannot be used is told, and tried again: without its broker the mesh works by pulls. */
async function filesFor(
  external: NonNullable<ControlConfig['broker']['external']>,
  core: Core,
  { events }: BrokerDeps,
): Promise<Broker> {
  const address = brokerAddress(external.url)
  if (address === undefined) throw new TypeError('the pattern of the field lets no other URL through')
  const broker = externalBroker(
    { address, folder: external.folder },
    { ...core, onWritten: (fact) => events.broker_certificate_written(fact) },
  )
  await broker.tend().catch((error: unknown) => events.broker_files_failed({ folder: external.folder }, error))
  return broker
}
