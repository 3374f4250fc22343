import type { CompiledPolicy, Edge, Refusal, Subject } from './compiled.ts'
import { byCodeUnits, displayName, parseWorkloadId, type WorkloadId } from './workload-id.ts'

/** A compiled policy arranged for deciding. Immutable; built once per policy, shared by all calls. */
export interface PolicyIndex {
  readonly policy: CompiledPolicy
  readonly subjects: ReadonlyMap<WorkloadId, Subject>
  /** By source, then target. */
  readonly outcomes: ReadonlyMap<WorkloadId, ReadonlyMap<WorkloadId, Outcome>>
  /** What refusals say about a service's neighbours. Only of services this policy knows completely. */
  readonly neighbours: ReadonlyMap<WorkloadId, { readonly calls: string; readonly admits: string }>
}

export type Outcome =
  | { readonly allowed: true; readonly edge: Edge }
  | { readonly allowed: false; readonly refusal: Refusal }

/** Work and memory are linear in the policy. */
export function indexPolicy(policy: CompiledPolicy): PolicyIndex {
  const subjects = new Map<WorkloadId, Subject>()
  for (const [id, subject] of Object.entries(policy.subjects)) subjects.set(id as WorkloadId, subject) // mint: the keys of subjects are ids
  const outcomes = new Map<WorkloadId, Map<WorkloadId, Outcome>>()
  for (const edge of policy.edges) put(outcomes, edge, { allowed: true, edge })
  for (const refusal of policy.refusals) put(outcomes, refusal, { allowed: false, refusal })
  return { policy, subjects, outcomes, neighbours: neighboursOf(policy) }
}

function put(
  outcomes: Map<WorkloadId, Map<WorkloadId, Outcome>>,
  pair: { readonly source: WorkloadId; readonly target: WorkloadId },
  outcome: Outcome,
): void {
  const row = outcomes.get(pair.source)
  if (row === undefined) outcomes.set(pair.source, new Map([[pair.target, outcome]]))
  else row.set(pair.target, outcome)
}

function neighboursOf(policy: CompiledPolicy): PolicyIndex['neighbours'] {
  const known = policy.scope === 'whole' ? Object.keys(policy.subjects) : [policy.scope]
  const lists = new Map(known.map((id) => [id, { calls: shortList(), admits: shortList() }]))
  for (const edge of policy.edges) {
    lists.get(edge.source)?.calls.add(() => displayName(edge.target, edge.source))
    lists.get(edge.target)?.admits.add(() => `${displayName(edge.source, edge.target)} (${edge.rule})`)
  }
  const words = new Map<WorkloadId, { calls: string; admits: string }>()
  for (const id of known.toSorted(byCodeUnits)) {
    const list = lists.get(id)
    if (list === undefined) continue
    words.set(parseWorkloadId(id).id, { calls: list.calls.words(), admits: list.admits.words() })
  }
  return words
}

/** The first few of many, so that a reason stays one line. */
function shortList() {
  const shown: string[] = []
  let count = 0
  return {
    add(word: () => string) {
      count += 1
      if (shown.length < SHOWN_NEIGHBOURS) shown.push(word())
    },
    words: () => (count > shown.length ? `${shown.join(', ')} and ${count - shown.length} more` : shown.join(', ')),
  }
}

const SHOWN_NEIGHBOURS = 4
