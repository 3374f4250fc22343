import { resolveAcross } from './across.ts'
import { admission, matches } from './admission.ts'
import type { ClassName } from './class-name.ts'
import type { CompiledPolicy } from './compiled.ts'
import { type Directory, directoryOf } from './directory.ts'
import type { Entry, Matrix } from './matrix.ts'
import { type OutcomeTable, outcomeTable } from './outcome-table.ts'
import { outboundRule } from './rule.ts'
import type { WorkloadId } from './workload-id.ts'

export interface CompileInput {
  readonly trustDomain: string
  /** The control plane's number of this policy: a positive integer. */
  readonly version: number
  /** One per organisation. */
  readonly matrices: readonly Matrix[]
  /** Services without an agent, as the registry has them. */
  readonly externals?: readonly { readonly organization: string; readonly service: string }[]
  /** Organisations whose identities have a trust domain of their own. */
  readonly trustDomains?: Readonly<Record<string, string>>
  /** Classes that peers accept beside `required_auth` while a class changes. */
  readonly alsoAccepted?: Readonly<Record<WorkloadId, readonly ClassName[]>>
}

/**
 * Resolves matrices to full IDs. Same meaning, same bytes: the order of keys in the files has no influence.
 *
 * An external service with an entry stays external: it gets no class and calls nobody; with `isolation_level: high`
 * it is no target either.
 *
 * @throws {PolicyError} `policy_too_large` above 20,000 services or 500,000 resolved pairs; `trust_domain_invalid`.
 * @throws {TypeError} when two matrices are of one organisation, `version` is no positive integer, or a service
 *   accepts more than 16 classes.
 */
export function compile(input: CompileInput): CompiledPolicy {
  if (!Number.isSafeInteger(input.version) || input.version < 1) throw new TypeError('version is a positive integer')
  const directory = directoryOf(input)
  const table = outcomeTable()
  for (const matrix of input.matrices) {
    for (const entry of matrix.entries) {
      if (entry.organization === matrix.organization) resolveWithin(entry, matrix, directory, table)
    }
  }
  resolveAcross(input.matrices, directory, table)
  return {
    format: 1,
    trustDomain: input.trustDomain,
    version: input.version,
    scope: 'whole',
    subjects: directory.sortedSubjects(),
    ...table.sorted(),
  } as unknown as CompiledPolicy // a mint: everything in it comes from parsed matrices
}

/** Explicit names come first, so that a wildcard never hides one. */
function resolveWithin(entry: Entry, matrix: Matrix, directory: Directory, table: OutcomeTable): void {
  const source = directory.idOf(entry.organization, entry.service)
  if (directory.subjects.get(source)?.kind !== 'mesh') return
  for (const { target, position, wildcard } of matches(entry, matrix, directory)) {
    if (directory.organizationOf(target) !== entry.organization) continue
    const rule = outboundRule(entry.key, position)
    table.put(admission(directory, target, wildcard, rule, { source, target, rule, permissions: entry.permissions }))
  }
}
