import {
  type AgentContent,
  agentDocument,
  canonicalJson,
  contentHash,
  FLEET_TOPICS,
  type FleetContent,
  fleetDelta,
  fleetDocument,
  INLINE_DOCUMENT_BYTES,
  instanceTopics,
  instantOf,
  type JwsSigner,
  type Lifetimes,
  refreshOf,
  type Signed,
  type StateDocument,
} from '@vcc/mesh'
import { slicer, workloadId } from '@vcc/policy'
import type { Authorities } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import { epochSeconds } from '../epoch.ts'
import type { Installation } from '../installation/installation.ts'
import type { PolicyInForce } from '../policies/in-force.ts'
import { allActiveInstances, type InstanceRow } from '../registry/instances-store.ts'
import { type ServiceRow, servicesOf } from '../registry/store.ts'
import { type AgentInputs, agentContent, type Endpoints, fleetContent } from './content.ts'
import { agentRow, agentRows, fleetRow, replaceDocument, type StateRow } from './store.ts'

export interface PublisherDeps {
  readonly database: UnitAccess
  readonly installation: Installation
  readonly authorities: Authorities
  readonly endpoints: Endpoints
  readonly signer: JwsSigner
  readonly policyInForce: () => PolicyInForce | undefined
  /** To the broker; false while it is away, which is no fault: agents pull. */
  readonly publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
  readonly events: { readonly published: (fact: { kind: string; generation: number; instances: number }) => void }
  readonly now: () => Date
}

export interface Publisher {
  /** Brings every document up to date with policy, registry and CAs, and publishes those that changed. */
  readonly update: () => Promise<void>
  /** All retained topics anew: the broker keeps nothing over its restart. */
  readonly republish: () => Promise<void>
  /** The fleet's refresh, retained, so that a quiet mesh stays alive. */
  readonly refreshFleet: () => Promise<void>
  /** Each agent's refresh, retained. */
  readonly refreshAgents: () => Promise<void>
  /** What an agent that holds this is to be told. */
  readonly pull: (instance: string, held: { fleet: string | undefined; agent: string | undefined }) => Promise<Pulled>
}

export interface Pulled {
  readonly fleet: { readonly document?: string; readonly refresh: string }
  readonly agent: { readonly document?: string; readonly refresh: string } | undefined
}

/** Taken for minutes; worked on for the outage budget. */
const ACCEPT_SECONDS = 600

/** Computes, signs, stores and publishes the signed state. One update runs at a time; a call meanwhile causes one more. */
export function createPublisher(deps: PublisherDeps): Publisher {
  const lifetimes: Lifetimes = {
    acceptSeconds: ACCEPT_SECONDS,
    enforceSeconds: deps.installation.outageBudgetMs / 1000,
  }
  const update = coalesced(async () => {
    await updateFleet(lifetimes, deps)
    await updateAgents(lifetimes, deps)
  })
  return {
    update,
    async republish() {
      const { fleet, agents } = await deps.database.read(function* () {
        return { fleet: yield* fleetRow(), agents: yield* agentRows() }
      })
      if (fleet !== undefined) await publishDocument(fleet, lifetimes, deps)
      for (const row of agents) await publishDocument(row, lifetimes, deps)
    },
    async refreshFleet() {
      const row = await deps.database.read(fleetRow)
      if (row !== undefined) await publishRefresh(row, lifetimes, deps)
    },
    async refreshAgents() {
      for (const row of await deps.database.read(agentRows)) await publishRefresh(row, lifetimes, deps)
    },
    async pull(instance, held) {
      const { fleet, agent } = await deps.database.read(function* () {
        return { fleet: yield* fleetRow(), agent: yield* agentRow(instance) }
      })
      if (fleet === undefined) throw new Error('there is no fleet document')
      return {
        fleet: await partOf(fleet, held.fleet, lifetimes, deps),
        agent: agent && (await partOf(agent, held.agent, lifetimes, deps)),
      }
    },
  }
}

async function partOf(row: StateRow, held: string | undefined, lifetimes: Lifetimes, deps: PublisherDeps) {
  const refresh = await signedRefresh(row, lifetimes, deps)
  return held === `${row.epoch}.${row.generation}` ? { refresh } : { document: row.jws, refresh }
}

async function updateFleet(lifetimes: Lifetimes, deps: PublisherDeps): Promise<void> {
  const { installation } = deps
  const before = await deps.database.read(fleetRow)
  const input = {
    trustDomain: installation.trustDomain,
    epoch: installation.epoch,
    generation: (before?.generation ?? 0) + 1,
    content: fleetContent(installation, deps.authorities.all()),
  }
  const document = await fleetDocument(input, lifetimes, deps.signer, { now: deps.now() })
  if (before?.content_hash === document.payload.contentHash) return
  if (!(await store(document, null, deps))) return
  await publishDocument(rowOf(document), lifetimes, deps)
  if (before !== undefined) {
    const base = { generation: before.generation, content: JSON.parse(before.content) as FleetContent } // signed by us
    const delta = await fleetDelta(base, input, lifetimes, deps.signer, { now: deps.now() })
    await deps.publish(FLEET_TOPICS.delta, delta.jws, false)
  }
  deps.events.published({ kind: 'fleet', generation: input.generation, instances: 0 })
}

async function updateAgents(lifetimes: Lifetimes, deps: PublisherDeps): Promise<void> {
  const policy = deps.policyInForce()
  if (policy === undefined) return
  const known = await deps.database.read(function* () {
    const services = yield* servicesOf(deps.installation.homeOrganization)
    return { services, instances: yield* allActiveInstances(), rows: yield* agentRows() }
  })
  const before = new Map(known.rows.map((row) => [row.instance_id, row]))
  const inputs = inputsOf(policy, known.services, known.instances, deps)
  const services = new Map(known.services.map((service) => [service.service_id, service]))
  let changed = 0
  for (const instance of known.instances) {
    const service = services.get(instance.service_id)
    if (service === undefined) continue
    const row = before.get(instance.instance_id)
    const held = row && (JSON.parse(row.content) as AgentContent) // signed by us
    const content = agentContent(instance, service, inputs, held)
    if (row !== undefined && row.content_hash === contentHash(content)) continue
    changed += 1
    await replaceAgent(instance, content, (row?.generation ?? 0) + 1, lifetimes, deps)
  }
  if (changed > 0) deps.events.published({ kind: 'agent', generation: policy.version, instances: changed })
}

async function replaceAgent(
  instance: InstanceRow,
  content: AgentContent,
  generation: number,
  lifetimes: Lifetimes,
  deps: PublisherDeps,
): Promise<void> {
  const { trustDomain, epoch } = deps.installation
  const input = { trustDomain, epoch, generation, content, instance: instance.instance_id }
  const document = await agentDocument(input, lifetimes, deps.signer, { now: deps.now() })
  if (await store(document, instance.organization_id, deps)) await publishDocument(rowOf(document), lifetimes, deps)
}

function inputsOf(
  policy: PolicyInForce,
  services: readonly ServiceRow[],
  instances: readonly InstanceRow[],
  deps: PublisherDeps,
): AgentInputs {
  const { installation, endpoints } = deps
  return {
    installation,
    endpoints,
    sliceOf: slicer(policy.compiled),
    services: new Map(
      services.map((one) => [workloadId(installation.trustDomain, one.organization_id, one.service_name), one]),
    ),
    instances: Map.groupBy(instances, (one) => one.service_id),
  }
}

/** Durable before it is published: an agent never holds what the database does not know. */
function store(document: Signed<StateDocument>, organization: string | null, deps: PublisherDeps): Promise<boolean> {
  return deps.database.runUnit(() => replaceDocument(rowOf(document), organization))
}

function rowOf({ jws, payload }: Signed<StateDocument>): StateRow {
  return {
    kind: payload.kind,
    instance_id: payload.instance ?? '',
    epoch: payload.epoch,
    generation: payload.generation,
    content_hash: payload.contentHash,
    content: canonicalJson(payload.content),
    jws,
    issued_at: epochSeconds(instantOf(payload.issuedAt)),
    accept_until: epochSeconds(instantOf(payload.acceptUntil)),
    enforce_until: epochSeconds(instantOf(payload.enforceUntil)),
  }
}

/** Retained; a large document travels as its refresh alone, and agents pull it. */
async function publishDocument(row: StateRow, lifetimes: Lifetimes, deps: PublisherDeps): Promise<void> {
  const topic = row.kind === 'fleet' ? FLEET_TOPICS.snapshot : instanceTopics(row.instance_id).down.state
  if (row.jws.length <= INLINE_DOCUMENT_BYTES) await deps.publish(topic, row.jws, true)
  await publishRefresh(row, lifetimes, deps)
}

async function publishRefresh(row: StateRow, lifetimes: Lifetimes, deps: PublisherDeps): Promise<void> {
  const topic = row.kind === 'fleet' ? FLEET_TOPICS.refresh : instanceTopics(row.instance_id).down.refresh
  await deps.publish(topic, await signedRefresh(row, lifetimes, deps), true)
}

async function signedRefresh(row: StateRow, lifetimes: Lifetimes, deps: PublisherDeps): Promise<string> {
  const target = {
    kind: row.kind,
    instance: row.kind === 'fleet' ? null : row.instance_id,
    epoch: row.epoch,
    generation: row.generation,
    contentHash: row.content_hash,
  }
  return (await refreshOf(target, lifetimes, deps.signer, { now: deps.now() })).jws
}

/** One run at a time; calls during a run share the one that follows it. */
function coalesced(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined
  let next: Promise<void> | undefined
  const start = (): Promise<void> => {
    current = run().finally(() => {
      current = undefined
    })
    return current
  }
  return () => {
    if (current === undefined) return start()
    next ??= current
      .catch(() => {})
      .then(() => {
        next = undefined
        return start()
      })
    return next
  }
}
