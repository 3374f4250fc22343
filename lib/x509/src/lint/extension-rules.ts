import { sameBytes } from '../der/reader.ts'
import { isDnsName } from '../dns-name.ts'
import type { GeneralName } from '../general-name.ts'
import { OID } from '../oid.ts'
import { isStatusUrl } from '../profile/check.ts'
import { extKeyUsageOid } from '../profile/table.ts'
import type { LintFacts, LintRule } from './rule.ts'

/** Rules about extensions. */
export const EXTENSION_RULES: readonly LintRule[] = [
  { code: 'lint_extension_set', rows: [23], unreadable: ['extension_duplicate'], check: checkExtensionSet },
  { code: 'lint_basic_constraints', rows: [7], check: checkBasicConstraints },
  { code: 'lint_key_usage', rows: [8], check: checkKeyUsage },
  { code: 'lint_ext_key_usage', rows: [9], check: checkExtKeyUsage },
  { code: 'lint_key_identifiers', rows: [15], check: checkKeyIdentifiers },
  { code: 'lint_subject_alt_name', rows: [10, 11, 24], check: checkSubjectAltName },
  { code: 'lint_name_constraints', rows: [21], check: checkNameConstraints },
  { code: 'lint_policies', rows: [], check: checkPolicies },
  { code: 'lint_status_urls', rows: [22], check: checkStatusUrls },
]

/** Nothing that no profile writes, and critical exactly where it has to be. */
function checkExtensionSet({ tbs: { extensions }, profile }: LintFacts): string | undefined {
  for (const { oid, critical } of extensions.all) {
    const wanted = oid === OID.extKeyUsage ? profile.ekuCritical : CRITICAL.get(oid)
    if (wanted === undefined) return `extension ${oid} is in no profile`
    if (wanted !== critical) return `extension ${oid} is ${critical ? '' : 'not '}critical`
  }
  return undefined
}

function checkBasicConstraints({ tbs: { extensions }, profile: { role } }: LintFacts): string | undefined {
  const constraints = extensions.basicConstraints
  if (constraints === undefined) return 'basicConstraints is missing'
  if (constraints.isCa !== (role !== 'leaf')) return 'the CA bit is wrong'
  return constraints.pathLength === (role === 'ca' ? 0 : undefined) ? undefined : 'the path length is wrong'
}

function checkKeyUsage({ tbs: { extensions }, profile }: LintFacts): string | undefined {
  const usage = extensions.keyUsage
  if (usage === undefined) return 'keyUsage is missing'
  return sameSet([...usage], profile.keyUsage) ? undefined : 'the key usage is not that of the profile'
}

function checkExtKeyUsage({ tbs: { extensions }, profile, oidArc, issuer }: LintFacts): string | undefined {
  const usages = extensions.extKeyUsage
  if (profile.role !== 'leaf' && usages?.some((usage) => FORBIDDEN_ON_CA.includes(usage))) {
    return 'a CA carries OCSPSigning or anyExtendedKeyUsage'
  }
  const wanted = profile.extKeyUsage.map((usage) => extKeyUsageOid(usage, oidArc))
  if (wanted.length === 0) return usages === undefined ? undefined : 'a root carries an extended key usage'
  if (!sameSet(usages ?? [], wanted)) return 'the extended key usages are not those of the profile'
  const isDelegated = wanted.length === 1 && wanted[0] === OID.ocspSigning
  if (extensions.ocspNoCheck !== (isDelegated ? true : undefined))
    return 'nocheck is on OCSP responders and nowhere else'
  const granted = issuer.extKeyUsage
  return granted === undefined || isDelegated || wanted.every((usage) => granted.includes(usage))
    ? undefined
    : 'the issuer does not have an extended key usage that it would grant'
}

function checkKeyIdentifiers({ tbs: { extensions, publicKey }, profile, issuer }: LintFacts): string | undefined {
  const own = extensions.subjectKeyId
  if (own === undefined || !sameBytes(own, publicKey.subjectKeyId))
    return 'the subject key identifier is not of this key'
  const authority = extensions.authorityKeyId
  if (profile.role === 'root') return authority === undefined ? undefined : 'a root has an authority key identifier'
  if (authority?.keyId === undefined || authority.issuer !== undefined)
    return 'the authority key identifier needs keyId alone'
  return sameBytes(authority.keyId, issuer.subjectKeyId)
    ? undefined
    : 'the authority key identifier is not of the issuer'
}

function checkSubjectAltName({ tbs: { extensions }, profile }: LintFacts): string | undefined {
  const names = extensions.subjectAltName ?? []
  if (names.some((name) => name.type !== 'uri' && name.type !== 'dns')) return 'a name is neither URI nor DNS name'
  const [uri, ...more] = valuesOf(names, 'uri')
  if (profile.uri === 'none' ? uri !== undefined : uri === undefined || more.length > 0) {
    return 'the number of URIs is not that of the profile'
  }
  if (profile.uri !== 'none' && !profile.uri.test(uri ?? '')) return 'the URI is not of this profile'
  const dnsNames = valuesOf(names, 'dns')
  const { min, max } = profile.dnsNames
  if (dnsNames.length < min || dnsNames.length > max) return 'the number of DNS names is not that of the profile'
  if (new Set(dnsNames).size !== dnsNames.length) return 'a DNS name is there twice'
  return dnsNames.every(isDnsName) ? undefined : 'a DNS name is not in its canonical form'
}

function checkNameConstraints({ tbs: { extensions }, profile }: LintFacts): string | undefined {
  const constraints = extensions.nameConstraints
  if (profile.nameConstraints === 'none')
    return constraints === undefined ? undefined : 'name constraints are not of this profile'
  if (constraints === undefined) return 'name constraints are missing'
  const { permitted, excluded } = constraints
  const hosts = [...valuesOf(permitted, 'dns'), ...valuesOf(permitted, 'uri')]
  if (valuesOf(permitted, 'dns').length === 0 || valuesOf(permitted, 'uri').length === 0) {
    return 'a form of names is permitted without limit'
  }
  if (!hosts.every(isDnsName)) return 'a permitted host is not in its canonical form'
  const addresses = excluded.flatMap((name) => (name.type === 'ip' ? [name.octets] : []))
  if (![8, 32].every((size) => addresses.some((octets) => octets.length === size && octets.every((o) => o === 0)))) {
    return 'not all addresses are excluded'
  }
  const isMailExcluded = [permitted, excluded].every((list) => sameSet(valuesOf(list, 'email'), ['invalid']))
  return isMailExcluded ? undefined : 'not all e-mail addresses are excluded'
}

function checkPolicies({ tbs: { extensions }, profile, oidArc }: LintFacts): string | undefined {
  const policies = extensions.certificatePolicies ?? []
  const count = { none: policies.length === 0, one: policies.length === 1, some: policies.length > 0 }
  if (!count[profile.classes]) return 'the number of classes is not that of the profile'
  if (policies.some(({ oid, qualifiersDer }) => !oid.startsWith(`${oidArc}.2.`) || qualifiersDer !== undefined)) {
    return 'a policy is not a class of ours, or has qualifiers'
  }
  const wanted = profile.role === 'ca' ? 0 : undefined
  return extensions.inhibitAnyPolicy === wanted ? undefined : 'inhibitAnyPolicy is 0 on issuing CAs and nowhere else'
}

function checkStatusUrls({ tbs: { extensions }, profile }: LintFacts): string | undefined {
  const crl = (extensions.crlDistributionPoints ?? []).flatMap(({ fullName }) => fullName)
  const access = extensions.authorityInfoAccess ?? []
  const urls = [...crl, ...access.map(({ location }) => location)]
  const found = valuesOf(urls, 'uri')
  if (found.length !== urls.length || !found.every(isStatusUrl)) return 'a status URL is not http'
  const methods = access.map(({ method }) => method)
  const isComplete = {
    mesh: crl.length === 1 && sameSet(methods, [OID.ocsp, OID.caIssuers]),
    crl: crl.length === 1 && methods.every((method) => method === OID.caIssuers),
    none: urls.length === 0,
  }
  return isComplete[profile.statusUrls] ? undefined : 'the status URLs are not those of the profile'
}

function valuesOf(names: readonly GeneralName[], type: 'uri' | 'dns' | 'email'): string[] {
  return names.flatMap((name) => (name.type === type ? [name.value] : []))
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item))
}

const FORBIDDEN_ON_CA: readonly string[] = [OID.ocspSigning, OID.anyExtKeyUsage]

/** Whether each extension of our profiles is critical; that of extKeyUsage is the profile's. */
const CRITICAL: ReadonlyMap<string, boolean> = new Map([
  [OID.basicConstraints, true],
  [OID.keyUsage, true],
  [OID.nameConstraints, true],
  [OID.inhibitAnyPolicy, true],
  [OID.subjectAltName, false],
  [OID.subjectKeyId, false],
  [OID.ocspNoCheck, false],
  [OID.authorityKeyId, false],
  [OID.certificatePolicies, false],
  [OID.crlDistributionPoints, false],
  [OID.authorityInfoAccess, false],
])
