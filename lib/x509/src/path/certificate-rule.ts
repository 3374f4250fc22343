import type { ForeignCertificate } from '../certificate.ts'
import type { X509Failure } from '../errors.ts'
import { X509Error } from '../errors.ts'

/** One certificate of a path with what else a rule may ask for. */
export interface RuleFacts {
  readonly certificate: ForeignCertificate
  readonly position: 'leaf' | 'intermediate' | 'anchor'
  /** By its own words, or because it stands above another certificate. */
  readonly isCa: boolean
  /** Whether anybody can have a name right below this one; see `FindOptions`. */
  readonly isPublicSuffix: (domain: string) => boolean
}

/** What a profile wants each certificate of a path to say: a complaint, or undefined. */
export interface CertificateRule {
  readonly code: X509Failure
  readonly check: (facts: RuleFacts) => string | undefined
}

/** @throws {X509Error} the code of the first rule that is broken. */
export function checkRules(rules: readonly CertificateRule[], facts: RuleFacts): void {
  for (const { code, check } of rules) {
    const complaint = check(facts)
    if (complaint !== undefined) throw new X509Error(code, complaint)
  }
}

/** Which extensions are critical, or are not; a check for each OID of the table that the certificate has. */
export function criticalityRule(isCriticalByOid: (facts: RuleFacts) => ReadonlyMap<string, boolean>): CertificateRule {
  return {
    code: 'extension_criticality',
    check: (facts) => {
      const expected = isCriticalByOid(facts)
      const wrong = facts.certificate.extensions.all.find(
        ({ oid, critical }) => critical === !(expected.get(oid) ?? critical),
      )
      return wrong && `extension ${wrong.oid} has to be ${wrong.critical ? 'non-' : ''}critical`
    },
  }
}
