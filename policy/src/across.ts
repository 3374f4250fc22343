import { admission, matches } from './admission.ts'
import type { Edge, Refusal, Subject } from './compiled.ts'
import { DEFAULT_DENY } from './deny.ts'
import type { Directory } from './directory.ts'
import type { Entry, Matrix } from './matrix.ts'
import type { OutcomeTable } from './outcome-table.ts'
import { bothRules, fieldRule, outboundRule } from './rule.ts'
import type { WorkloadId } from './workload-id.ts'

/** Across organisations the caller's matrix must name the callee, and the callee's matrix must admit the caller. */
export function resolveAcross(matrices: readonly Matrix[], directory: Directory, table: OutcomeTable): void {
  const wanted = new Map<WorkloadId, Map<WorkloadId, string>>()
  for (const matrix of matrices) {
    for (const entry of matrix.entries) {
      if (entry.organization === matrix.organization) collectWanted(entry, directory, wanted)
    }
  }
  for (const matrix of matrices) {
    for (const entry of matrix.entries) {
      if (entry.organization !== matrix.organization) resolveAdmissions(entry, matrix, wanted, directory, table)
    }
  }
  for (const [source, row] of wanted) {
    for (const [target, via] of row) {
      const known = directory.subjects.has(target)
      if (known) table.put({ source, target, code: 'not_allowed', rule: DEFAULT_DENY, via })
      else table.put({ source, target, code: 'target_not_in_matrix', rule: via, via })
    }
  }
}

function collectWanted(entry: Entry, directory: Directory, wanted: Map<WorkloadId, Map<WorkloadId, string>>): void {
  const source = directory.idOf(entry.organization, entry.service)
  if (directory.subjects.get(source)?.kind !== 'mesh') return
  for (const [position, pattern] of entry.outbound.entries()) {
    if (pattern.kind !== 'name' || pattern.organization === entry.organization) continue
    const row = wanted.get(source) ?? new Map<WorkloadId, string>()
    wanted.set(source, row)
    row.set(
      directory.idOf(pattern.organization, pattern.service),
      outboundRule(entry.key, position, entry.organization),
    )
  }
}

/** Every pair the matrix of another organisation admits, with the rule on the caller's side where there is one. */
function resolveAdmissions(
  entry: Entry,
  matrix: Matrix,
  wanted: ReadonlyMap<WorkloadId, ReadonlyMap<WorkloadId, string>>,
  directory: Directory,
  table: OutcomeTable,
): void {
  const source = directory.idOf(entry.organization, entry.service)
  for (const { target, position, wildcard } of matches(entry, matrix, directory)) {
    const via = outboundRule(entry.key, position, matrix.organization)
    const want = wanted.get(source)?.get(target)
    if (want !== undefined) {
      const edge = { source, target, rule: bothRules(want, via), permissions: entry.permissions }
      const outcome = admission(directory, target, wildcard, via, edge)
      table.put('code' in outcome ? outcome : narrowed(outcome, entry, matrix, directory.subjects.get(source)))
    } else if (!wildcard) {
      const known = directory.subjects.get(source)?.kind === 'mesh'
      if (known) table.put({ source, target, code: 'not_allowed', rule: DEFAULT_DENY, via })
      else table.put({ source, target, code: 'source_not_in_matrix', rule: via, via })
    }
  }
}

/** The callee's organisation may name the class it accepts: then both must hold, and what neither accepts is refused. */
function narrowed(edge: Edge, entry: Entry, matrix: Matrix, subject: Subject | undefined): Edge | Refusal {
  const wanted = entry.requiredAuth?.className
  if (wanted === undefined) return edge
  const accepts = subject?.kind === 'mesh' ? subject.accepts : []
  if (accepts.includes(wanted)) return { ...edge, sourceClasses: [wanted] }
  const rule = fieldRule(entry.key, 'required_auth', matrix.organization)
  return { source: edge.source, target: edge.target, code: 'source_class_mismatch', rule, via: edge.rule }
}
