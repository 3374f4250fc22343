import { readOid } from '../der/oid.ts'
import { peekTag, readConstructed, readSequence, sameBytes, viewDer } from '../der/reader.ts'
import { TAG } from '../der/tag.ts'
import { X509_FAILURES, type X509Failure } from '../errors.ts'
import { nameValues, sameName } from '../name.ts'
import { OID } from '../oid.ts'
import type { LintFacts, LintRule } from './rule.ts'

const KEY_REFUSALS = Object.keys(X509_FAILURES).filter((code): code is X509Failure => code.startsWith('key_'))

/** Rules about the fields of a TBSCertificate outside its extensions. */
export const FIELD_RULES: readonly LintRule[] = [
  { code: 'lint_size', rows: [24], unreadable: ['der_too_large'], check: checkSize },
  { code: 'lint_serial', rows: [1], unreadable: ['certificate_serial'], check: checkSerial },
  { code: 'lint_algorithm', rows: [18, 19], unreadable: ['algorithm_unsupported'], check: checkAlgorithm },
  { code: 'lint_issuer', rows: [13], unreadable: ['certificate_issuer_empty'], check: checkIssuer },
  { code: 'lint_validity', rows: [17], unreadable: ['certificate_validity_inverted'], check: checkValidity },
  { code: 'lint_subject', rows: [10], check: checkSubject },
  { code: 'lint_name_encoding', rows: [14], check: checkNameEncoding },
  { code: 'lint_key', rows: [26], unreadable: KEY_REFUSALS, check: checkKey },
]

function checkSize({ der }: LintFacts): string | undefined {
  return der.length > MAX_TBS_OCTETS ? `${der.length} octets, at most ${MAX_TBS_OCTETS} are signed` : undefined
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
  const types = subject.attributes.map(({ oid }) => oid)
  if (types.some((type) => !SUBJECT_ATTRIBUTES.has(type))) return 'the subject has an attribute of no profile'
  if (new Set(types).size !== types.length || subject.rdns.length !== types.length)
    return 'the subject repeats an attribute, or joins two'
  const [commonName] = nameValues(subject, OID.commonName)
  if (commonName === undefined) return 'the subject needs exactly one CN'
  if (!profile.commonName.test(commonName)) return 'the CN is not of this profile'
  if (/^[0-9.]+$/.test(commonName) || commonName.includes(':')) return 'the CN looks like an address'
  // "ub-common-name INTEGER ::= 64", and the other attributes of our subjects have 64 or more: RFC 5280 §A.1
  return subject.attributes.some(({ value }) => value.length === 0 || value.length > 64)
    ? 'an attribute is empty or longer than 64 characters'
    : undefined
}

function checkNameEncoding({ tbs: { subject } }: LintFacts): string | undefined {
  const country = nameValues(subject, OID.country)
  if (!country.every((value) => /^[A-Z]{2}$/.test(value))) return 'a country is not two capital letters'
  return subject.rdns.map(stringTypeProblem).find((problem) => problem !== undefined)
}

function checkKey({ tbs: { publicKey } }: LintFacts): string | undefined {
  const { kind } = publicKey
  return kind.type === 'ec' && kind.curve === 'P-521' ? 'certificates hold P-256, P-384 or RSA keys' : undefined
}

/** "X520countryName ::= PrintableString (SIZE (2))": RFC 5280 §A.1; the rest UTF8String or PrintableString (§4.1.2.4). */
function stringTypeProblem(rdn: Uint8Array): string | undefined {
  const attribute = readSequence(readConstructed(viewDer(rdn), TAG.set))
  const type = readOid(attribute)
  const tag = peekTag(attribute)
  const allowed = STRING_TYPES.get(type) ?? [TAG.utf8String, TAG.printableString]
  return allowed.includes(tag) ? undefined : `attribute ${type} has the wrong string type`
}

const SUBJECT_ATTRIBUTES: ReadonlySet<string> = new Set([
  OID.commonName,
  OID.country,
  OID.organization,
  OID.organizationalUnit,
  OID.locality,
  OID.state,
])

const STRING_TYPES: ReadonlyMap<string, readonly number[]> = new Map([[OID.country, [TAG.printableString]]])

/** A certificate of at most 10 000 octets leaves this much beside the largest signature. */
const MAX_TBS_OCTETS = 8_900
