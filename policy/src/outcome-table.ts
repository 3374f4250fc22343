import { type Edge, LIMITS, type Refusal } from './compiled.ts'
import { PolicyError } from './error.ts'
import { byCodeUnits, type WorkloadId } from './workload-id.ts'

/** One outcome per pair; the first one put stays. */
export interface OutcomeTable {
  put(outcome: Edge | Refusal): void
  sorted(): { edges: Edge[]; refusals: Refusal[] }
}

/** `put` throws `policy_too_large` above the limit, before memory does. */
export function outcomeTable(): OutcomeTable {
  const rows = new Map<WorkloadId, Map<WorkloadId, Edge | Refusal>>()
  let pairs = 0
  return {
    put(outcome) {
      const row = rows.get(outcome.source) ?? new Map<WorkloadId, Edge | Refusal>()
      rows.set(outcome.source, row)
      if (row.has(outcome.target)) return
      row.set(outcome.target, outcome)
      pairs += 1
      if (pairs <= LIMITS.pairs) return
      throw new PolicyError('policy_too_large', `the matrix resolves to more than ${LIMITS.pairs} pairs of services`)
    },
    sorted() {
      const edges: Edge[] = []
      const refusals: Refusal[] = []
      for (const [, row] of [...rows].toSorted(([a], [b]) => byCodeUnits(a, b))) {
        for (const [, outcome] of [...row].toSorted(([a], [b]) => byCodeUnits(a, b))) {
          if ('code' in outcome) refusals.push(outcome)
          else edges.push(outcome)
        }
      }
      return { edges, refusals }
    },
  }
}
