import { createSchedule, every, readKeyFile } from '@vcc/runtime'
import type { Broker } from '../broker/broker.ts'
import type { BrokerClient } from '../broker/client.ts'
import { dropExpiredKeys } from '../certificates/idempotency.ts'
import type { ControlConfig } from '../config.ts'
import { isLate } from '../crl/routes.ts'
import { crlMarks } from '../crl/store.ts'
import { DatabaseError } from '../database/errors.ts'
import { isCheckedAtOpen } from '../database/inspect.ts'
import { checkPages } from '../database/page-check.ts'
import { epochSeconds } from '../epoch.ts'
import { resolveAbandoned } from '../issuance/store.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { Identities } from './identities.ts'
import type { Listeners } from './listeners.ts'
import type { RevocationLists } from './revocation-lists.ts'
import type { StatusService } from './status-service.ts'
import type { Steering } from './steering.ts'

export interface JobDeps {
  readonly config: ControlConfig
  readonly core: Core
  readonly identities: Identities
  readonly listeners: Listeners
  readonly broker: Broker
  readonly brokerClient: BrokerClient
  readonly steering: Steering
  readonly lists: RevocationLists
  readonly status: StatusService
  readonly events: ControlEvents
}

const SECOND_MS = 1000
const DAY_SECONDS = 86_400
const CHECK_MS = 600_000

/** Everything that happens because time passes. */
export function scheduleJobs(deps: JobDeps): AsyncDisposable {
  const { core, events, steering } = deps
  const { database, now } = core
  const schedule = createSchedule({ onFailure: (job, error) => events.job_failed({ job }, error) })
  const jobs: readonly (readonly [name: string, seconds: number, work: () => Promise<unknown>])[] = [
    ['fleet refresh', 60, () => steering.publisher.refreshFleet()],
    ['agent refreshes', 3600, () => steering.publisher.refreshAgents()],
    ['state that could not be made', 15, () => steering.catchUp()],
    ['abandoned intents', 30, () => resolveAbandoned({ before: now() }, core)],
    ['broker', 30, () => deps.broker.tend()],
    ['OCSP responder certificates', 3600, () => deps.status.renewKeys()],
    ['CRLs', 10, () => tendCrls(deps)],
    ['idempotency keys', 3600, () => database.runUnit(() => dropExpiredKeys(now()))],
    ['listener certificates', DAY_SECONDS, () => renewIdentities(deps)],
  ]
  for (const [name, seconds, work] of jobs) {
    schedule.add({
      name,
      first: new Date(now().getTime() + seconds * SECOND_MS),
      next: every(seconds * SECOND_MS),
      timeoutMs: 60_000,
      run: async () => {
        await work()
      },
    })
  }
  const firstCheckSeconds = isCheckedAtOpen(database.path) ? DAY_SECONDS : 60
  schedule.add({
    name: 'pages of the database',
    first: new Date(now().getTime() + firstCheckSeconds * SECOND_MS),
    next: every(DAY_SECONDS * SECOND_MS),
    timeoutMs: CHECK_MS,
    run: (signal) => checkDatabase(deps, signal),
  })
  return schedule
}

/** Issues what is due, and says what will lapse all the same. */
async function tendCrls({ core, lists, events }: JobDeps): Promise<void> {
  try {
    await lists.upkeep.tick()
  } finally {
    const at = epochSeconds(core.now())
    for (const mark of await core.database.read(crlMarks)) {
      if (!isLate(mark, at)) continue
      const { issuing_ca_id, shard, kind } = mark
      events.crl_late({ authority: core.authorities.byId(issuing_ca_id).name, shard, kind })
    }
  }
}

/** Damage that nobody came across is a failure like one that somebody did. */
async function checkDatabase({ config, core: { database } }: JobDeps, signal: AbortSignal): Promise<void> {
  try {
    const key = await readKeyFile(config.secrets.database_key_file)
    await checkPages({ path: database.path, key }, signal)
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'database_corrupt') database.distrust(error)
    throw error
  }
}

async function renewIdentities({ identities, listeners, broker, brokerClient, events }: JobDeps): Promise<void> {
  await identities.renew()
  listeners.renewIdentity()
  events.identity_renewed({ kind: 'control', serialHex: identities.control().certificate.serialHex })
  try {
    await broker.renewCertificate()
  } finally {
    brokerClient.reconnect()
  }
}
