import type { X509Failure } from '../errors.ts'
import { X509Error } from '../errors.ts'

/** What one validation may still spend. Whoever sends certificates decides how much work they make; this ends it. */
export type Budget = Record<Expense, number>

export type Expense = keyof typeof LIMITS

export function freshBudget(): Budget {
  return {
    signatures: LIMITS.signatures.most,
    names: LIMITS.names.most,
    paths: LIMITS.paths.most,
    edges: LIMITS.edges.most,
  }
}

/** @throws {X509Error} the code of `what` when not that much is left. */
export function spend(budget: Partial<Budget>, what: Expense, amount = 1): void {
  const left = (budget[what] ?? 0) - amount
  budget[what] = left
  if (left < 0)
    throw new X509Error(LIMITS[what].code, `the path needs more than ${LIMITS[what].most} ${LIMITS[what].unit}`)
}

const LIMITS = {
  /** Some 100 ms with keys on P-384. */
  signatures: { most: 128, code: 'signature_budget_exceeded', unit: 'signature checks' },
  /** Some 10 ms. */
  names: { most: 20_000, code: 'name_budget_exceeded', unit: 'comparisons of names' },
  /** From a certificate to one that may have issued it; see `searchPath` for the last step to an anchor. */
  paths: { most: 1_024, code: 'path_budget_exceeded', unit: 'steps of path building' },
  /** Of the policy graph: linear in the policies and mappings of a path. */
  edges: { most: 4_096, code: 'policy_budget_exceeded', unit: 'edges of the policy graph' },
} as const satisfies Record<string, { most: number; code: X509Failure; unit: string }>
