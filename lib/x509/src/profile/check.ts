import { isOid } from '../der/oid.ts'
import { isDnsName } from '../dns-name.ts'
import type { X509Failure } from '../errors.ts'
import { X509Error } from '../errors.ts'
import { nameValues, sameName } from '../name.ts'
import { OID } from '../oid.ts'
import type { Profile } from './table.ts'
import type { TbsInput } from './tbs.ts'

/** Holds an input against its profile's row. @throws {X509Error} profile_*. */
export function checkInput(profile: Profile, input: TbsInput): void {
  checkSerial(input.serialHex)
  checkIssuer(profile, input)
  checkSubject(profile, input)
  if (input.publicKey.kind.type === 'ec' && input.publicKey.kind.curve === 'P-521') {
    refuse('profile_key', 'a certificate holds a P-256, P-384 or RSA key')
  }
  checkValidity(profile, input)
  checkNames(profile, input)
  checkNameConstraints(profile, input)
  checkClasses(profile, input)
  checkStatusUrls(profile, input)
}

function checkSerial(serialHex: string): void {
  // "Certificate users MUST be able to handle serialNumber values up to 20 octets. Conforming CAs MUST NOT use
  // serialNumber values longer than 20 octets": RFC 5280 §4.1.2.2. A first octet of 01 to 7f keeps the length constant.
  if (!/^(?!00)[0-7][0-9a-f]{39}$/.test(serialHex)) {
    refuse('profile_serial', 'a serial number is 20 octets in lower-case hex, the first one 01 to 7f')
  }
}

function checkIssuer(profile: Profile, { issuer, subject }: TbsInput): void {
  if ((issuer === 'self') !== (profile.role === 'root')) {
    refuse('profile_issuer', 'a root signs itself, and nothing else does')
  }
  if (issuer === 'self') return
  if (sameName(issuer.subject, subject)) refuse('profile_issuer', 'subject and issuer have the same name')
  if (issuer.subject.rdns.length === 0) refuse('profile_issuer', 'the issuer name is empty')
  if (issuer.subjectKeyId.length === 0) refuse('profile_issuer', 'the issuer has no key identifier')
}

function checkSubject(profile: Profile, { subject }: TbsInput): void {
  const [commonName, ...more] = nameValues(subject, OID.commonName)
  if (commonName === undefined || more.length > 0) refuse('profile_subject', 'the subject needs exactly one CN')
  else if (!profile.commonName.test(commonName)) refuse('profile_subject', `CN "${commonName}" is not of this profile`)
  const types = subject.attributes.map((attribute) => attribute.oid)
  if (new Set(types).size !== types.length || subject.rdns.length !== types.length) {
    refuse('profile_subject', 'the subject repeats an attribute')
  }
  const foreign = types.find((type) => !SUBJECT_ATTRIBUTES.has(type))
  if (foreign !== undefined) refuse('profile_subject', `the subject has an attribute ${foreign}`)
}

function checkValidity(profile: Profile, { notBefore, notAfter, issuer }: TbsInput): void {
  for (const instant of [notBefore, notAfter]) {
    const year = instant.getUTCFullYear()
    if (instant.getTime() % 1000 !== 0 || !(year >= 1950 && year <= 9999)) {
      refuse('profile_validity', 'an instant is not a whole second between 1950 and 9999')
    }
  }
  if (notAfter <= notBefore) refuse('profile_validity', 'notAfter is not after notBefore')
  // notAfter is inside the period: RFC 5280 §4.1.2.5.
  const seconds = (notAfter.getTime() - notBefore.getTime()) / 1000 + 1
  if (seconds > profile.maxDays * 86_400) refuse('profile_validity', `valid for more than ${profile.maxDays} days`)
  if (issuer !== 'self' && notAfter > issuer.notAfter) {
    refuse(
      'profile_validity',
      `notAfter ${notAfter.toISOString()} is after the issuer's ${issuer.notAfter.toISOString()}`,
    )
  }
}

function checkNames(profile: Profile, { uris = [], dnsNames = [] }: TbsInput): void {
  const [uri, ...more] = uris
  if (profile.uri === 'none') {
    if (uri !== undefined) refuse('profile_names', 'this profile has no URI')
  } else if (uri === undefined || more.length > 0) {
    // "An X.509 SVID MUST contain exactly one URI SAN": X509-SVID §2
    refuse('profile_names', 'this profile needs exactly one URI')
  } else if (!profile.uri.test(uri)) {
    refuse('profile_names', `URI "${uri}" is not of this profile`)
  }
  const { min, max } = profile.dnsNames
  if (dnsNames.length < min || dnsNames.length > max) {
    refuse('profile_names', `this profile has ${min} to ${max} DNS names, not ${dnsNames.length}`)
  }
  const bad = dnsNames.find((name) => !isDnsName(name))
  if (bad !== undefined) refuse('profile_names', `"${bad}" is not a host name`)
  if (new Set(dnsNames).size !== dnsNames.length) refuse('profile_names', 'a DNS name is listed twice')
}

function checkNameConstraints(profile: Profile, { nameConstraints }: TbsInput): void {
  if ((nameConstraints === undefined) === (profile.nameConstraints === 'required')) {
    refuse('profile_name_constraints', `name constraints: ${profile.nameConstraints} in this profile`)
  }
  if (nameConstraints === undefined) return
  const { permittedDns, permittedUriHosts } = nameConstraints
  // An absent form is not constrained at all, so each needs one subtree: RFC 5280 §4.2.1.10
  if (permittedDns.length === 0 || permittedUriHosts.length === 0) {
    refuse('profile_name_constraints', 'name constraints permit at least one domain and one URI host')
  }
  const bad = [...permittedDns, ...permittedUriHosts].find((name) => !isDnsName(name))
  if (bad !== undefined) refuse('profile_name_constraints', `"${bad}" is not a host name`)
}

function checkClasses(profile: Profile, { classes = [], oidArc }: TbsInput): void {
  if (!isOid(oidArc)) refuse('profile_class', 'the OID arc is not an object identifier')
  const allowed = { none: classes.length === 0, one: classes.length === 1, some: classes.length > 0 }
  if (!allowed[profile.classes]) refuse('profile_class', `classes: ${profile.classes} in this profile`)
  const prefix = `${oidArc}.2.`
  const foreign = classes.find(
    (oid) => !isOid(oid) || !oid.startsWith(prefix) || oid.indexOf('.', prefix.length) !== -1,
  )
  if (foreign !== undefined) refuse('profile_class', `${foreign} is not a class below ${prefix}`)
  if (new Set(classes).size !== classes.length) refuse('profile_class', 'a class is listed twice')
}

function checkStatusUrls(profile: Profile, { crlUrl, ocspUrl, caIssuersUrl }: TbsInput): void {
  const given = [crlUrl, ocspUrl, caIssuersUrl]
  const complete = {
    mesh: given.every((url) => url !== undefined),
    crl: crlUrl !== undefined && ocspUrl === undefined,
    none: given.every((url) => url === undefined),
  }
  if (!complete[profile.statusUrls]) refuse('profile_status_url', `status URLs: ${profile.statusUrls} in this profile`)
  const bad = given.find((url) => url !== undefined && !isStatusUrl(url))
  if (bad !== undefined) refuse('profile_status_url', `"${bad}" is not an http URL`)
}

/** Plain http: whoever fetches status to check a certificate cannot need a checked certificate first. */
export function isStatusUrl(url: string): boolean {
  return /^http:\/\/[\x21-\x7e]{1,512}$/.test(url) && URL.canParse(url)
}

function refuse(code: X509Failure, message: string): never {
  throw new X509Error(code, message)
}

const SUBJECT_ATTRIBUTES: ReadonlySet<string> = new Set([
  OID.commonName,
  OID.country,
  OID.organization,
  OID.organizationalUnit,
  OID.locality,
  OID.state,
])
