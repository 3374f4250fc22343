import { decodeTbsCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import { PROFILES } from '../profile/table.ts'
import type { Tbs } from '../profile/tbs.ts'
import { ENCODING_RULES } from './encoding-rules.ts'
import { EXTENSION_RULES } from './extension-rules.ts'
import { FIELD_RULES } from './field-rules.ts'
import type { LintFacts, LintFinding, LintRule } from './rule.ts'

type LintInput = Pick<Tbs, 'der' | 'profile' | 'oidArc' | 'issuer'>

/** Every rule, in the order they are asked. A new rule is a row in one of the tables. */
export const LINT_RULES: readonly LintRule[] = [...ENCODING_RULES, ...FIELD_RULES, ...EXTENSION_RULES]

/**
 * Decodes the bytes that would be signed and holds them against every rule, independently of how they were built.
 *
 * Covers the rows of knowledge/ca.md §5 that a TBS of our profiles can break. Does **not** see what needs other
 * knowledge: uniqueness of the serial (row 3), name constraints of the issuer (see `assertNamesPermitted`), the signature.
 *
 * @throws {X509Error} lint_*: the first rule broken; `lint_encoding` when the bytes are not strict DER.
 */
export function lintTbs(tbs: LintInput): void {
  const [first] = lintFindings(tbs)
  if (first === undefined) return
  const { code, problem, cause } = first
  throw new X509Error(code, `lint: ${problem}`, cause === undefined ? {} : { cause })
}

/** Every rule that the bytes break. Bytes that cannot be read back break one, and no other can be asked. */
export function lintFindings(tbs: LintInput): readonly LintFinding[] {
  const read = readBack(tbs.der)
  if ('code' in read) return [read]
  const { profile, oidArc, issuer, der } = tbs
  const facts: LintFacts = { der, tbs: read.tbs, profile: PROFILES[profile], oidArc, issuer }
  return LINT_RULES.flatMap(({ code, check }) => {
    const problem = check?.(facts)
    return problem === undefined ? [] : [{ code, problem }]
  })
}

function readBack(der: Uint8Array): { readonly tbs: LintFacts['tbs'] } | LintFinding {
  try {
    return { tbs: decodeTbsCertificate(der) }
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    const rule = LINT_RULES.find(({ unreadable }) => unreadable?.includes(cause.code) === true)
    return { code: rule?.code ?? 'lint_encoding', problem: `the bytes cannot be read back: ${cause.message}`, cause }
  }
}
