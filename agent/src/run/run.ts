// Long because it is the wiring of the process, in one place and read from top to bottom.
import { FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import {
  createLogger,
  createSchedule,
  EXIT,
  LOG_LEVELS,
  now,
  removeTemporaries,
  runService,
  type ServiceContext,
  setExitCode,
  withJitter,
} from '@vcc/runtime'
import { serveAdmin } from '../admin/server.ts'
import type { AgentConfig } from '../config.ts'
import { createApiLink } from '../control/api-link.ts'
import { createBrokerLink } from '../control/broker-link.ts'
import { AgentError } from '../errors.ts'
import { probeService } from '../health/probe.ts'
import { type Reason, type ServiceHealth, unreadiness } from '../health/readiness.ts'
import { serveHealth, serveMetrics } from '../health/server.ts'
import { Renewal } from '../identity/renewal.ts'
import { createDataPlane } from '../proxy/data-plane.ts'
import { createAnswers } from '../report/answers.ts'
import { statusBody } from '../report/status-body.ts'
import { say } from '../report/uplink.ts'
import { lockFolder } from '../state/folder-lock.ts'
import { StateKeeper } from '../state/keeper.ts'
import { keptFiles } from '../state/kept-files.ts'
import { puller } from '../state/puller.ts'
import { bypassPossible, readStatus } from '../status/read.ts'
import type { StateAlarm } from '../status/state-in-force.ts'
import { AGENT_VERSION } from '../version.ts'
import { accessLog } from './access.ts'
import { agentEvents } from './events.ts'
import { explained } from './explain.ts'
import { inForce } from './in-force.ts'
import { readJoinedOrFetch } from './joined.ts'
import { type AgentGauges, createAgentMetrics, proxyMetrics } from './metrics.ts'

/** How often a certificate that is not renewed any more is looked at. */
const STOPPED_MS = 60_000
const STATUS_MS = 30_000
/** Two reports that a broker confirmed and the control plane did not get: they go over HTTPS, one with each pull. */
const REPORTS_LOST_SECONDS = 75
const TEND_MS = 1000

/** Runs the agent until it is asked to stop. Everything is built here, and only here. */
export async function runAgent(config: AgentConfig): Promise<void> {
  const log = createLogger({ name: 'vcc-agent', level: config.logLevel })
  await runService((context) => serve(config, { log, events: agentEvents(log) }, context), {
    log,
    drainMs: config.drain.ms + 10_000,
  })
}

/** Builds everything in the order things depend on each other. What is decided is decided in the parts. */
async function serve(
  config: AgentConfig,
  { log, events }: { log: ReturnType<typeof createLogger>; events: ReturnType<typeof agentEvents> },
  { signal, stopped, resources, ready }: ServiceContext,
): Promise<void> {
  const startedAt = now()
  resources.use(await lockFolder(config.stateFolder))
  const leftovers = await removeTemporaries(config.stateFolder)
  if (leftovers > 0) events.leftovers_removed({ count: leftovers })
  const joined = await readJoinedOrFetch(config, signal, events.state_file_refused)
  const { trust } = joined
  let { identity, keptStatement } = joined
  const { root } = trust
  let health: ServiceHealth = { health: 'unknown' }
  let hasServed = false
  let isDraining = false
  let lastClockBehind = false
  let lastAlarm: StateAlarm | undefined
  const ending = new AbortController()
  const fatal = Promise.withResolvers<never>()
  fatal.promise.catch(() => {}) // looked at in the end

  const metrics = createAgentMetrics(({ set }) => readGauges(set))
  const dataPlane = createDataPlane(
    {
      inbound: { listen: config.inbound.listen, target: config.inbound.target },
      outbound: [...config.outbound].map(([upstream, listen]) => ({ upstream, listen })),
      limits: {
        maxConnections: config.maxConnections,
        ...(config.maxConnectionAge ? { maxConnectionAgeMs: config.maxConnectionAge.ms } : {}),
        ...(config.idleTimeout ? { idleMs: config.idleTimeout.ms } : {}),
      },
    },
    {
      now: () => keeper.now(),
      events: {
        ...events,
        self_check: (fields) => {
          metrics.vcc_agent_key_exchange_info.set({ group: fields.group }, 1)
          events.self_check(fields)
        },
      },
      metrics: proxyMetrics(metrics),
      onClose: accessLog(config.accessLog),
    },
  )
  resources.use(dataPlane)

  for (const refused of joined.refused) events.state_file_refused(refused)
  const files = keptFiles({
    states: joined.states,
    statements: joined.statements,
    refused: joined.refused,
    events: { notStored: events.state_not_stored, storedAgain: events.state_stored_again },
    now,
  })
  const keeper: StateKeeper = new StateKeeper(joined.loaded, {
    root: trust.root,
    statement: trust.statement,
    instance: identity.instance,
    workload: identity.workload,
    files,
    onChange: async (kind) => {
      if (kind === 'fleet') await keepStatement()
      await putInForce()
    },
    onGap: () => pullSoon(),
    onRefused: ({ what, code, isAlarm }, error) => {
      metrics.vcc_agent_state_refused_total.add({ code })
      if (isAlarm) {
        lastAlarm = { code, at: now() }
        events.state_refused({ what, code }, error)
      } else events.state_passed_over({ what, code })
    },
    now,
  })
  const meshTrust = () => ({ root: trust.root, statement: keeper.trust })

  const api = resources.use(
    createApiLink({
      trust: meshTrust,
      identity: () => identity,
      urls: () => [...(keeper.agent?.content.api ?? []), config.controlUrl],
      now: () => keeper.now(),
      signal: ending.signal,
    }),
  )
  const answers = createAnswers({ trust: meshTrust, keeper: () => keeper, now })
  const broker = resources.use(
    createBrokerLink({
      trust: meshTrust,
      identity: () => identity,
      urls: () => keeper.agent?.content.broker ?? [],
      // Whatever a broker sends, it is never the end of the agent.
      onMessage: (topic, payload) =>
        void onMessage(topic, payload).catch((error: unknown) => events.message_failed({ topic }, error)),
      onConnect: () => {
        events.broker_connected({})
        pullSoon()
        void reportAll()
      },
      onDisconnect: () => {
        events.broker_disconnected({})
        pullSoon()
      },
      onFailed: (code, error) => events.broker_failed({ code }, error),
      now: () => keeper.now(),
    }),
  )
  const uplink = { identity: () => identity, api, broker, now: () => keeper.now() }
  const force = inForce({
    root,
    keyExchange: config.keyExchange,
    keeper: () => keeper,
    identity: () => identity,
    dataPlane,
    uplink: () => uplink,
    events: {
      state_not_applied: ({ code }, error) => {
        metrics.vcc_agent_state_refused_total.add({ code })
        events.state_not_applied({ code }, error)
      },
    },
    onFatal: fatal.reject,
  })

  async function putInForce(): Promise<void> {
    await force.apply()
    if (!hasServed && dataPlane.status().phase === 'serving') {
      hasServed = true
      ready()
    }
    schedulePlan()
  }

  async function onMessage(topic: string, payload: string): Promise<void> {
    const { down } = instanceTopics(identity.instance)
    if (topic === down.reply) answers.take(payload)
    else if (topic === FLEET_TOPICS.snapshot) await keeper.take('fleet', payload)
    else if (topic === FLEET_TOPICS.delta) await keeper.take('delta', payload)
    else if (topic === FLEET_TOPICS.refresh) await keeper.take('fleet-refresh', payload)
    else if (topic === down.state) await keeper.take('agent', payload)
    else if (topic === down.refresh) await keeper.take('agent-refresh', payload)
  }

  /** A newer trust statement outlives the file of the document that brought it. */
  async function keepStatement(): Promise<void> {
    const { fleet } = keeper
    if (fleet === undefined || fleet.trust.version <= keptStatement) return
    if (await files.saveStatement(fleet.content.trust)) keptStatement = fleet.trust.version
  }

  async function reportAll(): Promise<void> {
    await force.acknowledge('all')
    await reportStatus()
  }

  const reportStatus = (over: 'broker' | 'https' = 'broker') =>
    say(
      'status',
      statusBody({
        config,
        keeper,
        dataPlane,
        health,
        startedAt,
        certificateEnds: serving().leaf.notAfter,
        isReady: reasons().length === 0,
        bypass: bypassPossible(config),
        offsetSeconds: pulls.offsetSeconds(),
      }),
      uplink,
      over,
    )

  const pulls = puller({
    keeper,
    api,
    isBrokerConnected: broker.isConnected,
    onRecorded: (recorded) => {
      force.noteRecorded(recorded)
      const aliveMs = now().getTime() - startedAt.getTime()
      if ((recorded.silentSeconds ?? aliveMs / 1000) > REPORTS_LOST_SECONDS) void reportStatus('https')
    },
    onPulled: () => force.acknowledge('owed'),
    onAway: (code) => {
      if (!ending.signal.aborted) events.control_away({ code })
    },
    now,
  })

  const renewal: Renewal = new Renewal({
    identity: () => identity,
    files: joined.identities,
    trust: meshTrust,
    keeper: () => keeper,
    api,
    broker,
    answers,
    onRenewed: async (next, why) => {
      identity = next
      metrics.vcc_agent_certificate_renewals_total.add({ result: 'renewed' })
      events.certificate_renewed({ serialHex: next.leaf.serialHex, notAfter: next.leaf.notAfter, why })
      await putInForce()
      void reportStatus()
      const failure = force.identityFailure()
      if (failure !== undefined) throw failure
    },
    onPendingRefused: (code, error) => events.pending_key_refused({ code }, error),
    onFailed: (fact, error) => {
      metrics.vcc_agent_certificate_renewals_total.add({ result: fact.code })
      if (fact.code === 'identity_forked') events.identity_forked({ instance: identity.instance })
      events.certificate_not_renewed(fact, error)
    },
    now,
    signal: ending.signal,
  })

  const serving = () => force.current()?.parts.identity ?? identity
  const reasons = (): readonly Reason[] => {
    const { leaf } = serving()
    const { served } = dataPlane.status()
    const failed = force.listenerFailure()
    return unreadiness({
      now: keeper.now(),
      draining: isDraining,
      certificate: { notBefore: leaf.notBefore, notAfter: leaf.notAfter },
      enforceUntil: force.current()?.snapshot.enforceUntil,
      listener: failed !== undefined ? { failed } : served && { servedSerial: served.serialHex },
      service: health,
    })
  }

  async function probe(): Promise<void> {
    const seen = await probeService(config.inbound.target, config.healthCheck)
    if (seen.health !== health.health) {
      events.service_health({ health: seen.health, detail: seen.health === 'failing' ? seen.detail : '' })
      health = seen
      await reportStatus()
    }
    health = seen
  }

  async function drain(): Promise<{ cut: number }> {
    isDraining = true
    events.draining({ deadlineMs: config.drain.ms })
    const { cut } = await dataPlane.drain(config.drain.ms)
    events.drained({ cut })
    return { cut }
  }

  function readGauges(set: AgentGauges): void {
    const { leaf } = serving()
    const plan = renewal.plan()
    const clock = keeper.clock()
    set.certificate(leaf.notAfter, plan.kind === 'stop' ? undefined : plan.at, now())
    for (const kind of ['fleet', 'agent'] as const) {
      const held = keeper[kind]
      if (held !== undefined) set.state(kind, held.generation, (now().getTime() - held.issuedAt.getTime()) / 1000)
    }
    const inForceUntil = force.current()?.snapshot.enforceUntil
    if (inForceUntil !== undefined) set.enforceUntil(inForceUntil)
    set.clockOffset(clock.state === 'behind' ? -clock.bySeconds : pulls.offsetSeconds())
    set.link('api', api.downSince() === undefined)
    set.link('broker', broker.isConnected())
    set.ready(reasons().length === 0)
    set.service(health.health === 'ok')
  }

  resources.use(
    await serveAdmin(config.adminSocket, {
      status: () =>
        readStatus({
          config,
          identity: () => identity,
          keeper,
          renewal,
          dataPlane,
          snapshot: () => force.current()?.snapshot,
          documents: () => force.current()?.parts,
          refused: force.refused,
          lastAlarm: () => lastAlarm,
          fileProblems: files.problems,
          offsetSeconds: pulls.offsetSeconds,
          api,
          broker,
          health: () => health,
          unreadiness: reasons,
          now,
        }),
      explain: (source, target) => explained(source, target, identity, force.current()?.snapshot),
      drain,
      logLevel: (level) => {
        const wanted = LOG_LEVELS.find((one) => one === level)
        if (wanted === undefined)
          throw new AgentError('admin_request_invalid', `a log level is one of ${LOG_LEVELS.join(', ')}`)
        log.level = wanted
        return { level: wanted }
      },
    }),
  )
  if (config.health !== undefined) resources.use(await serveHealth(config.health, reasons))
  if (config.metrics !== undefined) resources.use(await serveMetrics(config.metrics, metrics))

  const schedule = resources.use(createSchedule({ onFailure: (job, error) => events.job_failed({ job }, error) }))
  // Before the schedule waits for what still runs: a control plane that does not answer is not to hold up the end.
  resources.defer(() => ending.abort(new Error('the agent ends')))
  const job = (name: string, periodMs: () => number, timeoutMs: number, run: () => Promise<void>) =>
    schedule.add({ name, first: now(), next: (at) => new Date(at.getTime() + periodMs()), timeoutMs, run })
  const pulling = job('pull', pulls.againMs, 40_000, pulls.pull)
  const renewing = job('renewal', untilRenewal, 60_000, () => renewal.tend())
  job('probe', () => config.healthInterval.ms, 10_000, probe)
  job(
    'status',
    () => withJitter(STATUS_MS),
    30_000,
    async () => void (await reportStatus()),
  )
  job(
    'links',
    () => TEND_MS,
    10_000,
    async () => {
      broker.tend()
      const clock = keeper.clock()
      if (clock.state === 'behind' && !lastClockBehind) events.clock_behind({ bySeconds: clock.bySeconds })
      lastClockBehind = clock.state === 'behind'
    },
  )

  function pullSoon(): void {
    const asked = pulls.asked()
    if (pulling.due === undefined || asked < pulling.due) pulling.moveTo(asked)
  }

  function schedulePlan(): void {
    renewing.moveTo(new Date(now().getTime() + untilRenewal()))
  }

  function untilRenewal(): number {
    const plan = renewal.plan()
    return plan.kind === 'stop' ? STOPPED_MS : Math.max(100, plan.at.getTime() - keeper.clock().at.getTime())
  }

  events.started({
    service: identity.service,
    instance: identity.instance,
    serialHex: identity.leaf.serialHex,
    version: AGENT_VERSION,
  })
  if (keeper.fleet === undefined || keeper.agent === undefined) events.waiting_for_state({})
  else await putInForce()
  await Promise.race([stopped, fatal.promise])
  const { cut } = await drain()
  if (cut > 0) setExitCode(EXIT.failed)
}
