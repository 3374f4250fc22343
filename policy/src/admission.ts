import type { Edge, Refusal } from './compiled.ts'
import type { Directory } from './directory.ts'
import type { Entry, Matrix } from './matrix.ts'
import { fieldRule } from './rule.ts'
import type { WorkloadId } from './workload-id.ts'

/** What `allowed_outbound` matches: explicit names, then wildcards, each in the order of the file. */
export function* matches(entry: Entry, matrix: Matrix, directory: Directory): Generator<Match> {
  for (const [position, pattern] of entry.outbound.entries()) {
    if (pattern.kind !== 'name') continue
    yield { target: directory.idOf(pattern.organization, pattern.service), position, wildcard: false }
  }
  for (const [position, pattern] of entry.outbound.entries()) {
    if (pattern.kind === 'name') continue
    for (const target of directory.matching(matrix.organization, pattern)) yield { target, position, wildcard: true }
  }
}

export interface Match {
  readonly target: WorkloadId
  readonly position: number
  readonly wildcard: boolean
}

/** The edge, unless the target may not be reached that way. `via` is the rule on the target's side. */
export function admission(
  directory: Directory,
  target: WorkloadId,
  wildcard: boolean,
  via: string,
  edge: Edge,
): Edge | Refusal {
  const subject = directory.subjects.get(target)
  const pair = { source: edge.source, target }
  if (subject === undefined) return { ...pair, code: 'target_not_in_matrix', rule: via, via }
  if (subject.isolation === 'standard') return edge
  const rule = isolationRule(directory, pair)
  if (subject.kind === 'external') return { ...pair, code: 'external_isolation_high', rule, via }
  return wildcard ? { ...pair, code: 'wildcard_into_high', rule, via } : edge
}

function isolationRule(directory: Directory, pair: { source: WorkloadId; target: WorkloadId }): string {
  const file = directory.organizationOf(pair.target)
  const across = directory.organizationOf(pair.source) !== file
  return fieldRule(directory.serviceOf(pair.target), 'isolation_level', across ? file : undefined)
}
