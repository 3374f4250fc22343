import { readOid } from '../der/oid.ts'
import { peekTag, readConstructed, readSequence, sameBytes, viewDer } from '../der/reader.ts'
import { TAG } from '../der/tag.ts'
import { nameValues, sameName } from '../name.ts'
import { OID } from '../oid.ts'
import type { LintFacts, LintRule } from './rule.ts'

/** Rules about the fields of a TBSCertificate outside its extensions. */
export const FIELD_RULES: readonly LintRule[] = [
  { code: 'lint_size', rows: [24], check: checkSize },
  { code: 'lint_serial', rows: [1, 2], check: checkSerial },
  { code: 'lint_algorithm', rows: [18, 19], check: checkAlgorithm },
  { code: 'lint_issuer', rows: [13], check: checkIssuer },
  { code: 'lint_validity', rows: [16, 17], check: checkValidity },
  { code: 'lint_subject', rows: [10, 14], check: checkSubject },
]

function checkSize({ der, tbs }: LintFacts): string | undefined {
  if (der.length > MAX_TBS_OCTETS) return `${der.length} octets, at most ${MAX_TBS_OCTETS} are signed`
  const names = tbs.extensions.subjectAltName?.length ?? 0
  return names > MAX_NAMES ? `${names} names, at most ${MAX_NAMES} are signed` : undefined
}

function checkSerial({ tbs: { serialHex } }: LintFacts): string | undefined {
  return /^(?!00)[0-7][0-9a-f]{39}$/.test(serialHex) ? undefined : 'the serial is not 20 octets, the first 01 to 7f'
}

/** RSA signs with PSS only; what it and ECDSA look like in bytes is the reader's business. */
function checkAlgorithm({ tbs: { signatureAlgorithm }, issuer }: LintFacts): string | undefined {
  if (signatureAlgorithm.startsWith('rsa-pkcs1')) return 'RSA signatures are PSS'
  return signatureAlgorithm === issuer.algorithm ? undefined : `the issuer signs with ${issuer.algorithm}`
}

function checkIssuer({ tbs, profile, issuer }: LintFacts): string | undefined {
  if (!sameBytes(tbs.issuer.der, issuer.subject.der)) return 'the issuer is not the subject of the CA, byte for byte'
  if (sameName(tbs.issuer, tbs.subject) !== (profile.role === 'root'))
    return 'a root names itself, and nothing else does'
  return undefined
}

function checkValidity({ tbs: { notBefore, notAfter }, profile, issuer }: LintFacts): string | undefined {
  if (notAfter > issuer.notAfter) return 'it outlives its issuer'
  const seconds = (notAfter.getTime() - notBefore.getTime()) / 1000 + 1
  return seconds > profile.maxDays * 86_400 ? `it is valid for more than ${profile.maxDays} days` : undefined
}

function checkSubject({ tbs: { subject }, profile }: LintFacts): string | undefined {
  const [commonName, ...more] = nameValues(subject, OID.commonName)
  if (commonName === undefined || more.length > 0) return 'the subject needs exactly one CN'
  if (!profile.commonName.test(commonName)) return 'the CN is not of this profile'
  if (/^[0-9.]+$/.test(commonName) || commonName.includes(':')) return 'the CN looks like an address'
  if (subject.attributes.some(({ value }) => value.length === 0 || value.length > 64 || value.startsWith('#'))) {
    return 'an attribute is empty, longer than 64 characters or of a type without text'
  }
  const wrong = subject.rdns.map(stringTypeProblem).find((problem) => problem !== undefined)
  return wrong
}

/** "CountryName … PrintableString (SIZE (2))", "DomainComponent … IA5String": RFC 5280 §A.1; the rest UTF8String (§4.1.2.4). */
function stringTypeProblem(rdn: Uint8Array): string | undefined {
  const attribute = readSequence(readConstructed(viewDer(rdn), TAG.set))
  const type = readOid(attribute)
  const tag = peekTag(attribute)
  const allowed = STRING_TYPES.get(type) ?? [TAG.utf8String, TAG.printableString]
  return allowed.includes(tag) ? undefined : `attribute ${type} has the wrong string type`
}

const STRING_TYPES: ReadonlyMap<string, readonly number[]> = new Map([
  [OID.country, [TAG.printableString]],
  [OID.serialNumber, [TAG.printableString]],
  [OID.domainComponent, [TAG.ia5String]],
  [OID.emailAddress, [TAG.ia5String]],
])

/** A certificate of at most 10 000 octets leaves this much beside the largest signature. */
const MAX_TBS_OCTETS = 8_900
const MAX_NAMES = 17
