import { sameBytes } from '../der/reader.ts'
import { ipText } from '../ip-text.ts'
import { nameValues } from '../name.ts'
import { OID } from '../oid.ts'
import type { CertificateRule, RuleFacts } from './certificate-rule.ts'
import { criticalityRule } from './certificate-rule.ts'

/**
 * What the CA/Browser Forum's Baseline Requirements for TLS server certificates (BR) want beyond RFC 5280, as far as it
 * decides whether a certificate is believed.
 */
export const WEBPKI_RULES: readonly CertificateRule[] = [
  { code: 'leaf_is_a_ca', check: checkLeafIsNoCa },
  { code: 'leaf_key_usage', check: checkLeafKeyUsage },
  { code: 'key_identifier_form', check: checkKeyIdentifierForm },
  { code: 'key_algorithm_refused', check: checkKeyKind },
  { code: 'key_rsa_size', check: checkRsaSize },
  { code: 'subject_alt_name_missing', check: checkNames },
  { code: 'common_name_foreign', check: checkCommonName },
  { code: 'wildcard_too_wide', check: checkWildcards },
  { code: 'eku_forbidden_on_leaf', check: checkLeafUsages },
  { code: 'eku_forbidden_on_ca', check: checkAnchorUsages },
  // "[extKeyUsage] … Critical: N" of a subscriber certificate, and "Otherwise, [subjectAltName] MUST NOT be marked critical":
  // BR §7.1.2.7.6, §7.1.2.7.12
  criticalityRule(({ position, certificate: { subject } }) => {
    if (position !== 'leaf') return new Map()
    return new Map([[OID.extKeyUsage, false], ...(subject.rdns.length > 0 ? [SAN_NOT_CRITICAL] : [])])
  }),
]

const SAN_NOT_CRITICAL: readonly [string, boolean] = [OID.subjectAltName, false]

/** "cA MUST be FALSE": BR §7.1.2.7.8 */
function checkLeafIsNoCa({ position, certificate: { extensions } }: RuleFacts): string | undefined {
  return position === 'leaf' && extensions.basicConstraints?.isCa === true ? 'the leaf is a CA' : undefined
}

/** keyCertSign and cRLSign "N: Not permitted": BR §7.1.2.7.11 */
function checkLeafKeyUsage({ position, certificate: { extensions } }: RuleFacts): string | undefined {
  const usage = extensions.keyUsage
  const isCaUsage = usage?.has('cRLSign') === true || usage?.has('keyCertSign') === true
  return position === 'leaf' && isCaUsage ? 'the leaf may sign certificates or CRLs' : undefined
}

/**
 * "keyIdentifier MUST be present. authorityCertIssuer MUST NOT be present. authorityCertSerialNumber MUST NOT be present":
 * BR §7.1.2.11.1; of a root, "MUST be identical to the subjectKeyIdentifier field": BR §7.1.2.1.3
 */
function checkKeyIdentifierForm({ position, certificate }: RuleFacts): string | undefined {
  const { authorityKeyId: found, subjectKeyId } = certificate.extensions
  if (found === undefined) return undefined
  if (found.keyId === undefined || found.issuer !== undefined)
    return 'an authorityKeyIdentifier is not a key identifier alone'
  if (position !== 'anchor' || !certificate.isSelfIssued || subjectKeyId === undefined) return undefined
  return sameBytes(found.keyId, subjectKeyId) ? undefined : 'a root says that another key issued it'
}

/** rsaEncryption and three curves, "MUST": BR §7.1.3.1 */
function checkKeyKind({ certificate: { publicKey } }: RuleFacts): string | undefined {
  const { type } = publicKey.kind
  return type === 'rsa' || type === 'ec' ? undefined : `a key of the kind ${type}`
}

/** "the modulus size, in bits, is evenly divisible by 8": BR §6.1.5 */
function checkRsaSize({ certificate: { publicKey } }: RuleFacts): string | undefined {
  const { kind } = publicKey
  return kind.type === 'rsa' && kind.bits % 8 !== 0
    ? `an RSA modulus has ${kind.bits} bits, no multiple of eight`
    : undefined
}

/** "subjectAltName MUST" be in a subscriber certificate: BR §7.1.2.7.6 */
function checkNames({ position, certificate: { extensions } }: RuleFacts): string | undefined {
  return position === 'leaf' && extensions.subjectAltName === undefined ? 'the leaf has no subjectAltName' : undefined
}

/**
 * "MUST contain exactly one entry that is one of the values contained in the Certificate's subjectAltName extension …
 * character-for-character copy": BR §7.1.4.3. A name that is no address may also be the domain below which a wildcard stands,
 * and is not held against addresses.
 */
function checkCommonName({ position, certificate: { subject, extensions } }: RuleFacts): string | undefined {
  if (position !== 'leaf') return undefined
  const names = extensions.subjectAltName ?? []
  const hosts = names.flatMap((name) => (name.type === 'dns' ? [name.value] : []))
  const addresses = names.flatMap((name) => (name.type === 'ip' ? [ipText(name.octets)] : []))
  const isForeign = (name: string): boolean => {
    if (LIKE_AN_ADDRESS.test(name)) return !addresses.includes(name)
    return hosts.length > 0 && !hosts.includes(name) && !hosts.includes(`*.${name}`)
  }
  const isWrong = nameValues(subject, OID.commonName).some(isForeign)
  return isWrong ? 'the common name is not among the subject alternative names' : undefined
}

/** Whatever some reader takes for IPv4 (numbers in any notation) or IPv6. */
const LIKE_AN_ADDRESS = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?$|:/i

/** "If the FQDN portion … is 'registry-controlled' or is a 'public suffix', CAs MUST refuse issuance": BR §3.2.2.6 */
function checkWildcards({ certificate: { extensions }, isPublicSuffix }: RuleFacts): string | undefined {
  const wide = extensions.subjectAltName?.some(
    (name) => name.type === 'dns' && name.value.startsWith('*.') && isPublicSuffix(name.value.slice(2).toLowerCase()),
  )
  return wide ? 'a wildcard covers a public suffix' : undefined
}

/** anyExtendedKeyUsage "MUST NOT": BR §7.1.2.7.10 */
function checkLeafUsages({ position, certificate: { extensions } }: RuleFacts): string | undefined {
  const isAny = extensions.extKeyUsage?.includes(OID.anyExtKeyUsage) === true
  return position === 'leaf' && isAny ? 'the leaf may be used for everything' : undefined
}

/** "extKeyUsage MUST NOT" be in a root certificate: BR §7.1.2.1.2 */
function checkAnchorUsages({ position, certificate }: RuleFacts): string | undefined {
  const isRoot = position === 'anchor' && certificate.isSelfIssued
  return isRoot && certificate.extensions.extKeyUsage !== undefined ? 'a root limits its usages' : undefined
}
