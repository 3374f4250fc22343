import { createServer, type Server } from 'node:https'
import { MESH_TLS, readThroughStream } from '@vcc/mesh'
import { encodePem } from '@vcc/x509'
import { type ControlConfig, listenAddress } from '../config.ts'
import { type AppDeps, createApp } from '../http/app.ts'
import { limitHandshakes } from '../tls/handshake-limit.ts'
import { listenOn } from '../tls/listen.ts'
import { PUBLIC_TLS } from '../tls/options.ts'
import type { Core } from './core.ts'
import type { Identities } from './identities.ts'

export interface Listeners {
  readonly agentsPort: number
  readonly uiPort: number
  /** Connections from now on are shown the identity of now. */
  readonly renewIdentity: () => void
  /** Answers requests; until then they wait. */
  readonly mount: (deps: AppDeps) => Promise<void>
}

const OPTIONS = {
  handshakeTimeout: 10_000,
  connectionsCheckingInterval: 5000,
  ALPNProtocols: ['http/1.1'],
  maxHeaderSize: 16_384,
}

/** The API for agents and holders of certificates, and what of it answers everybody. Bound first: ports are advertised. */
export async function bindListeners(
  config: ControlConfig,
  identities: Identities,
  core: Core,
  resources: AsyncDisposableStack,
): Promise<Listeners> {
  const rootPem = encodePem('CERTIFICATE', core.authorities.root('mesh-root').certificate.der)
  const agentTls = () => ({ ...MESH_TLS, ...keyPair(identities), ca: rootPem })
  const uiTls = () => ({ ...PUBLIC_TLS, ...keyPair(identities) })
  const agents = createServer({ ...agentTls(), ...OPTIONS, requestCert: true, rejectUnauthorized: false })
  const ui = createServer({ ...uiTls(), ...OPTIONS })
  for (const server of [agents, ui]) {
    limitHandshakes(server)
    server.on('secureConnection', readThroughStream)
    resources.defer(() => drained(server, config.drain.ms))
  }
  return {
    agentsPort: await listenOn(agents, listenAddress(config.listen.agents)),
    uiPort: await listenOn(ui, listenAddress(config.listen.ui)),
    renewIdentity() {
      agents.setSecureContext(agentTls())
      ui.setSecureContext(uiTls())
    },
    async mount(deps) {
      await createApp(agents, deps).ready()
      await createApp(ui, deps, ['health', 'openapi']).ready()
    },
  }
}

function keyPair(identities: Identities) {
  const { key, cert } = identities.control()
  return { key, cert }
}

/** No new connection, what is under way may end, and at the deadline the rest is cut. */
async function drained(server: Server, drainMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), drainMs)
  await closed
  clearTimeout(late)
}
