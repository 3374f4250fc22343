import { decodeTbsCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import { PROFILES } from '../profile/table.ts'
import type { Tbs } from '../profile/tbs.ts'
import { EXTENSION_RULES } from './extension-rules.ts'
import { FIELD_RULES } from './field-rules.ts'
import type { LintFacts, LintRule } from './rule.ts'

/** Every rule, in the order they are asked. A new rule is a row in one of the two tables. */
export const LINT_RULES: readonly LintRule[] = [...FIELD_RULES, ...EXTENSION_RULES]

/**
 * Decodes the bytes that would be signed and holds them against every rule, independently of how they were built.
 *
 * Covers the rows of knowledge/ca.md §5.1 that a TBS of our profiles can break. Does **not** see what needs other
 * knowledge: uniqueness of the serial (row 3), name constraints of the issuer (see `assertNamesPermitted`), the signature.
 *
 * @throws {X509Error} lint_*: the first rule broken; `lint_encoding` when the bytes are not strict DER.
 */
export function lintTbs(tbs: Pick<Tbs, 'der' | 'profile' | 'oidArc' | 'issuer'>): void {
  const facts: LintFacts = {
    der: tbs.der,
    tbs: decodeAgain(tbs.der),
    profile: PROFILES[tbs.profile],
    oidArc: tbs.oidArc,
    issuer: tbs.issuer,
  }
  for (const { code, check } of LINT_RULES) {
    const problem = check(facts)
    if (problem !== undefined) throw new X509Error(code, `lint: ${problem}`)
  }
}

function decodeAgain(der: Uint8Array): LintFacts['tbs'] {
  try {
    return decodeTbsCertificate(der)
  } catch (cause) {
    throw new X509Error('lint_encoding', 'lint: the bytes cannot be read back', { cause })
  }
}
