import { createLogger, createMetrics, runService, type ServiceContext } from '@vcc/runtime'
import type { BrokerClient } from '../broker/client.ts'
import type { ControlConfig } from '../config.ts'
import type { AppDeps } from '../http/app.ts'
import { createAuthenticator } from '../http/authenticate.ts'
import { createInbox } from '../inbox/inbox.ts'
import { rateLimit } from '../rate-limit.ts'
import { builtinTemplates } from '../templates/template.ts'
import { VERSION } from '../version.ts'
import { auditDenied } from './audit.ts'
import { openBroker } from './broker.ts'
import { type Core, openCore } from './core.ts'
import { type ControlEvents, controlEvents } from './events.ts'
import { handlersOf } from './handlers.ts'
import { issueIdentities } from './identities.ts'
import type { Instruments } from './instruments.ts'
import { scheduleJobs } from './jobs.ts'
import { bindListeners } from './listeners.ts'
import { joinBroker } from './messaging.ts'
import { CONTROL_METRICS, type ControlMetrics } from './metrics.ts'
import { serveObservation } from './observation.ts'
import { servePublicHttp } from './public-http.ts'
import { revocationLists } from './revocation-lists.ts'
import { statusService } from './status-service.ts'
import { createSteering } from './steering.ts'

/** Runs the control plane until it is asked to stop. */
export async function run(config: ControlConfig, instruments: Instruments = {}): Promise<void> {
  const log = createLogger({ name: 'vcc-control', level: config.log.level })
  const serve = (context: ServiceContext) => serveUntilStopped(config, controlEvents(log), context, instruments)
  await runService(serve, { log, drainMs: config.drain.ms + 10_000 })
}

async function serveUntilStopped(
  config: ControlConfig,
  events: ControlEvents,
  context: ServiceContext,
  instruments: Instruments,
): Promise<void> {
  const started = await startControlPlane(config, events, context, instruments)
  events.started(started)
  context.ready()
  await context.stopped
}

/** Builds everything, in the order things depend on each other. Only here and in `init` are things built. */
export async function startControlPlane(
  config: ControlConfig,
  events: ControlEvents,
  { signal, resources }: Pick<ServiceContext, 'signal' | 'resources'>,
  instruments: Instruments = {},
) {
  const metrics = createMetrics(CONTROL_METRICS)
  const { core, orphans } = await openCore(config, resources, { events, metrics, instruments })
  const identities = await issueIdentities(core)
  const authenticator = createAuthenticator(core)
  const broker = resources.use(await openBroker(config, core, { authenticator, events }))
  const listeners = await bindListeners(config, identities, core, resources)
  const status = await statusService(core, { events, metrics })
  const publicPort = await servePublicHttp(config, core, { status, events, resources })
  const lists = revocationLists(config, core, { events, metrics })

  const host = `control.${core.installation.domain}`
  const { advertise } = config
  const brokerUrl = config.broker.external?.url ?? `mqtts://${host}:${broker.address.port}`
  const endpoints = {
    api: advertise.api.length > 0 ? advertise.api : [`https://${host}:${listeners.agentsPort}`],
    broker: advertise.broker.length > 0 ? advertise.broker : [brokerUrl],
  }
  const brokerConnected = () => brokerClient.isConnected()
  const publish: BrokerClient['publish'] = (...message) => brokerClient.publish(...message)
  const steering = await createSteering(core, { identities, endpoints, publish, events, metrics })

  const { 'vcc-service': serviceTemplate, 'vcc-admin': adminTemplate } = builtinTemplates()
  const enrol = { ...core, policyInForce: () => steering.policyInForce()?.index, serviceTemplate }
  const inbox = createInbox({
    ...enrol,
    signer: identities.signer,
    anchors: () => [core.authorities.root('mesh-root').certificate],
    publish,
    onMoved: () => void steering.onChange(),
    admit: rateLimit(MESSAGE_RATE),
    events: {
      refused: (fact) => {
        metrics.vcc_messages_refused_total.add({ code: fact.code })
        if (fact.code !== 'too_many_requests') events.message_refused(fact)
      },
      failed: (fact, cause) => events.message_failed(fact, cause),
    },
  })
  const brokerClient = resources.use(
    joinBroker(broker.address, core, {
      identities,
      onMessage: (topic, payload) => void inbox.fromBroker(topic, payload),
      onConnect: steering.publisher.republish,
      isStopping: () => signal.aborted,
      events,
      metrics,
    }),
  )
  await steering.onChange()

  const onRetired = (instances: readonly string[]) => {
    for (const instance of instances) broker.disconnect(instance)
  }
  const handlers = handlersOf({
    core,
    steering,
    lists,
    status,
    enrol,
    inbox,
    adminTemplate,
    brokerConnected,
    onRetired,
  })
  await listeners.mount({
    handlers: instruments.handlers?.(handlers) ?? handlers,
    callerOf: authenticator.callerOf,
    admitAddress: rateLimit(ANONYMOUS_RATE),
    admitDenied: rateLimit(DENIED_RATE),
    stopping: signal,
    events: appEvents(core, events, metrics),
  })
  resources.use(
    scheduleJobs({ config, core, identities, listeners, broker, brokerClient, steering, lists, status, events }),
  )
  resources.use(await serveObservation(config, { core, identities, steering, status, metrics, brokerClient }))
  const { agentsPort, uiPort } = listeners
  const ports = { agents: String(agentsPort), ui: String(uiPort), public: String(publicPort) }
  return { version: VERSION, ...ports, broker: brokerUrl, orphans }
}

/** Of one network: a fleet behind one address may come back at once. */
const ANONYMOUS_RATE = { perSecond: 50, burst: 500 }
/** Of one instance: a report each half minute and an acknowledgement per document are usual. */
const MESSAGE_RATE = { perSecond: 5, burst: 200 }
/** Of one caller that asks for what it may not: each of these is an audit row. */
const DENIED_RATE = { perSecond: 0.2, burst: 30 }

function appEvents(core: Core, events: ControlEvents, metrics: ControlMetrics): AppDeps['events'] {
  return {
    answered: (fact) => {
      metrics.vcc_api_requests_total.add({ route: fact.route, status: String(fact.status) })
      metrics.vcc_api_request_duration_seconds.observe({ route: fact.route }, fact.durationMs / 1000)
      events.request_answered(fact)
    },
    failed: (fact, cause) => events.request_failed(fact, cause),
    denied: async (fact) => {
      events.request_denied({ ...fact, caller: fact.caller.kind })
      await core.database.runUnit(() => auditDenied(fact, core.audit))
    },
  }
}
