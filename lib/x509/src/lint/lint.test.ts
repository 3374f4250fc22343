import { describe, expect, test } from 'vitest'
import type { SignatureAlgorithmName } from '../algorithm.ts'
import { decodeTbsCertificate } from '../certificate.ts'
import { oid } from '../der/oid.ts'
import { TAG } from '../der/tag.ts'
import { asciiString, encodeDer, octetString, sequence, setOf } from '../der/writer.ts'
import { encodeTbsFields } from '../encode-certificate.ts'
import * as extension from '../extension/encode.ts'
import type { NameConstraints } from '../extension/model.ts'
import { encodeName, type Name } from '../name.ts'
import { classOid, DEFAULT_OID_ARC, OID } from '../oid.ts'
import type { ProfileName } from '../profile/table.ts'
import { buildTbs, meshNameConstraints } from '../profile/tbs.ts'
import { mintCa, type Slots, testKey, UNTIL } from '../testing/mint.ts'
import { ALL_PROFILES, profileInput } from '../testing/profile-input.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { LINT_RULES, lintTbs } from './lint.ts'
import type { LintCode } from './rule.ts'

interface Fault {
  readonly serial?: string
  readonly algorithm?: SignatureAlgorithmName
  readonly issuer?: Name
  readonly subject?: Name
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly slots?: Slots
  readonly der?: Uint8Array
}

/** The TBS of a profile with one fault, as a builder with a bug would write it. */
function lintFault(profile: ProfileName, fault: Fault): void {
  const tbs = buildTbs(profileInput(profile))
  const original = Object.fromEntries(
    decoded(profile).map(({ oid: type, critical, valueDer }) => [
      type,
      extension.encodeExtension(type, critical, valueDer),
    ]),
  )
  const slots: Slots = { ...original, ...fault.slots }
  const der =
    fault.der ??
    encodeTbsFields({
      serial: Uint8Array.fromHex(fault.serial ?? tbs.serialHex),
      algorithm: fault.algorithm ?? tbs.algorithm,
      issuer: fault.issuer ?? tbs.issuer.subject,
      subject: fault.subject ?? tbs.subject,
      notBefore: fault.notBefore ?? tbs.notBefore,
      notAfter: fault.notAfter ?? tbs.notAfter,
      spkiDer: tbs.publicKey.spkiDer,
      extensions: Object.values(slots).filter((slot) => slot !== undefined),
    })
  lintTbs({ ...tbs, der })
}

function decoded(profile: ProfileName) {
  return decodeTbsCertificate(buildTbs(profileInput(profile)).der).extensions.all
}

const cn = (value: string): Name => encodeName([{ type: 'CN', value }])
const arc = DEFAULT_OID_ARC
const san = (...names: readonly (readonly ['uri' | 'dns' | 'email', string])[]): Slots => ({
  [OID.subjectAltName]: extension.encodeSubjectAltName(
    names.map(([type, value]) => ({ type, value })),
    false,
  ),
})
const SERVICE_URI = ['uri', 'spiffe://vcc.internal/org/brandenburg/svc/argus'] as const
const constraints = (change: (before: NameConstraints) => NameConstraints): Slots => ({
  [OID.nameConstraints]: extension.encodeNameConstraints(
    change(meshNameConstraints({ permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] })),
  ),
})
const without = (type: string) => (names: NameConstraints['permitted']) => names.filter((name) => name.type !== type)

const CASES: readonly { name: string; profile: ProfileName; fault: Fault; fails: LintCode }[] = [
  { name: 'no DER', profile: 'service', fault: { der: hex('3080') }, fails: 'lint_encoding' },
  {
    name: 'cA FALSE in writing',
    profile: 'service',
    fault: {
      slots: { [OID.basicConstraints]: extension.encodeExtension(OID.basicConstraints, true, hex('3003010100')) },
    },
    fails: 'lint_encoding',
  },
  {
    name: 'an extension twice',
    profile: 'service',
    fault: { slots: { more: extension.encodeKeyUsage(['digitalSignature']) } },
    fails: 'lint_encoding',
  },
  {
    name: '10 000 octets',
    profile: 'service',
    fault: { slots: { [OID.subjectKeyId]: extension.encodeSubjectKeyId(new Uint8Array(10_000)) } },
    fails: 'lint_size',
  },
  {
    name: '18 names',
    profile: 'service',
    fault: { slots: san(...Array.from({ length: 18 }, (_, i) => ['dns', `a${i}.b`] as const)) },
    fails: 'lint_size',
  },
  { name: 'a serial of 19 octets', profile: 'service', fault: { serial: '01'.repeat(19) }, fails: 'lint_serial' },
  {
    name: 'a serial that a leading zero shortened',
    profile: 'service',
    fault: { serial: `00${'01'.repeat(19)}` },
    fails: 'lint_serial',
  },
  { name: 'PKCS #1 padding', profile: 'service', fault: { algorithm: 'rsa-pkcs1-sha256' }, fails: 'lint_algorithm' },
  {
    name: 'another hash than the issuer uses',
    profile: 'service',
    fault: { algorithm: 'ecdsa-sha384' },
    fails: 'lint_algorithm',
  },
  {
    name: 'an issuer in another string type',
    profile: 'service',
    fault: { issuer: printable('VCC Issuing CA') },
    fails: 'lint_issuer',
  },
  {
    name: 'a leaf that names itself as issuer',
    profile: 'service',
    fault: { subject: buildTbs(profileInput('service')).issuer.subject },
    fails: 'lint_issuer',
  },
  {
    name: 'a leaf that outlives its issuer',
    profile: 'service',
    fault: { notAfter: new Date(UNTIL.getTime() + 1000) },
    fails: 'lint_validity',
  },
  {
    name: 'a leaf of two years',
    profile: 'service',
    fault: { notBefore: new Date('2024-01-01T00:00:00Z') },
    fails: 'lint_validity',
  },
  {
    name: 'no CN',
    profile: 'service',
    fault: { subject: encodeName([{ type: 'O', value: 'a' }]) },
    fails: 'lint_subject',
  },
  { name: 'a CN of another profile', profile: 'service', fault: { subject: cn('control') }, fails: 'lint_subject' },
  { name: 'an address as CN', profile: 'services-ca', fault: { subject: cn('127.0.0.1') }, fails: 'lint_subject' },
  { name: 'an IPv6 address as CN', profile: 'services-ca', fault: { subject: cn('fe80::1') }, fails: 'lint_subject' },
  { name: 'a CN as IA5String', profile: 'service', fault: { subject: ia5('abcdefgh01234567') }, fails: 'lint_subject' },
  {
    name: 'an extension of no profile',
    profile: 'service',
    fault: { slots: { more: extension.encodeExtension('1.2.3', false, octetString(new Uint8Array())) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'a critical subjectAltName beside a CN',
    profile: 'service',
    fault: {
      slots: { [OID.subjectAltName]: extension.encodeSubjectAltName([{ type: 'uri', value: SERVICE_URI[1] }], true) },
    },
    fails: 'lint_extension_set',
  },
  {
    name: 'keyUsage that is not critical',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: extension.encodeExtension(OID.keyUsage, false, hex('03020780')) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'a state signer whose usage is not critical',
    profile: 'state-signer',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([`${arc}.3.1`], false) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'a leaf with the CA bit',
    profile: 'service',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'a CA that lost its path length of 0',
    profile: 'services-ca',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'a root with a path length',
    profile: 'mesh-root',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true, pathLength: 1 }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'no basicConstraints',
    profile: 'service',
    fault: { slots: { [OID.basicConstraints]: undefined } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'keyEncipherment on an EC key',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: extension.encodeKeyUsage(['digitalSignature', 'keyEncipherment']) } },
    fails: 'lint_key_usage',
  },
  {
    name: 'a CA that cannot sign CRLs',
    profile: 'services-ca',
    fault: { slots: { [OID.keyUsage]: extension.encodeKeyUsage(['keyCertSign']) } },
    fails: 'lint_key_usage',
  },
  { name: 'no keyUsage', profile: 'service', fault: { slots: { [OID.keyUsage]: undefined } }, fails: 'lint_key_usage' },
  {
    name: 'OCSPSigning on a CA',
    profile: 'services-ca',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth, OID.ocspSigning], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'anyExtendedKeyUsage on a CA',
    profile: 'services-ca',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.anyExtKeyUsage], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'an extended key usage on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'the usage for state on a service',
    profile: 'service',
    fault: {
      slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth, `${arc}.3.1`], false) },
    },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'a key identifier over the whole SPKI',
    profile: 'service',
    fault: { slots: { [OID.subjectKeyId]: extension.encodeSubjectKeyId(new Uint8Array(20)) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'an authority key identifier of another key',
    profile: 'service',
    fault: { slots: { [OID.authorityKeyId]: extension.encodeAuthorityKeyId(testKey().publicKey.subjectKeyId) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'no authority key identifier',
    profile: 'service',
    fault: { slots: { [OID.authorityKeyId]: undefined } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'an authority key identifier on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.authorityKeyId]: extension.encodeAuthorityKeyId(new Uint8Array(20)) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'an authority key identifier with issuer and serial',
    profile: 'service',
    fault: {
      slots: {
        [OID.authorityKeyId]: extension.encodeExtension(
          OID.authorityKeyId,
          false,
          hex('300b 800101 a103820161 820101'),
        ),
      },
    },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'no subjectAltName',
    profile: 'service',
    fault: { slots: { [OID.subjectAltName]: undefined } },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'two URIs',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, SERVICE_URI) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'an e-mail address',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['email', 'a@b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'a wildcard',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', '*.vcc.internal']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'a trailing dot',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', 'a.b.']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'a DNS name twice',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', 'a.b'], ['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  { name: 'no DNS name', profile: 'service', fault: { slots: san(SERVICE_URI) }, fails: 'lint_subject_alt_name' },
  {
    name: 'a URI of another profile',
    profile: 'service',
    fault: { slots: san(['uri', 'spiffe://vcc.internal/control'], ['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'a name on a CA',
    profile: 'services-ca',
    fault: { slots: san(['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'a mesh CA without name constraints',
    profile: 'services-ca',
    fault: { slots: { [OID.nameConstraints]: undefined } },
    fails: 'lint_name_constraints',
  },
  {
    name: 'name constraints on a leaf',
    profile: 'service',
    fault: { slots: constraints((both) => both) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'only IPv4 is excluded',
    profile: 'services-ca',
    fault: {
      slots: constraints((both) => ({
        ...both,
        excluded: both.excluded.filter((name) => name.type !== 'ip' || name.octets.length === 8),
      })),
    },
    fails: 'lint_name_constraints',
  },
  {
    name: 'e-mail is only permitted',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, excluded: without('email')(both.excluded) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'e-mail is not permitted and so not limited',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, permitted: without('email')(both.permitted) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'URIs without limit',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, permitted: without('uri')(both.permitted) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'a permitted domain with a dot in front',
    profile: 'services-ca',
    fault: {
      slots: constraints((both) => ({ ...both, permitted: [...both.permitted, { type: 'dns', value: '.a' }] })),
    },
    fails: 'lint_name_constraints',
  },
  {
    name: 'two classes',
    profile: 'service',
    fault: {
      slots: { [OID.certificatePolicies]: extension.encodeCertificatePolicies([classOid(arc, 1), classOid(arc, 2)]) },
    },
    fails: 'lint_policies',
  },
  {
    name: 'anyPolicy',
    profile: 'services-ca',
    fault: { slots: { [OID.certificatePolicies]: extension.encodeCertificatePolicies([OID.anyPolicy]) } },
    fails: 'lint_policies',
  },
  {
    name: 'a class with a qualifier',
    profile: 'service',
    fault: {
      slots: {
        [OID.certificatePolicies]: extension.encodeExtension(
          OID.certificatePolicies,
          false,
          sequence(sequence(oid(classOid(arc, 1)), sequence(sequence(oid('1.2.3'))))),
        ),
      },
    },
    fails: 'lint_policies',
  },
  {
    name: 'a CA without inhibitAnyPolicy',
    profile: 'services-ca',
    fault: { slots: { [OID.inhibitAnyPolicy]: undefined } },
    fails: 'lint_policies',
  },
  {
    name: 'inhibitAnyPolicy 1',
    profile: 'services-ca',
    fault: { slots: { [OID.inhibitAnyPolicy]: extension.encodeInhibitAnyPolicy(1) } },
    fails: 'lint_policies',
  },
  {
    name: 'inhibitAnyPolicy on a leaf',
    profile: 'service',
    fault: { slots: { [OID.inhibitAnyPolicy]: extension.encodeInhibitAnyPolicy(0) } },
    fails: 'lint_policies',
  },
  {
    name: 'no CRL',
    profile: 'service',
    fault: { slots: { [OID.crlDistributionPoints]: undefined } },
    fails: 'lint_status_urls',
  },
  {
    name: 'a CRL by https',
    profile: 'service',
    fault: { slots: { [OID.crlDistributionPoints]: extension.encodeCrlDistributionPoint('https://a/b') } },
    fails: 'lint_status_urls',
  },
  {
    name: 'no OCSP',
    profile: 'service',
    fault: { slots: { [OID.authorityInfoAccess]: extension.encodeAuthorityInfoAccess({ caIssuersUrl: 'http://a' }) } },
    fails: 'lint_status_urls',
  },
  {
    name: 'OCSP on a code signing CA',
    profile: 'code-signing-ca',
    fault: { slots: { [OID.authorityInfoAccess]: extension.encodeAuthorityInfoAccess({ ocspUrl: 'http://a' }) } },
    fails: 'lint_status_urls',
  },
  {
    name: 'a CRL on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.crlDistributionPoints]: extension.encodeCrlDistributionPoint('http://a/b') } },
    fails: 'lint_status_urls',
  },
]

function attribute(tag: number, value: string): Name {
  const der = encodeDer(sequence(setOf(sequence(oid(OID.commonName), asciiString(tag, value)))))
  return { der, rdns: [], attributes: [{ oid: OID.commonName, value }] }
}

function printable(value: string): Name {
  return attribute(TAG.printableString, value)
}

function ia5(value: string): Name {
  return attribute(TAG.ia5String, value)
}

describe('lint', () => {
  test.each(CASES)('$name', ({ profile, fault, fails }) => {
    expect(refusalOf(() => lintFault(profile, fault))).toBe(fails)
  })

  test.each(ALL_PROFILES)('%s passes as it is built', (profile) => {
    expect(() => lintTbs(buildTbs(profileInput(profile)))).not.toThrow()
    expect(() => lintFault(profile, {})).not.toThrow()
  })

  test('every rule has a case', () => {
    const seen = new Set(CASES.map(({ fails }) => fails))
    expect(LINT_RULES.map(({ code }) => code).filter((code) => !seen.has(code))).toEqual([])
  })

  test('rows that a TBS can break are covered; the others belong elsewhere', () => {
    const covered = new Set(LINT_RULES.flatMap(({ rows }) => rows))
    const byTheReader = [4, 5, 6]
    const elsewhere = [3, 12, 20, 25]
    const all = Array.from({ length: 25 }, (_, i) => i + 1)
    expect(all.filter((row) => !covered.has(row) && !byTheReader.includes(row) && !elsewhere.includes(row))).toEqual([])
  })

  test('an issuer of another key is refused even if its name fits', () => {
    const tbs = buildTbs(profileInput('service'))
    const other = mintCa({ name: 'VCC Issuing CA' })
    const issuer = { ...tbs.issuer, subjectKeyId: other.key.publicKey.subjectKeyId }
    expect(refusalOf(() => lintTbs({ ...tbs, issuer }))).toBe('lint_key_identifiers')
  })
})
