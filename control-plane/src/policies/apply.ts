import { createHash } from 'node:crypto'
import { canonicalJson } from '@vcc/mesh'
import {
  type CompiledPolicy,
  diff,
  formatDiff,
  type Matrix,
  type Notice,
  type PolicyDiff,
  parseMatrix,
  parseWorkloadId,
  unknownClasses,
} from '@vcc/policy'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import { activeInstances } from '../registry/instances-store.ts'
import { type ServiceRow, servicesOf } from '../registry/store.ts'
import { compileFor, type PolicyInForce } from './in-force.ts'
import { insertPolicy, latestPolicy, type PolicyRow, policyVersion } from './store.ts'

export interface PolicyDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  readonly policyInForce: () => PolicyInForce | undefined
  /** Reads the policy anew and publishes what follows from it. */
  readonly onChange: () => Promise<void>
  readonly now: () => Date
}

export interface Proposal {
  readonly matrix: Matrix
  readonly notices: readonly Notice[]
  readonly compiled: CompiledPolicy
  readonly fromVersion: number | null
  readonly changes: PolicyDiff
  readonly lines: readonly string[]
}

/**
 * What a matrix would change, judged completely before anything is written.
 *
 * @throws {DomainError} `policy_invalid` with every fault, `class_not_issuable`, `class_change_unsupported`.
 */
export async function propose(yaml: string, deps: PolicyDeps): Promise<Proposal> {
  const { installation } = deps
  const organization = installation.homeOrganization
  const { services, instances } = await deps.database.read(function* () {
    return { services: yield* servicesOf(organization), instances: yield* activeInstances(organization) }
  })
  const parsed = parseMatrix(yaml, { organization, known: services.map((one) => one.service_name) })
  if (!parsed.ok) throw invalid(parsed.problems)
  const foreign = unknownClasses(parsed.matrix, Object.keys(installation.classes))
  if (foreign.length > 0) throw invalid(foreign)
  const before = deps.policyInForce()
  const compiled = compileFor(parsed.matrix, (before?.version ?? 0) + 1, services, installation)
  assertIssuable(compiled, deps)
  const changes = diff(before?.compiled, compiled)
  assertClassesKept(changes, services, new Set(instances.map((one) => one.service_id)))
  const { matrix, notices } = parsed
  return { matrix, notices, compiled, fromVersion: before?.version ?? null, changes, lines: formatDiff(changes) }
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
  if (
    deps.policyInForce()?.yaml === yaml &&
    expectedVersion === proposal.fromVersion &&
    proposal.fromVersion !== null
  ) {
    return { version: proposal.fromVersion, changed: false, proposal }
  }
  const version = proposal.compiled.version
  await deps.database.runUnit(function* (): Unit<void> {
    const latest = yield* latestPolicy(deps.installation.homeOrganization)
    if ((latest?.version ?? null) !== expectedVersion || version !== (latest?.version ?? 0) + 1) {
      throw new DomainError('policy_changed_meanwhile', `version ${latest?.version ?? 0} is in force by now`, {
        hint: 'look at the diff again, then apply',
      })
    }
    const row: PolicyRow = {
      version,
      yaml,
      applied_by: context.actor,
      applied_at: epochSeconds(deps.now()),
      rolled_back_to: context.rolledBackTo ?? null,
    }
    yield* insertPolicy(deps.installation.homeOrganization, row, canonicalJson(proposal.compiled))
    yield* appendAudit(
      {
        event: 'POL-01',
        outcome: 'success',
        actor: { type: 'human', ref: context.actor },
        target: { type: 'policy', id: String(version), tenant: deps.installation.homeOrganization },
        requestId: context.requestId,
        afterHash: createHash('sha256').update(yaml).digest('hex'),
        ...(latest === undefined ? {} : { beforeHash: createHash('sha256').update(latest.yaml).digest('hex') }),
      },
      deps.audit,
    )
  })
  await deps.onChange()
  return { version, changed: true, proposal }
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

/** Until a change of class is two-phase, it would lock out every instance that runs. */
function assertClassesKept(changes: PolicyDiff, services: readonly ServiceRow[], live: ReadonlySet<string>): void {
  for (const { id, before, after } of changes.classChanges) {
    const { service } = parseWorkloadId(id)
    const row = services.find((one) => one.service_name === service)
    if (row !== undefined && live.has(row.service_id)) {
      throw new DomainError(
        'class_change_unsupported',
        `${service} has live instances of the class ${before}; ${after} would lock them out`,
        {
          hint: `deregister its instances first, or keep required_auth: ${before}`,
        },
      )
    }
  }
}
