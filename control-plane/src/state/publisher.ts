import {
  type AgentContent,
  agentDocument,
  contentHash,
  FLEET_TOPICS,
  type FleetContent,
  fleetDelta,
  fleetDocument,
  type JwsSigner,
  type Lifetimes,
  MeshError,
  type Signed,
  type StateDocument,
} from '@vcc/mesh'
import { slicer, workloadId } from '@vcc/policy'
import type { AuditDeps } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import { assertClockForward } from '../clock/forward.ts'
import { coalesced } from '../coalesced.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import type { PolicyInForce } from '../policies/in-force.ts'
import { allActiveInstances, type InstanceRow } from '../registry/instances-store.ts'
import { type ServiceRow, servicesOf } from '../registry/store.ts'
import { shutOut } from '../revocation/fleet.ts'
import { auditPublished } from './audit.ts'
import { inBatches } from './batches.ts'
import { type AgentInputs, agentContent, type Endpoints, fleetContent } from './content.ts'
import { createMailing, type Mailing, rowOf, signedRefresh } from './mailing.ts'
import { createRounds, dropRetired, type Rounds } from './retired.ts'
import { agentMarks, agentRow, fleetRow, replaceDocument, type StateRow } from './store.ts'

export interface PublisherDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  readonly endpoints: Endpoints
  readonly signer: JwsSigner
  readonly policyInForce: () => PolicyInForce | undefined
  /** To the broker; false while it is away, which is no fault: agents pull. */
  readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
  readonly events: {
    readonly published: (fact: { kind: 'fleet' | 'agent'; generation: number; instances: number }) => void
  }
  readonly now: () => Date
}

export interface Publisher {
  /**
   * Brings every document up to date with policy, registry and CAs, and publishes those that changed. One that cannot
   * be made holds up no other; it is made by the next update.
   */
  readonly update: () => Promise<void>
  /** The fleet's document alone: who is shut out waits for nobody's slice. */
  readonly updateFleet: () => Promise<void>
  /** All retained topics anew: the broker keeps nothing over its restart. */
  readonly republish: () => Promise<void>
  /** The fleet's refresh, retained, so that a quiet mesh stays alive. */
  readonly refreshFleet: () => Promise<void>
  /** Each agent's refresh, retained. */
  readonly refreshAgents: () => Promise<void>
  /** What an agent that holds this is to be told. @throws {DomainError} `unavailable`, `clock_behind` */
  readonly pull: (instance: string, held: { fleet: string | undefined; agent: string | undefined }) => Promise<Pulled>
}

export interface Pulled {
  readonly fleet: { readonly document?: string; readonly refresh: string }
  readonly agent: { readonly document?: string; readonly refresh: string } | undefined
}

/** Taken for minutes; worked on for the outage budget. */
const ACCEPT_SECONDS = 600
/** Computes, signs, stores and publishes the signed state. */
export function createPublisher(deps: PublisherDeps): Publisher {
  const lifetimes = { acceptSeconds: ACCEPT_SECONDS, enforceSeconds: deps.installation.outageBudgetMs / 1000 }
  const mailing = createMailing({ ...deps, lifetimes })
  const rounds = createRounds()
  const context: Context = { ...deps, lifetimes, mailing, rounds }
  const updateFleetOnce = coalesced(() => updateFleet(context))
  const clockForward = () => deps.database.read(() => assertClockForward(deps.now()))
  return {
    update: coalesced(() => update(context, updateFleetOnce)),
    updateFleet: updateFleetOnce,
    async republish() {
      await clockForward()
      const fleet = await deps.database.read(fleetRow)
      if (fleet !== undefined) await mailing.document(fleet)
      await rounds.run(async () =>
        inBatches(await deps.database.read(agentMarks), async ({ instance_id }) => {
          const row = await deps.database.read(() => agentRow(instance_id))
          if (row !== undefined) await mailing.document(row)
        }),
      )
      await dropRetired(context)
    },
    async refreshFleet() {
      await clockForward()
      const row = await deps.database.read(fleetRow)
      if (row !== undefined) await mailing.refresh(row)
      await dropRetired(context) // those that the broker did not confirm
    },
    async refreshAgents() {
      await clockForward()
      await rounds.run(async () => inBatches(await deps.database.read(agentMarks), mailing.refresh))
    },
    async pull(instance, held) {
      const { fleet, agent } = await deps.database.read(function* () {
        yield* assertClockForward(deps.now())
        return { fleet: yield* fleetRow(), agent: yield* agentRow(instance) }
      })
      if (fleet === undefined) throw new DomainError('unavailable', 'the state of the fleet is being made')
      return {
        fleet: await partOf(fleet, held.fleet, context),
        agent: agent && (await partOf(agent, held.agent, context)),
      }
    },
  }
}

interface Context extends PublisherDeps {
  readonly lifetimes: Lifetimes
  readonly mailing: Mailing
  readonly rounds: Rounds
}

async function partOf(row: StateRow, held: string | undefined, context: Context) {
  const refresh = await signedRefresh(row, context)
  return held === `${row.epoch}.${row.generation}` ? { refresh } : { document: row.jws, refresh }
}

async function update(context: Context, fleet: () => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled([fleet(), updateAgents(context)])
  // After the documents: one of an instance that was retired meanwhile must not come behind its clearing.
  outcomes.push(...(await Promise.allSettled([dropRetired(context)])))
  const failures = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} parts of the state were not made`)
}

async function updateFleet(context: Context): Promise<void> {
  const { installation, authorities, database, lifetimes, mailing, signer, now } = context
  const known = authorities.all()
  const { before, out } = await database.read(function* () {
    return { before: yield* fleetRow(), out: yield* shutOut(known, now()) }
  })
  const content = fleetContent(installation, known, out)
  if (before?.content_hash === contentHash(content)) return
  const { trustDomain, epoch } = installation
  const input = { trustDomain, epoch, generation: (before?.generation ?? 0) + 1, content }
  const document = await fleetDocument(input, lifetimes, signer, { now: now() })
  if (!(await store(document, null, context))) return
  await mailing.document(rowOf(document))
  if (before !== undefined) {
    const base = { generation: before.generation, content: JSON.parse(before.content) as FleetContent } // signed by us
    await sendDelta(() => fleetDelta(base, input, lifetimes, signer, { now: now() }), mailing)
  }
  context.events.published({ kind: 'fleet', generation: input.generation, instances: 0 })
}

/** A step too large for a delta is none: agents have the document, or pull it. */
async function sendDelta(make: () => ReturnType<typeof fleetDelta>, mailing: Mailing): Promise<void> {
  try {
    await mailing.inline(FLEET_TOPICS.delta, (await make()).jws)
  } catch (error) {
    if (!(error instanceof MeshError && TOO_LARGE.has(error.code))) throw error
  }
}

const TOO_LARGE: ReadonlySet<string> = new Set(['state_malformed', 'jws_too_large'])

async function updateAgents(context: Context): Promise<void> {
  const { database, installation, audit } = context
  const policy = context.policyInForce()
  if (policy === undefined) return
  const known = await database.read(function* () {
    const services = yield* servicesOf(installation.homeOrganization)
    return { services, instances: yield* allActiveInstances() }
  })
  const inputs = inputsOf(policy, known.services, known.instances, context)
  const services = new Map(known.services.map((service) => [service.service_id, service]))
  let changed = 0
  try {
    await inBatches(known.instances, async (instance) => {
      const service = services.get(instance.service_id)
      if (service !== undefined && (await updateAgent(instance, service, inputs, context))) changed += 1
    })
  } finally {
    if (changed > 0) {
      await database.runUnit(() => auditPublished({ documents: changed, policyVersion: policy.version }, audit))
      context.events.published({ kind: 'agent', generation: policy.version, instances: changed })
    }
  }
}

/** Answers whether it changed. */
async function updateAgent(
  instance: InstanceRow,
  service: ServiceRow,
  inputs: AgentInputs,
  context: Context,
): Promise<boolean> {
  const { database, lifetimes, signer, mailing, now } = context
  const { trustDomain, epoch } = context.installation
  const row = await database.read(() => agentRow(instance.instance_id))
  const held = row && (JSON.parse(row.content) as AgentContent) // signed by us
  const content = agentContent(instance, service, inputs, held)
  if (row?.content_hash === contentHash(content)) return false
  const generation = (row?.generation ?? 0) + 1
  const input = { trustDomain, epoch, generation, content, instance: instance.instance_id }
  const document = await agentDocument(input, lifetimes, signer, { now: now() })
  if (!(await store(document, instance.organization_id, context))) return false
  await mailing.document(rowOf(document))
  return true
}

function inputsOf(
  policy: PolicyInForce,
  services: readonly ServiceRow[],
  instances: readonly InstanceRow[],
  { installation, endpoints }: PublisherDeps,
): AgentInputs {
  return {
    installation,
    endpoints,
    sliceOf: slicer(policy.registered),
    services: new Map(
      services.map((one) => [workloadId(installation.trustDomain, one.organization_id, one.service_name), one]),
    ),
    instances: Map.groupBy(instances, (one) => one.service_id),
  }
}

/** Durable before it is published: an agent never holds what the database does not know. */
function store(document: Signed<StateDocument>, organization: string | null, context: Context): Promise<boolean> {
  const { database, mailing, audit, now } = context
  const row = rowOf(document)
  return database.runUnit(function* (): Unit<boolean> {
    yield* assertClockForward(now())
    const replaced = yield* replaceDocument(row, organization)
    if (replaced && row.kind === 'fleet') yield* auditPublished({ fleet: row }, audit)
    if (replaced) mailing.announce(row)
    return replaced
  })
}
