import { createHash } from 'node:crypto'
import {
  type CompiledPolicy,
  diff,
  formatDiff,
  type Matrix,
  type Notice,
  type PolicyDiff,
  parseMatrix,
  unknownClasses,
  workloadId,
} from '@vcc/policy'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import {
  activeInstances,
  type InstanceRow,
  type LatestCertificate,
  latestCertificates,
} from '../registry/instances-store.ts'
import { type ServiceRow, servicesOf } from '../registry/store.ts'
import { readsStateFormat } from '../state/format.ts'
import { compileFor, readPolicyInForce } from './in-force.ts'
import { assertReach } from './reach.ts'
import { insertPolicy, latestPolicy, type PolicyRow, policyVersion } from './store.ts'

export interface PolicyDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  /** Reads the policy anew and publishes what follows from it. */
  readonly onChange: () => Promise<void>
  readonly now: () => Date
}

export interface Proposal {
  readonly matrix: Matrix
  readonly notices: readonly Notice[]
  readonly compiled: CompiledPolicy
  readonly fromVersion: number | null
  /** The text is the one that is in force already. */
  readonly isInForce: boolean
  readonly changes: PolicyDiff
  readonly lines: readonly string[]
}

/**
 * What a matrix would change, judged completely before anything is written.
 *
 * @throws {DomainError} `policy_invalid` with every fault, `class_not_issuable`, `too_many_targets`,
 *   `class_change_unsupported`, `format_not_supported`.
 */
export async function propose(yaml: string, deps: PolicyDeps): Promise<Proposal> {
  const { installation } = deps
  const organization = installation.homeOrganization
  // Read here and not remembered: what another request has just put in force is what this one is compared with.
  const before = await readPolicyInForce(installation, deps.database)
  const { services, instances, certificates } = await deps.database.read(function* () {
    return {
      services: yield* servicesOf(organization),
      instances: yield* activeInstances(organization),
      certificates: yield* latestCertificates(organization),
    }
  })
  const parsed = parseMatrix(yaml, { organization, known: services.map((one) => one.service_name) })
  if (!parsed.ok) throw invalid(parsed.problems)
  const foreign = unknownClasses(parsed.matrix, Object.keys(installation.classes))
  if (foreign.length > 0) throw invalid(foreign)
  const compiled = compileFor(parsed.matrix, (before?.version ?? 0) + 1, services, installation)
  assertIssuable(compiled, deps)
  assertReach(compiled)
  assertFormatRead(instances)
  assertClassesHeld(compiled, services, certificates)
  const changes = diff(before?.compiled, compiled)
  const { matrix, notices } = parsed
  const base = { fromVersion: before?.version ?? null, isInForce: before?.yaml === yaml }
  return { ...base, matrix, notices, compiled, changes, lines: formatDiff(changes) }
}

/**
 * Puts a matrix in force: a new version, by compare-and-swap on the one it was compared with, then the signed state of
 * the agents concerned. Answers the version; whether agents have it is asked elsewhere.
 *
 * @throws {DomainError} `policy_changed_meanwhile`, and what {@link propose} throws.
 */
export async function applyMatrix(
  yaml: string,
  expectedVersion: number | null,
  context: { actor: string; requestId: string; rolledBackTo?: number },
  deps: PolicyDeps,
): Promise<{ version: number; changed: boolean; proposal: Proposal }> {
  const proposal = await propose(yaml, deps)
  if (proposal.isInForce && proposal.fromVersion !== null && proposal.fromVersion === expectedVersion) {
    return { version: proposal.fromVersion, changed: false, proposal }
  }
  const { version } = proposal.compiled
  await deps.database.runUnit(() => putInForce(yaml, version, expectedVersion, context, deps))
  await deps.onChange()
  return { version, changed: true, proposal }
}

function* putInForce(
  yaml: string,
  version: number,
  expectedVersion: number | null,
  context: { actor: string; requestId: string; rolledBackTo?: number },
  deps: PolicyDeps,
): Unit<void> {
  const organization = deps.installation.homeOrganization
  const latest = yield* latestPolicy(organization)
  if ((latest?.version ?? null) !== expectedVersion || version !== (latest?.version ?? 0) + 1) {
    throw new DomainError('policy_changed_meanwhile', `version ${latest?.version ?? 0} is in force by now`, {
      hint: 'look at the diff again, then apply',
    })
  }
  yield* insertPolicy(organization, {
    version,
    yaml,
    applied_by: context.actor,
    applied_at: epochSeconds(deps.now()),
    rolled_back_to: context.rolledBackTo ?? null,
  })
  yield* appendAudit(
    {
      event: 'POL-01',
      outcome: 'success',
      actor: { type: 'human', ref: context.actor },
      target: { type: 'policy', id: String(version), tenant: organization },
      requestId: context.requestId,
      afterHash: sha256(yaml),
      ...(latest === undefined ? {} : { beforeHash: sha256(latest.yaml) }),
    },
    deps.audit,
  )
}

/**
 * Brings back the text of an earlier version as a new one: the one before the current, where none is named.
 * @throws {DomainError} `policy_unknown`
 */
export async function rollBack(
  toVersion: number | undefined,
  context: { actor: string; requestId: string },
  deps: PolicyDeps,
) {
  const organization = deps.installation.homeOrganization
  const found = await deps.database.read(function* () {
    const latest = yield* latestPolicy(organization)
    const target = toVersion ?? (latest === undefined ? undefined : predecessor(latest))
    return { latest, row: target === undefined ? undefined : yield* policyVersion(organization, target) }
  })
  if (found.row === undefined || found.latest === undefined) {
    throw new DomainError(
      'policy_unknown',
      `there is no ${toVersion === undefined ? 'earlier version' : `version ${toVersion}`}`,
      {
        hint: 'vcc-pki policy list shows them',
      },
    )
  }
  return applyMatrix(found.row.yaml, found.latest.version, { ...context, rolledBackTo: found.row.version }, deps)
}

/** Of a version that was itself a roll-back: the one before the version it brought back. */
function predecessor(row: PolicyRow): number {
  return (row.rolled_back_to ?? row.version) - 1
}

function invalid(problems: readonly { code: string; line: number; column: number; message: string; hint?: string }[]) {
  return new DomainError(
    'policy_invalid',
    `the matrix has ${problems.length === 1 ? 'a fault' : `${problems.length} faults`}`,
    {
      faults: problems.map(({ code, line, column, message, hint }) => ({
        code,
        line,
        column,
        message,
        ...(hint === undefined ? {} : { hint }),
      })),
    },
  )
}

/** "another one needs `init --class` or a re-issued CA certificate, else `apply` refuses the policy that names it" */
function assertIssuable(compiled: CompiledPolicy, deps: PolicyDeps): void {
  const granted = new Set(deps.authorities.issuing('services-ca').grants.classes)
  for (const [id, subject] of Object.entries(compiled.subjects)) {
    if (subject.kind !== 'mesh') continue
    const oid = deps.installation.classes[subject.class]
    if (oid === undefined || !granted.has(oid)) {
      throw new DomainError('class_not_issuable', `no CA may grant the class ${subject.class}, which ${id} needs`, {
        hint: 'issue a Services CA that grants it: vcc-pki authorities create',
      })
    }
  }
}

/** "A policy that some agent's format cannot express is refused at `apply`, naming the agent." */
function assertFormatRead(instances: readonly InstanceRow[]): void {
  const unable = instances.filter((one) => !readsStateFormat(JSON.parse(one.state_formats) as number[])) // a report's
  const [first] = unable
  if (first === undefined) return
  throw new DomainError(
    'format_not_supported',
    `${unable.length === 1 ? 'the instance' : `${unable.length} instances, the first of them`} ${first.instance_id} (agent ${first.agent_version ?? 'of unknown version'}) cannot read it`,
    { hint: 'upgrade the agent, or deregister the instance' },
  )
}

/**
 * Until a change of class is two-phase, it would lock out every instance that runs. What counts is the class that
 * each one's certificate carries: an entry that was taken out and comes back with another class changes it as well.
 */
function assertClassesHeld(
  compiled: CompiledPolicy,
  services: readonly ServiceRow[],
  certificates: readonly LatestCertificate[],
): void {
  const names = new Map(services.map((one) => [one.service_id, one]))
  for (const { service_id, class: held } of certificates) {
    const service = names.get(service_id)
    if (service === undefined || held === null) continue
    const id = workloadId(compiled.trustDomain, service.organization_id, service.service_name)
    const subject = compiled.subjects[id]
    if (subject?.kind !== 'mesh' || subject.class === held) continue
    throw new DomainError(
      'class_change_unsupported',
      `${service.service_name} has live instances of the class ${held}; ${subject.class} would lock them out`,
      { hint: `deregister its instances first, or keep required_auth: ${held}` },
    )
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
