import type { TbsCertificate } from '../certificate.ts'
import type { X509Failure } from '../errors.ts'
import type { Profile } from '../profile/table.ts'
import type { Issuer } from '../profile/tbs.ts'

/** What a rule may look at: the bytes that would be signed, decoded again, and what they were to become. */
export interface LintFacts {
  readonly der: Uint8Array
  readonly tbs: TbsCertificate
  readonly profile: Profile
  readonly oidArc: string
  readonly issuer: Issuer
}

export type LintCode = Extract<X509Failure, `lint_${string}`>

/** One rule. `check` returns what is wrong in words, or nothing. */
export interface LintRule {
  readonly code: LintCode
  /** Rows of knowledge/ca.md §5.1. */
  readonly rows: readonly number[]
  readonly check: (facts: LintFacts) => string | undefined
}
