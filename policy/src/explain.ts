import type { ClassName } from './class-name.ts'
import type { Subject } from './compiled.ts'
import { decideDial } from './decide.ts'
import type { PolicyIndex } from './policy-index.ts'
import { nameIn } from './reason.ts'
import { displayName, type WorkloadId } from './workload-id.ts'

/**
 * Why `source` may or may not call `target`, in one line of words for an operator: the rule, the classes both have to
 * present, and what is recorded, not enforced. Judges no live certificate: a wrong class is found by `decide`.
 */
export function explain(index: PolicyIndex, source: WorkloadId, target: WorkloadId): string {
  const decision = decideDial(index, { source, target })
  const call = `${nameIn(index, source, target)} → ${nameIn(index, target, source)}`
  if (!decision.allowed) return `${call}: refused by ${decision.rule} (${decision.code}): ${decision.reason}`
  return [
    `${call}: allowed by ${decision.rule}`,
    classWords(index, source, target),
    recordedWords(index, source, target),
  ]
    .filter((words) => words !== '')
    .join('; ')
}

function classWords(index: PolicyIndex, source: WorkloadId, target: WorkloadId): string {
  const outcome = index.outcomes.get(source)?.get(target)
  const narrowed = outcome?.allowed === true ? outcome.edge.sourceClasses : undefined
  const from = presents(displayName(source, target), index.subjects.get(source), narrowed)
  const to = presents(displayName(target, source), index.subjects.get(target))
  return `${from}, ${to}`
}

function presents(name: string, subject: Subject | undefined, narrowed?: readonly ClassName[]): string {
  if (subject?.kind !== 'mesh') return `${name} is external, decided on the caller's side only`
  const high = subject.isolation === 'high' ? ' (isolation_level high)' : ''
  const accepted = subject.accepts.filter((each) => narrowed?.includes(each) ?? true)
  return `${name}${high} presents ${accepted.join(' or ')}`
}

function recordedWords(index: PolicyIndex, source: WorkloadId, target: WorkloadId): string {
  const words = [...new Set([source, target])].flatMap((id) => {
    const subject = index.subjects.get(id)
    const other = id === source ? target : source
    if (subject?.kind !== 'mesh' || subject.recorded.length === 0) return []
    return [`${displayName(id, other)} ${subject.recorded.join(' and ')}`]
  })
  return words.length === 0 ? '' : `recorded, not enforced: ${words.join('; ')}`
}
