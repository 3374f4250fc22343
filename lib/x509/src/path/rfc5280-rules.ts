import type { ForeignCertificate } from '../certificate.ts'
import { isDnsName } from '../dns-name.ts'
import type { GeneralName } from '../general-name.ts'
import { mailboxParts } from '../mailbox.ts'
import { OID } from '../oid.ts'
import { isSignedBy } from './basic-processing.ts'
import type { CertificateRule, RuleFacts } from './certificate-rule.ts'
import { criticalityRule } from './certificate-rule.ts'

/** What RFC 5280 §4 wants conforming CAs to write, as far as it can be read from the certificate. */
export const RFC5280_RULES: readonly CertificateRule[] = [
  { code: 'key_identifier_missing', check: checkKeyIdentifiers },
  { code: 'key_usage_without_ca', check: checkCertSign },
  { code: 'extension_on_leaf', check: checkCaExtensions },
  { code: 'subject_empty', check: checkSubject },
  { code: 'subject_alt_name_missing', check: checkSubstitute },
  { code: 'alt_name_invalid', check: checkAltNames },
  criticalityRule(({ isCa, certificate }) => {
    const isSubjectEmpty = certificate.subject.rdns.length === 0
    return new Map([...CRITICALITY, ...(isCa ? CA_CRITICALITY : []), ...(isSubjectEmpty ? NAMELESS_CRITICALITY : [])])
  }),
]

/** The one criticality that the Baseline Requirements leave open (§7.1.2.5.2). */
export const CRITICAL_NAME_CONSTRAINTS: CertificateRule = criticalityRule(() => new Map([[OID.nameConstraints, true]]))

/**
 * "The keyIdentifier field of the authorityKeyIdentifier extension MUST be included in all certificates … There is one
 * exception; where a CA distributes its public key in the form of a 'self-signed' certificate": §4.2.1.1. "This extension
 * MUST appear in all conforming CA certificates": §4.2.1.2
 */
function checkKeyIdentifiers({ certificate, isCa }: RuleFacts): string | undefined {
  const { extensions } = certificate
  if (extensions.authorityKeyId?.keyId === undefined && !isSelfSigned(certificate)) {
    return 'a certificate does not identify the key of its issuer'
  }
  return isCa && extensions.subjectKeyId === undefined ? 'a CA certificate does not identify its key' : undefined
}

/** By its signature; an anchor with one that cannot be checked, and need not be, by its names. */
function isSelfSigned(certificate: ForeignCertificate): boolean {
  return certificate.signatureAlgorithm === 'unsupported'
    ? certificate.isSelfIssued
    : isSignedBy(certificate, certificate)
}

/** "If the cA boolean is not asserted, then the keyCertSign bit in the key usage extension MUST NOT be asserted": §4.2.1.9 */
function checkCertSign({ certificate: { extensions } }: RuleFacts): string | undefined {
  const isCa = extensions.basicConstraints?.isCa === true
  return !isCa && extensions.keyUsage?.has('keyCertSign') ? 'a certificate may sign others and is no CA' : undefined
}

/** "The name constraints extension, which MUST be used only in a CA certificate": §4.2.1.10 */
function checkCaExtensions({ certificate: { extensions }, isCa }: RuleFacts): string | undefined {
  return !isCa && extensions.nameConstraints !== undefined ? 'a certificate constrains names and is no CA' : undefined
}

/** "If the subject is a CA …, then the subject field MUST be populated with a non-empty distinguished name": §4.1.2.6 */
function checkSubject({ certificate, isCa }: RuleFacts): string | undefined {
  return isCa && certificate.subject.rdns.length === 0 ? 'a CA has no name' : undefined
}

/** "If … the subject field contains an empty sequence, then the issuing CA MUST include a subjectAltName": §4.2.1.6 */
function checkSubstitute({ certificate: { subject, extensions } }: RuleFacts): string | undefined {
  return subject.rdns.length === 0 && extensions.subjectAltName === undefined ? 'a certificate names nobody' : undefined
}

/**
 * "The name MUST be in the 'preferred name syntax'", "The format of an rfc822Name is a 'Mailbox'", "The name MUST NOT be a
 * relative URI, and it MUST follow the URI syntax": §4.2.1.6
 */
function checkAltNames({ certificate: { extensions } }: RuleFacts): string | undefined {
  const isWrong = (name: GeneralName): boolean => {
    if (name.type === 'dns') return !isSanDnsName(name.value)
    if (name.type === 'email') return mailboxParts(name.value) === undefined
    return name.type === 'uri' && !ABSOLUTE_URI.test(name.value)
  }
  return extensions.subjectAltName?.some(isWrong) ? 'a certificate has a name that is none of its type' : undefined
}

/** RFC 3986 §3, its alphabet and a scheme; registries of schemes are not asked. */
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/

/** Lower-case letters, digits and hyphens, perhaps below a `*` that stands for one whole label. */
function isSanDnsName(value: string): boolean {
  const name = value.toLowerCase()
  return isDnsName(name.startsWith('*.') ? name.slice(2) : name)
}

/** §4.2.1.1, §4.2.1.2, §4.2.1.8, §4.2.1.11, §4.2.1.14, §4.2.1.15, §4.2.2.1, §4.2.2.2: "MUST mark this extension as …". */
const CRITICALITY: readonly [string, boolean][] = [
  [OID.authorityKeyId, false],
  [OID.subjectKeyId, false],
  [OID.subjectDirectoryAttributes, false],
  [OID.freshestCrl, false],
  [OID.authorityInfoAccess, false],
  [OID.subjectInfoAccess, false],
  [OID.policyConstraints, true],
  [OID.inhibitAnyPolicy, true],
]

/** "Conforming CAs … MUST mark the extension as critical in such certificates": §4.2.1.9 */
const CA_CRITICALITY: readonly [string, boolean][] = [[OID.basicConstraints, true]]

/** "MUST include a subjectAltName extension that is marked as critical": §4.2.1.6 */
const NAMELESS_CRITICALITY: readonly [string, boolean][] = [[OID.subjectAltName, true]]
