import type { ClassName } from './class-name.ts'
import type { Edge, Subject } from './compiled.ts'
import { DEFAULT_DENY, type DenyCode } from './deny.ts'
import type { PolicyIndex } from './policy-index.ts'
import { classReason, refusalReason, silenceReason } from './reason.ts'
import { requiredAuthRule } from './rule.ts'
import type { WorkloadId } from './workload-id.ts'

declare const permitted: unique symbol

/** Proof that the matrix allows a call between two identified peers. Minted only by `decide`. */
export interface Permit extends Allowance {
  readonly [permitted]: 'call'
}

/** Proof that the matrix has an edge: enough to dial, never to forward. Minted only by `decideDial`. */
export interface DialPermit extends Allowance {
  readonly [permitted]: 'dial'
}

interface Allowance {
  readonly source: WorkloadId
  readonly target: WorkloadId
  readonly rule: string
  /** For the callee. Recorded, not enforced. */
  readonly permissions: readonly string[]
  readonly policyVersion: number
}

export type Decision = { readonly allowed: true; readonly rule: string; readonly permit: Permit } | Denial
export type DialDecision = { readonly allowed: true; readonly rule: string; readonly permit: DialPermit } | Denial

/** A refusal. `code` and `rule` may leave the process; `reason` is one line for the operator of this side. */
export interface Denial {
  readonly allowed: false
  readonly code: DenyCode
  readonly rule: string
  readonly reason: string
}

/**
 * One call. IDs and classes are what the certificates say (own one included), never what a peer claims.
 * An external target has no certificate of the mesh: its class is `no-certificate`.
 */
export interface Call {
  readonly source: WorkloadId
  readonly sourceClass: ClassName
  readonly target: WorkloadId
  readonly targetClass: ClassName | 'no-certificate'
}

/**
 * Whether the matrix allows the call. Deny by default; both classes must be in the accepted set of their service.
 *
 * Three map look-ups and the result; safe to ask per request. Does **not** check certificates, revocation, or that
 * the issuer may vouch for organisation and class: that comes before.
 *
 * Over a slice the answer, code and rule are those of the whole policy for every call of the slice's service.
 */
export function decide(index: PolicyIndex, call: Call): Decision {
  const edge = edgeOf(index, call)
  if ('allowed' in edge) return edge
  const source = index.subjects.get(call.source)
  const target = index.subjects.get(call.target)
  if (!accepted(source, call.sourceClass)) {
    return classDenial('source_class_mismatch', requiredAuthRule(call.source, call.target), source, call)
  }
  if (edge.sourceClasses !== undefined && !edge.sourceClasses.includes(call.sourceClass)) {
    const rule = requiredAuthRule(call.source, call.target, 'by-target')
    return {
      allowed: false,
      code: 'source_class_mismatch',
      rule,
      reason: classReason(call, 'source', edge.sourceClasses),
    }
  }
  if (!accepted(target, call.targetClass)) {
    return classDenial('target_class_mismatch', requiredAuthRule(call.target, call.source), target, call)
  }
  return { allowed: true, rule: edge.rule, permit: allowance(index, edge) as Permit } // the one mint
}

/**
 * Whether it makes sense to dial: the edge alone, before the peer's class can be known. The call itself needs the
 * `Permit` of `decide` after the handshake.
 */
export function decideDial(index: PolicyIndex, pair: Pick<Call, 'source' | 'target'>): DialDecision {
  const edge = edgeOf(index, pair)
  if ('allowed' in edge) return edge
  return { allowed: true, rule: edge.rule, permit: allowance(index, edge) as DialPermit } // the one mint
}

function edgeOf(index: PolicyIndex, pair: Pick<Call, 'source' | 'target'>): Edge | Denial {
  const outcome = index.outcomes.get(pair.source)?.get(pair.target)
  if (outcome === undefined) {
    return { allowed: false, code: 'not_allowed', rule: DEFAULT_DENY, reason: silenceReason(index, pair) }
  }
  if (outcome.allowed) return outcome.edge
  const { code, rule } = outcome.refusal
  return { allowed: false, code, rule, reason: refusalReason(outcome.refusal) }
}

function accepted(subject: Subject | undefined, presented: ClassName | 'no-certificate'): boolean {
  if (subject === undefined) return false
  if (subject.kind === 'external') return presented === 'no-certificate'
  return presented !== 'no-certificate' && subject.accepts.includes(presented)
}

function classDenial(
  code: 'source_class_mismatch' | 'target_class_mismatch',
  rule: string,
  subject: Subject | undefined,
  call: Call,
): Denial {
  const accepts = subject?.kind === 'mesh' ? subject.accepts : []
  return {
    allowed: false,
    code,
    rule,
    reason: classReason(call, code === 'source_class_mismatch' ? 'source' : 'target', accepts),
  }
}

function allowance(index: PolicyIndex, edge: Edge): Allowance {
  const { source, target, rule, permissions } = edge
  return { source, target, rule, permissions, policyVersion: index.policy.version }
}
