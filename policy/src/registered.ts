import type { CompiledPolicy, Edge, Refusal } from './compiled.ts'
import { byCodeUnits, type WorkloadId } from './workload-id.ts'

/**
 * The policy as far as its services are registered: an edge at whose end nobody is becomes a refusal, so that whoever
 * has left is nobody's caller and nobody's target. External services are subjects because they are registered.
 *
 * @throws {TypeError} when `policy` is a slice.
 */
export function registeredOnly(policy: CompiledPolicy, registered: ReadonlySet<WorkloadId>): CompiledPolicy {
  if (policy.scope !== 'whole') throw new TypeError('a slice is cut from what is registered')
  const isThere = (id: WorkloadId) => registered.has(id) || policy.subjects[id]?.kind === 'external'
  const edges: Edge[] = []
  const refusals: Refusal[] = [...policy.refusals]
  for (const edge of policy.edges) {
    const { source, target, rule: via } = edge
    if (!isThere(source)) refusals.push({ source, target, code: 'source_not_registered', rule: REGISTRY, via })
    else if (!isThere(target)) refusals.push({ source, target, code: 'target_not_registered', rule: REGISTRY, via })
    else edges.push(edge)
  }
  refusals.sort((a, b) => byCodeUnits(a.source, b.source) || byCodeUnits(a.target, b.target))
  return { ...policy, edges, refusals }
}

/** What refuses then is no line of a file. */
const REGISTRY = 'registry'
