import type { PolicyMapping } from '../extension/model.ts'
import { OID } from '../oid.ts'
import type { Budget } from './budget.ts'
import { spend } from './budget.ts'

/**
 * The valid_policy_graph of RFC 9618 §5: one level per certificate, below a level 0 of anyPolicy alone. A level has one
 * node for each policy, however many ways lead to it, so that the graph grows with the certificates and not with the
 * number of ways, as the tree of RFC 5280 does. Undefined stands for NULL.
 */
export type PolicyGraph = readonly Level[]

type Level = Map<string, PolicyNode>

interface PolicyNode {
  readonly policy: string
  /** Nodes of the level above. Empty at level 0 only. */
  readonly parents: readonly PolicyNode[]
  /** Policies of the next certificate that satisfy this one. */
  expected: ReadonlySet<string>
  children: number
}

export function initialGraph(): PolicyGraph {
  return [new Map([[OID.anyPolicy, node(OID.anyPolicy, [])]])]
}

/** Adds the level of one certificate: RFC 5280 §6.1.3 (d) and (e) as RFC 9618 §5.3 has them. */
export function addLevel(
  graph: PolicyGraph,
  asserted: readonly string[] | undefined,
  isAnyPolicyAllowed: boolean,
  budget: Budget,
): PolicyGraph | undefined {
  const above = graph.at(-1)
  // (e) "If the certificate policies extension is not present, set the valid_policy_graph to NULL."
  if (above === undefined || asserted === undefined) return undefined
  const expecting = expectationsOf(above)
  const level: Level = new Map()
  const add = (policy: string, parents: readonly PolicyNode[]): void => {
    spend(budget, 'edges', parents.length)
    for (const parent of parents) parent.children += 1
    level.set(policy, node(policy, parents))
  }
  // (d)(1) by (i) a policy that is expected, or (ii) one below anyPolicy
  const any = above.get(OID.anyPolicy)
  for (const policy of asserted) {
    if (policy === OID.anyPolicy) continue
    const parents = expecting.get(policy) ?? (any === undefined ? [] : [any])
    if (parents.length > 0) add(policy, parents)
  }
  // (d)(2) anyPolicy stands for everything that is expected and not asserted by itself
  if (isAnyPolicyAllowed && asserted.includes(OID.anyPolicy)) {
    for (const [policy, parents] of expecting) if (!level.has(policy)) add(policy, parents)
  }
  return pruned([...graph, level])
}

/**
 * Maps policies of the last level: RFC 5280 §6.1.4 (b) as RFC 9618 §5.4 has it. Where mapping is inhibited, the mapped
 * policies are no longer valid.
 */
export function mapPolicies(
  graph: PolicyGraph,
  mappings: readonly PolicyMapping[],
  isMappingAllowed: boolean,
  budget: Budget,
): PolicyGraph | undefined {
  const level = graph.at(-1)
  if (level === undefined) return undefined
  const subjects = Map.groupBy(mappings, ({ issuerDomainPolicy }) => issuerDomainPolicy)
  for (const [policy, rows] of subjects) {
    spend(budget, 'edges', rows.length)
    const mapped = level.get(policy)
    if (!isMappingAllowed) {
      if (mapped !== undefined) drop(level, mapped)
      continue
    }
    const expected = new Set(rows.map(({ subjectDomainPolicy }) => subjectDomainPolicy))
    const any = level.get(OID.anyPolicy)
    if (mapped !== undefined) mapped.expected = expected
    else if (any !== undefined) level.set(policy, { ...node(policy, any.parents), expected })
    if (mapped === undefined && any !== undefined) for (const parent of any.parents) parent.children += 1
  }
  return pruned(graph)
}

/**
 * The authorities-constrained policy set: policies of the valid nodes whose parent is anyPolicy, and anyPolicy itself
 * where the last certificate still has it. RFC 5280 §6.1.5 (g) as RFC 9618 §5.5 has it.
 */
export function authorityPolicies(graph: PolicyGraph): ReadonlySet<string> {
  const policies = new Set<string>()
  for (const level of graph) {
    for (const { policy, parents } of level.values()) {
      if (policy !== OID.anyPolicy && parents.some((parent) => parent.policy === OID.anyPolicy)) policies.add(policy)
    }
  }
  if (graph.at(-1)?.has(OID.anyPolicy) === true) policies.add(OID.anyPolicy)
  return policies
}

function node(policy: string, parents: readonly PolicyNode[]): PolicyNode {
  return { policy, parents, expected: new Set([policy]), children: 0 }
}

function expectationsOf(level: Level): Map<string, PolicyNode[]> {
  const expecting = new Map<string, PolicyNode[]>()
  for (const parent of level.values()) {
    for (const policy of parent.expected) {
      const parents = expecting.get(policy)
      if (parents === undefined) expecting.set(policy, [parent])
      else parents.push(parent)
    }
  }
  return expecting
}

/** (d)(3) "If there is a node of depth i-1 or less without any child nodes, delete that node. Repeat". */
function pruned(graph: PolicyGraph): PolicyGraph | undefined {
  for (let depth = graph.length - 2; depth >= 0; depth--) {
    const level = graph[depth]
    for (const childless of level?.values() ?? []) if (childless.children === 0) drop(level, childless)
  }
  return graph.at(-1)?.size === 0 ? undefined : graph
}

function drop(level: Level | undefined, dropped: PolicyNode): void {
  level?.delete(dropped.policy)
  for (const parent of dropped.parents) parent.children -= 1
}
