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

/** One rule: what it makes of bytes that cannot be read back, what it asks of those that can, or both. */
export interface LintRule {
  readonly code: LintCode
  /** Rows of knowledge/ca.md §5. */
  readonly rows: readonly number[]
  /** Refusals of the reader that are breaches of this rule. */
  readonly unreadable?: readonly X509Failure[]
  /** What is wrong, in words, or nothing. */
  readonly check?: (facts: LintFacts) => string | undefined
}

export interface LintFinding {
  readonly code: LintCode
  readonly problem: string
  /** Why the bytes could not be read back. */
  readonly cause?: unknown
}
