import { randomUUID } from 'node:crypto'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { softwareStore } from '@vcc/keys'
import {
  createLogger,
  createMetrics,
  createSchedule,
  every,
  now,
  readKeyFile,
  runService,
  type ServiceContext,
} from '@vcc/runtime'
import { DEFAULT_OID_ARC, ekuOid, encodePem, uriIdentityOf, validateChain } from '@vcc/x509'
import type { AuditDeps } from '../audit/append.ts'
import { openAuthorities } from '../authority/authority.ts'
import { authorityRoutes } from '../authority/routes.ts'
import { connectBroker } from '../broker/client.ts'
import { startEmbeddedBroker } from '../broker/embedded.ts'
import { certificateRoutes } from '../certificates/routes.ts'
import { type ControlConfig, listenAddress } from '../config.ts'
import { openDatabase } from '../database/open.ts'
import { createApp } from '../http/app.ts'
import { authenticate, mqttClientId } from '../http/authenticate.ts'
import type { Handlers } from '../http/handlers.ts'
import { openApiDocument } from '../http/openapi.ts'
import { createInbox } from '../inbox/inbox.ts'
import { fingerprintOf } from '../init/init.ts'
import { pathsOf } from '../init/paths.ts'
import { loadInstallation } from '../installation/installation.ts'
import { resolveAbandoned } from '../issuance/store.ts'
import { meshRoutes } from '../mesh/routes.ts'
import { readPolicyInForce } from '../policies/in-force.ts'
import { policyRoutes } from '../policies/routes.ts'
import { registryRoutes } from '../registry/routes.ts'
import { createPublisher, type Publisher } from '../state/publisher.ts'
import { openStateSigner } from '../state/signer.ts'
import { builtinTemplates } from '../templates/template.ts'
import { issueIdentity } from '../tls/identity.ts'
import { listenOn } from '../tls/listen.ts'
import { MESH_TLS, PUBLIC_TLS } from '../tls/options.ts'
import { VERSION } from '../version.ts'
import { auditDenied, auditLifecycle } from './audit.ts'
import { controlEvents } from './events.ts'
import { CONTROL_METRICS } from './metrics.ts'

const HANDSHAKE_MS = 10_000
const FLEET_REFRESH_MS = 60_000
const AGENT_REFRESH_MS = 3_600_000
const IDENTITY_RENEWAL_MS = 86_400_000
const SWEEP_MS = 30_000

/** Runs the control plane until it is asked to stop. Everything is built here, and only here. */
export async function run(config: ControlConfig): Promise<void> {
  const log = createLogger({ name: 'vcc-control', level: config.log.level })
  await runService((context) => serve(config, controlEvents(log), context), { log, drainMs: config.drain.ms + 10_000 })
}

// One function on purpose: it is the wiring of the process, read from top to bottom in the order things depend on
// each other, and holds no decision of its own.
async function serve(
  config: ControlConfig,
  events: ReturnType<typeof controlEvents>,
  { signal, stopped, resources, ready }: ServiceContext,
): Promise<void> {
  const startedAt = now()
  const owner = randomUUID()
  const paths = pathsOf(config.data)
  const metrics = createMetrics(CONTROL_METRICS)

  const database = resources.use(
    openDatabase({ path: paths.database, key: await readKeyFile(config.secrets.database_key_file) }, { now }),
  )
  if (database.migrated !== undefined) {
    events.schema_migrated({ from: database.migrated.from, to: database.migrated.to })
  }
  database.broken.addEventListener('abort', () => events.database_broken({}, database.broken.reason))
  const keys = softwareStore({ folder: paths.keys, wrappingKey: await readKeyFile(config.secrets.key_store_key_file) })
  const installation = await loadInstallation(database)
  if (installation.oidArc === DEFAULT_OID_ARC) events.demo_arc({ oidArc: installation.oidArc })
  const authorities = await openAuthorities({ database, keys })
  const root = authorities.root('mesh-root').certificate
  const audit: AuditDeps = {
    now: () => Temporal.Now.instant(),
    source: { component: 'vcc-control', build: VERSION, node: owner.slice(0, 8) },
  }
  const base = { database, audit, installation, authorities, keys, owner, now }

  const orphans = await database.runUnit(() => resolveAbandoned({ notOwner: owner }, base))
  if (orphans > 0) events.intents_orphaned({ count: orphans })
  await database.runUnit(() => auditLifecycle('started', audit))
  resources.defer(() => database.runUnit(() => auditLifecycle('stopped', audit)))

  const signer = await openStateSigner(base)
  let control = await issueIdentity('control', base)
  let brokerIdentity = await issueIdentity('broker', base)
  const rootPem = encodePem('CERTIFICATE', root.der)

  let policy = await readPolicyInForce(installation, database)
  const policyInForce = () => policy

  // Listeners first: what they advertise may depend on the port they got.
  const callerOf = (socket: TLSSocket) => authenticate(socket, base)
  const broker = resources.use(
    await startEmbeddedBroker(
      listenAddress(config.listen.broker),
      { key: brokerIdentity.key, cert: brokerIdentity.cert, ca: rootPem },
      {
        clientIdOf: (socket) => mqttClientId(socket, base),
        events: {
          connected: (clientId) => events.broker_client_connected({ clientId }),
          disconnected: (clientId) => events.broker_client_disconnected({ clientId }),
          refused: (clientId, why) => events.broker_client_refused({ clientId, why }),
        },
      },
    ),
  )
  const agentTls = () => ({ ...MESH_TLS, key: control.key, cert: control.cert, ca: rootPem })
  const agentServer = createServer({
    ...agentTls(),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: 16_384,
  })
  const uiTls = () => ({ ...PUBLIC_TLS, key: control.key, cert: control.cert })
  const uiServer = createServer({
    ...uiTls(),
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: 16_384,
  })
  const agentPort = await listenOn(agentServer, listenAddress(config.listen.agents))
  const uiPort = await listenOn(uiServer, listenAddress(config.listen.ui))
  const host = `control.${installation.domain}`
  const endpoints = {
    api: config.advertise.api.length > 0 ? config.advertise.api : [`https://${host}:${agentPort}`],
    broker: config.advertise.broker.length > 0 ? config.advertise.broker : [`mqtts://${host}:${broker.port}`],
  }

  let publisher: Publisher
  const onChange = async () => {
    policy = await readPolicyInForce(installation, database)
    await publisher.update()
  }
  const onChangeLater = () => void onChange().catch((error: unknown) => events.state_failed({}, error))
  const templates = builtinTemplates()
  const enrol = { ...base, policyInForce: () => policy?.index, serviceTemplate: templates['vcc-service'] }
  const publish = (topic: string, payload: string, retain: boolean) => brokerClient.publish(topic, payload, retain)
  const inbox = createInbox({
    ...enrol,
    signer,
    anchors: () => [root],
    publish,
    onMoved: onChangeLater,
    events: {
      refused: (fact) => {
        metrics.vcc_messages_refused_total.add({ code: fact.code })
        events.message_refused(fact)
      },
      failed: (fact, cause) => events.message_failed(fact, cause),
    },
  })
  const brokerClient = resources.use(
    connectBroker({
      url: `mqtts://127.0.0.1:${broker.port}`,
      identity: () => ({ key: control.key, cert: control.cert }),
      rootPem,
      assertBroker: (chain) => {
        const brokerEku = ekuOid(installation.oidArc, 'broker')
        const path = validateChain(chain, { anchors: [root], at: now(), eku: brokerEku })
        const uri = uriIdentityOf(path.leaf)
        if (uri !== `spiffe://${installation.trustDomain}/broker`) throw new Error(`${uri} is not the broker`)
      },
      onMessage: (topic, payload) => void inbox.fromBroker(topic, payload),
      onConnect: () => {
        metrics.vcc_broker_connected.set({}, 1)
        events.broker_connected({})
        publisher.republish().catch((error: unknown) => events.state_failed({}, error))
      },
      onDisconnect: () => {
        metrics.vcc_broker_connected.set({}, 0)
        if (!signal.aborted) events.broker_disconnected({})
      },
    }),
  )
  publisher = createPublisher({
    ...base,
    endpoints,
    signer,
    policyInForce,
    publish,
    events: { published: (fact) => events.state_published(fact) },
  })
  await publisher.update()

  const routeDeps = {
    ...enrol,
    adminTemplate: templates['vcc-admin'],
    inbox,
    publisher,
    onChange,
    policyInForce,
    brokerConnected: brokerClient.isConnected,
    meshRootFingerprint: fingerprintOf(authorities),
    startedAt,
    version: VERSION,
  }
  const handlers: Handlers = {
    health: () => ({ status: database.broken.aborted ? 'degraded' : 'ok', version: VERSION }),
    openapi: () => openApiDocument(VERSION),
    ...meshRoutes({ ...routeDeps, policyInForce: enrol.policyInForce }),
    ...authorityRoutes(routeDeps),
    ...certificateRoutes({ ...routeDeps, policyInForce: enrol.policyInForce }),
    ...registryRoutes(routeDeps),
    ...policyRoutes(routeDeps),
  }
  const appDeps = {
    handlers,
    callerOf,
    events: {
      answered: (fact: Parameters<typeof events.request_answered>[0]) => {
        metrics.vcc_api_requests_total.add({ route: fact.route, status: String(fact.status) })
        metrics.vcc_api_request_duration_seconds.observe({ route: fact.route }, fact.durationMs / 1000)
        events.request_answered(fact)
      },
      failed: (fact: { route: string; requestId: string }, cause: unknown) => events.request_failed(fact, cause),
      denied: async (fact: Parameters<typeof auditDenied>[0]) => {
        events.request_denied({ ...fact, caller: fact.caller.kind })
        await database.runUnit(() => auditDenied(fact, audit))
      },
    },
  }
  for (const [server, only] of [
    [agentServer, undefined],
    [uiServer, ['health', 'openapi']],
  ] as const) {
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    const app = createApp(server, appDeps, only)
    await app.ready()
    resources.defer(() => app.close())
  }

  const schedule = resources.use(createSchedule({ onFailure: (job, error) => events.job_failed({ job }, error) }))
  const repeat = (name: string, periodMs: number, work: () => Promise<unknown>) =>
    schedule.add({
      name,
      first: new Date(now().getTime() + periodMs),
      next: every(periodMs),
      timeoutMs: 60_000,
      run: async () => {
        await work()
      },
    })
  repeat('fleet refresh', FLEET_REFRESH_MS, () => publisher.refreshFleet())
  repeat('agent refreshes', AGENT_REFRESH_MS, () => publisher.refreshAgents())
  repeat('abandoned intents', SWEEP_MS, () => database.runUnit(() => resolveAbandoned({ before: now() }, base)))
  repeat('listener certificates', IDENTITY_RENEWAL_MS, async () => {
    control = await issueIdentity('control', base)
    brokerIdentity = await issueIdentity('broker', base)
    agentServer.setSecureContext(agentTls())
    uiServer.setSecureContext(uiTls())
    broker.renewIdentity({ key: brokerIdentity.key, cert: brokerIdentity.cert, ca: rootPem })
    events.identity_renewed({ kind: 'control', serialHex: control.certificate.serialHex })
  })

  const metricsServer = serveMetrics(() => metrics.text(), metrics.contentType)
  await listenOn(metricsServer, listenAddress(config.listen.metrics))
  resources.defer(() => closed(metricsServer))

  events.started({
    version: VERSION,
    agents: String(agentPort),
    ui: String(uiPort),
    broker: String(broker.port),
    orphans,
  })
  ready()
  await stopped
}

function serveMetrics(text: () => Promise<string>, contentType: string): HttpServer {
  return createHttpServer({ requestTimeout: 10_000 }, (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') return response.writeHead(404).end()
    return text().then(
      (body) => response.writeHead(200, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    )
  })
}

function closed(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
