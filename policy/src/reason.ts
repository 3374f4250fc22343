import type { Refusal } from './compiled.ts'
import type { Call } from './decide.ts'
import type { DenyCode } from './deny.ts'
import type { PolicyIndex } from './policy-index.ts'
import { displayName, parseWorkloadId, type WorkloadId } from './workload-id.ts'

type Pair = Pick<Call, 'source' | 'target'>

/** Why a pair no rule speaks of is refused, from the side or sides this policy knows completely. */
export function silenceReason(index: PolicyIndex, pair: Pair): string {
  const source = nameIn(index, pair.source, pair.target)
  const target = nameIn(index, pair.target, pair.source)
  const caller = callerWords(index, pair.source, source)
  const callee = calleeWords(index, pair.target, target)
  if (caller !== undefined && callee !== undefined) return `${caller}; ${callee}; nothing allows this call`
  if (callee !== undefined) return `${callee}; nothing allows ${source}`
  if (caller !== undefined) return `${caller}; nothing allows ${target}`
  return `nothing known here allows ${source} to call ${target}`
}

/** Why a pair that some rule speaks of is refused. */
export function refusalReason(refusal: Refusal): string {
  const source = displayName(refusal.source, refusal.target)
  const target = displayName(refusal.target, refusal.source)
  return REASONS[refusal.code](refusal, source, target)
}

/** Why the class a certificate asserts is refused. */
export function classReason(call: Call, side: 'source' | 'target', accepts: readonly string[]): string {
  const id = side === 'source' ? call.source : call.target
  const name = displayName(id, side === 'source' ? call.target : call.source)
  const presented = side === 'source' ? call.sourceClass : call.targetClass
  const shown = presented === 'no-certificate' ? 'no certificate' : `a certificate of class ${presented}`
  return `${name} presents ${shown}, accepted is ${accepts.length === 0 ? 'none' : accepts.join(' or ')}`
}

/** As `displayName`; but what is unknown and of another trust domain is shown in full, never like one of ours. */
export function nameIn(index: PolicyIndex, id: WorkloadId, other: WorkloadId): string {
  const ours = index.subjects.has(id) || parseWorkloadId(id).trustDomain === index.policy.trustDomain
  return ours ? displayName(id, other) : id
}

function callerWords(index: PolicyIndex, id: WorkloadId, name: string): string | undefined {
  const subject = index.subjects.get(id)
  if (subject?.kind === 'external') return `${name} is external and has no identity to call with`
  const words = index.neighbours.get(id)
  if (words === undefined) return absence(index, name)
  return words.calls === '' ? `${name} may call nobody` : `${name} may call only ${words.calls}`
}

function calleeWords(index: PolicyIndex, id: WorkloadId, name: string): string | undefined {
  const words = index.neighbours.get(id)
  if (words === undefined) return absence(index, name)
  return words.admits === '' ? `${name} admits nobody` : `${name} admits only ${words.admits}`
}

/** Only the whole policy knows that somebody has no entry. */
function absence(index: PolicyIndex, name: string): string | undefined {
  return index.policy.scope === 'whole' ? `${name} has no entry in the matrix` : undefined
}

const REASONS: Readonly<Record<DenyCode, (refusal: Refusal, source: string, target: string) => string>> = {
  not_allowed: (refusal, source, target) =>
    `${refusal.via} allows ${source} to call ${target}, ${missingSide(refusal)} does not`,
  source_not_in_matrix: (refusal, source) => `${refusal.via} admits ${source}, which has no entry in its own matrix`,
  target_not_in_matrix: (refusal, _, target) => `${refusal.via} names ${target}, which has no entry in the matrix`,
  source_not_registered: (refusal, source) => `${refusal.via} allows the call, but ${source} is not registered`,
  target_not_registered: (refusal, _, target) => `${refusal.via} allows the call, but ${target} is not registered`,
  wildcard_into_high: (refusal, _, target) =>
    `${refusal.via} is a wildcard, and only an explicit name admits into ${target} (isolation_level high)`,
  external_isolation_high: (refusal, _, target) =>
    `${refusal.via} names ${target}, which is external and therefore no target with isolation_level high`,
  source_class_mismatch: (refusal, source) => `${refusal.rule} accepts no class that ${source} may present`,
  target_class_mismatch: (refusal, _, target) => `${refusal.rule} accepts no class that ${target} may present`,
}

/** `via` starts with the organisation that allows; the other one does not. */
function missingSide(refusal: Refusal): string {
  const source = parseWorkloadId(refusal.source).organization
  const target = parseWorkloadId(refusal.target).organization
  return `organisation ${refusal.via.startsWith(`${source}:`) ? target : source}`
}
