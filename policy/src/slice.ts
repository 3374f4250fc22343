import type { CompiledPolicy, Edge, Refusal, Subject } from './compiled.ts'
import { byCodeUnits, type WorkloadId } from './workload-id.ts'

/**
 * What the agents of one service need: its own subject, its edges and refusals both ways, the subjects at their other
 * ends. `decide` over it answers as over the whole for every call of that service; of other calls it knows nothing.
 *
 * For many services of one policy use `slicer`.
 *
 * @throws {TypeError} when `policy` is a slice itself.
 */
export function slice(policy: CompiledPolicy, id: WorkloadId): CompiledPolicy {
  return slicer(policy)(id)
}

/** `slice` for many services: reads the policy once; each slice then costs what it contains. */
export function slicer(policy: CompiledPolicy): (id: WorkloadId) => CompiledPolicy {
  if (policy.scope !== 'whole') throw new TypeError('a slice is cut from the whole policy')
  const edges = bySide(policy.edges)
  const refusals = bySide(policy.refusals)
  return (id) => {
    const own = { edges: edges.get(id) ?? [], refusals: refusals.get(id) ?? [] }
    const ids = new Set([id, ...[...own.edges, ...own.refusals].flatMap(({ source, target }) => [source, target])])
    const subjects: Record<WorkloadId, Subject> = {}
    for (const each of [...ids].toSorted(byCodeUnits)) {
      const subject = policy.subjects[each]
      if (subject !== undefined) subjects[each] = subject
    }
    const { format, trustDomain, version } = policy
    return { format, trustDomain, version, scope: id, subjects, ...own } as unknown as CompiledPolicy // a mint: parts of one
  }
}

/**
 * Whether two policies mean the same but for their version. The control plane signs no new document for an agent
 * whose slice has not changed.
 */
export function samePolicy(a: CompiledPolicy, b: CompiledPolicy): boolean {
  return JSON.stringify({ ...a, version: 0 }) === JSON.stringify({ ...b, version: 0 })
}

/** By each service at either end, the order kept. */
function bySide<Pair extends Edge | Refusal>(pairs: readonly Pair[]): ReadonlyMap<WorkloadId, readonly Pair[]> {
  const sides = new Map<WorkloadId, Pair[]>()
  const put = (id: WorkloadId, pair: Pair) => {
    const list = sides.get(id)
    if (list === undefined) sides.set(id, [pair])
    else list.push(pair)
  }
  for (const pair of pairs) {
    put(pair.source, pair)
    if (pair.target !== pair.source) put(pair.target, pair)
  }
  return sides
}
