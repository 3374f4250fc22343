import { isoSeconds } from '@vcc/mesh'
import {
  decideDial,
  displayName,
  type PolicyIndex,
  parseWorkloadId,
  resolveWorkload,
  type WorkloadId,
} from '@vcc/policy'
import { formatSocketAddress } from '../address.ts'
import type { AgentConfig } from '../config.ts'
import type { ApiLink } from '../control/api-link.ts'
import type { BrokerLink } from '../control/broker-link.ts'
import type { Reason, ServiceHealth } from '../health/readiness.ts'
import type { Identity } from '../identity/identity.ts'
import type { Renewal } from '../identity/renewal.ts'
import type { DataPlane } from '../proxy/data-plane.ts'
import type { Snapshot } from '../proxy/snapshot.ts'
import type { StateKeeper } from '../state/keeper.ts'
import type { FileProblem } from '../state/kept-files.ts'
import { AGENT_VERSION } from '../version.ts'
import { outageWords } from './outage.ts'
import {
  alarmWarnings,
  type Documents,
  fileWarnings,
  type RefusedDocument,
  refusedWarnings,
  type StateAlarm,
  stateInForce,
} from './state-in-force.ts'
import type { AgentStatus } from './status.ts'

export interface StatusDeps {
  readonly config: AgentConfig
  readonly identity: () => Identity
  readonly keeper: StateKeeper
  readonly renewal: Renewal
  readonly dataPlane: DataPlane
  readonly snapshot: () => Snapshot | undefined
  /** What the snapshot was made of. */
  readonly documents: () => Documents | undefined
  readonly refused: () => readonly RefusedDocument[]
  readonly lastAlarm: () => StateAlarm | undefined
  readonly fileProblems: () => readonly FileProblem[]
  readonly offsetSeconds: () => number | undefined
  readonly api: ApiLink
  readonly broker: BrokerLink
  readonly health: () => ServiceHealth
  readonly unreadiness: () => readonly Reason[]
  readonly now: () => Date
}

/** Everything an operator asks first, read at this moment. */
export function readStatus(deps: StatusDeps): AgentStatus {
  const { keeper, dataPlane, config } = deps
  const { leaf, instance, workload, classOid } = deps.identity()
  const snapshot = deps.snapshot()
  const plane = dataPlane.status()
  const notReady = deps.unreadiness()
  const documents = deps.documents()
  const state = stateInForce(documents, { now: deps.now(), floor: keeper.floor })
  const refused = refusedWarnings(documents, deps.refused())
  const clock = keeper.clock()
  const problems = deps.fileProblems()
  const alarms = alarmWarnings(deps.lastAlarm(), deps.now())
  const warnings = [...refused, ...alarms, ...fileWarnings(problems), ...warningsOf(deps, notReady, state)]
  return {
    healthy:
      notReady.length === 0 &&
      refused.length === 0 &&
      problems.length === 0 &&
      state.enforcement !== 'expired' &&
      deps.renewal.plan().kind !== 'stop' &&
      clock.state === 'ok',
    warnings,
    version: AGENT_VERSION,
    identity: {
      id: workload,
      instance,
      class: snapshot?.self.class ?? classOid,
      serial: leaf.serialHex,
      not_before: isoSeconds(leaf.notBefore),
      not_after: isoSeconds(leaf.notAfter),
      ...renewalOf(deps.renewal),
    },
    listener:
      plane.served === undefined
        ? null
        : {
            protocol: plane.served.protocol,
            cipher: plane.served.cipher,
            group: plane.served.group,
            served_serial: plane.served.serialHex,
          },
    state,
    state_files: problems.map((one) => ({ ...one, since: isoSeconds(one.since) })),
    control_plane: {
      api: deps.api.downSince() === undefined ? 'reachable' : 'unreachable',
      api_down_since: isoOrNull(deps.api.downSince()),
      broker: deps.broker.isConnected() ? 'connected' : 'away',
      broker_down_since: isoOrNull(deps.broker.downSince()),
    },
    clock_behind_seconds: clock.state === 'behind' ? clock.bySeconds : 0,
    clock_offset_seconds: deps.offsetSeconds() ?? null,
    ready: notReady.length === 0,
    not_ready: notReady.map(({ code, detail }) => ({ code, detail })),
    service: {
      target: formatSocketAddress(config.inbound.target),
      mode: snapshot?.mode ?? null,
      health: deps.health().health,
      detail: detailOf(deps.health()),
    },
    connections: plane.connections,
    upstreams: upstreamsOf(deps, snapshot),
    callers: callersOf(workload, snapshot?.policy),
    recorded_not_enforced: recordedOf(workload, snapshot?.policy),
    local_bypass_possible: bypassPossible(config),
  }
}

/** On a shared host a plain port is open to every local process; a Unix socket is not. */
export function bypassPossible(config: AgentConfig): boolean {
  const addresses = [config.inbound.target, ...config.outbound.values()]
  return config.sharedHost && addresses.some((address) => address.kind === 'tcp')
}

function renewalOf(renewal: Renewal): Pick<AgentStatus['identity'], 'renewal' | 'renewal_at' | 'last_failure'> {
  const plan = renewal.plan()
  const last_failure = renewal.failure?.code ?? null
  if (plan.kind === 'stop') return { renewal: `no renewal any more: ${plan.why}`, renewal_at: null, last_failure }
  const at = isoSeconds(plan.at)
  return {
    renewal: `${plan.kind === 'renew' ? 'renewal' : 're-enrolment'} ${plan.why} at ${at}`,
    renewal_at: at,
    last_failure,
  }
}

function warningsOf(deps: StatusDeps, notReady: readonly Reason[], state: AgentStatus['state']): string[] {
  const { keeper, config, renewal } = deps
  const clock = keeper.clock()
  const plan = renewal.plan()
  const warnings = notReady.map((reason) => reason.detail)
  if (plan.kind === 'stop')
    warnings.push(`this identity gets no certificate any more (${plan.why}): join again with a new token`)
  if (renewal.failure !== undefined) warnings.push(`the last renewal failed: ${renewal.failure.code ?? 'no answer'}`)
  if (clock.state === 'behind')
    warnings.push(`clock_behind: the clock is ${clock.bySeconds} s behind what the control plane signed`)
  if (deps.api.downSince() !== undefined && !deps.broker.isConnected()) {
    warnings.push(`control plane and broker are away; ${outageWords(state)}`)
  }
  if (bypassPossible(config)) {
    warnings.push(
      'local bypass possible: other processes on this host can use its plain ports; Unix sockets close that',
    )
  }
  return warnings
}

function upstreamsOf(
  { config, identity, dataPlane }: StatusDeps,
  snapshot: Snapshot | undefined,
): AgentStatus['upstreams'] {
  const { trustDomain, organization, workload } = identity()
  const plane = new Map(dataPlane.status().upstreams.map((one) => [one.id, one]))
  return [...config.outbound].map(([name, listen]) => {
    const target = resolveWorkload(name, { trustDomain, organization })
    const decision = snapshot && decideDial(snapshot.policy, { source: workload, target })
    return {
      name,
      listen: formatSocketAddress(listen),
      allowed: decision?.allowed === true,
      rule: decision?.rule ?? 'no state',
      addresses: (snapshot?.upstreams.get(target)?.addresses ?? []).map(({ host, port }) => `${host}:${port}`),
      ejected: plane.get(target)?.ejected ?? 0,
    }
  })
}

function callersOf(self: WorkloadId, policy: PolicyIndex | undefined): AgentStatus['callers'] {
  const edges = policy?.policy.edges.filter((edge) => edge.target === self) ?? []
  return edges.map((edge) => ({ id: edge.source, rule: edge.rule }))
}

function recordedOf(self: WorkloadId, policy: PolicyIndex | undefined): string[] {
  const subjects = Object.entries(policy?.policy.subjects ?? {})
  return subjects.flatMap(([id, subject]) => {
    if (subject.kind !== 'mesh') return []
    const name = displayName(parseWorkloadId(id).id, self)
    return subject.recorded.map((words) => `${name} ${words}`)
  })
}

function detailOf(health: ServiceHealth): string | null {
  return health.health === 'failing' ? health.detail : null
}

function isoOrNull(at: Date | undefined): string | null {
  return at === undefined ? null : isoSeconds(at)
}
