import { createHash } from 'node:crypto'
import type { PolicyApplied, PolicyDiff, PolicyVersion } from '@vcc/api'
import { decideDial, explain, PolicyError, resolveWorkload } from '@vcc/policy'
import { isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Handlers } from '../http/handlers.ts'
import { enforcement } from '../registry/enforcement.ts'
import type { RegistryRouteDeps } from '../registry/routes.ts'
import { isInForce } from '../registry/view.ts'
import { applyMatrix, type PolicyDeps, type Proposal, propose, rollBack } from './apply.ts'
import { type PolicyRow, policyHistory, policyVersion } from './store.ts'

export type PolicyRouteDeps = PolicyDeps & Pick<RegistryRouteDeps, 'installation' | 'policyInForce' | 'now'>

type PolicyRoutes = 'policyList' | 'policyShow' | 'policyDiff' | 'policyApply' | 'policyRollback' | 'communicationCheck'

const WAIT_SECONDS = 10

/** The auth matrix: versions, what a change would do, and whether it is in force. */
export function policyRoutes(deps: PolicyRouteDeps): Pick<Handlers, PolicyRoutes> {
  const organization = deps.installation.homeOrganization
  return {
    async policyList() {
      const rows = await deps.database.read(() => policyHistory(organization))
      const active = deps.policyInForce()?.version ?? null
      return { active_version: active, items: rows.map((row) => versionView(row, active)) }
    },
    async policyShow({ params }) {
      const row = await deps.database.read(() => policyVersion(organization, params.version))
      if (row === undefined) throw new DomainError('policy_unknown', `there is no policy version ${params.version}`)
      return { ...versionView(row, deps.policyInForce()?.version ?? null), matrix: row.yaml }
    },
    policyDiff: async ({ body }) => diffView(await propose(body.matrix, deps)),
    async policyApply({ body }, { caller, requestId, signal }) {
      const context = { actor: caller.ref, requestId }
      const applied = await applyMatrix(body.matrix, body.expected_version, context, deps)
      return appliedView(applied, body.wait_seconds, signal, deps)
    },
    async policyRollback({ body }, { caller, requestId, signal }) {
      const applied = await rollBack(body.to_version, { actor: caller.ref, requestId }, deps)
      return appliedView(applied, body.wait_seconds, signal, deps)
    },
    communicationCheck({ body }) {
      const policy = deps.policyInForce()
      if (policy === undefined)
        throw new DomainError('no_policy', 'no policy is in force yet', { hint: 'vcc-pki policy apply FILE' })
      const source = workloadOf(body.source, deps)
      const target = workloadOf(body.target, deps)
      const decision = decideDial(policy.index, { source, target })
      return {
        allowed: decision.allowed,
        source,
        target,
        code: decision.allowed ? null : decision.code,
        rule: decision.rule,
        explanation: explain(policy.index, source, target),
        policy_version: policy.version,
      }
    },
  }
}

/** "In force on n of m": waits for acknowledgements, and says whose are missing. */
async function appliedView(
  applied: { version: number; changed: boolean; proposal: Proposal },
  waitSeconds: number | undefined,
  signal: AbortSignal,
  deps: PolicyRouteDeps,
): Promise<PolicyApplied> {
  const { homeOrganization: organization } = deps.installation
  const wait = { organization, document: 'agent', seconds: waitSeconds ?? WAIT_SECONDS, signal } as const
  const { of, pending } = await enforcement(isInForce, wait, deps)
  return {
    version: applied.version,
    changed: applied.changed,
    in_force: of - pending.length,
    of,
    pending: pending.map((one) => ({ ...one })),
    diff: diffView(applied.proposal),
  }
}

function diffView(proposal: Proposal): PolicyDiff {
  const edge = ({ source, target, rule }: { source: string; target: string; rule: string }) => ({
    source,
    target,
    rule,
  })
  return {
    from_version: proposal.fromVersion,
    gained: proposal.changes.gained.map(edge),
    lost: proposal.changes.lost.map(edge),
    class_changes: proposal.changes.classChanges.map(({ id, before, after }) => ({ service: id, before, after })),
    notices: proposal.notices.map((notice) => notice.message),
    lines: [...proposal.lines],
  }
}

function versionView(row: PolicyRow, active: number | null): PolicyVersion {
  return {
    version: row.version,
    active: row.version === active,
    applied_at: isoOf(row.applied_at),
    applied_by: row.applied_by,
    rolled_back_to: row.rolled_back_to,
    sha256: createHash('sha256').update(row.yaml).digest('hex'),
  }
}

function workloadOf(text: string, deps: PolicyRouteDeps) {
  try {
    const { trustDomain, homeOrganization: organization } = deps.installation
    return resolveWorkload(text, { trustDomain, organization })
  } catch (cause) {
    if (cause instanceof PolicyError) throw new DomainError('service_name_invalid', cause.message, { cause })
    throw cause
  }
}
