import { describe, expect, test } from 'vitest'
import { decodeCertificate, decodeTbsCertificate } from '../certificate.ts'
import type { X509Failure } from '../errors.ts'
import { encodeName } from '../name.ts'
import { classOid, DEFAULT_OID_ARC, OID } from '../oid.ts'
import { mintCa, testKey, UNTIL } from '../testing/mint.ts'
import { ALL_PROFILES, profileInput } from '../testing/profile-input.ts'
import { refusalOf } from '../testing/refusal.ts'
import { PROFILES, type ProfileName } from './table.ts'
import { assembleCertificate, buildTbs, issuerOf, type TbsInput } from './tbs.ts'

const arc = DEFAULT_OID_ARC
const seconds = (date: Date, by: number): Date => new Date(date.getTime() + by * 1000)
const cn = (...values: string[]) => encodeName(values.map((value) => ({ type: 'CN', value })))
const issuer = issuerOf(mintCa({ name: 'VCC Issuing CA' }).certificate)
const names = (dns: string[], hosts: string[]): Partial<TbsInput> => ({
  nameConstraints: { permittedDns: dns, permittedUriHosts: hosts },
})

interface Refusal {
  readonly name: string
  readonly profile: ProfileName
  readonly changes: Partial<TbsInput>
  readonly fails: X509Failure
}

const REFUSED: readonly Refusal[] = [
  {
    name: 'a serial of 19 octets',
    profile: 'service',
    changes: { serialHex: '4a'.repeat(19) },
    fails: 'profile_serial',
  },
  {
    name: 'a serial of 21 octets',
    profile: 'service',
    changes: { serialHex: '4a'.repeat(21) },
    fails: 'profile_serial',
  },
  {
    name: 'a serial that starts with 00',
    profile: 'service',
    changes: { serialHex: `00${'4a'.repeat(19)}` },
    fails: 'profile_serial',
  },
  {
    name: 'a serial that starts with 80',
    profile: 'service',
    changes: { serialHex: `80${'4a'.repeat(19)}` },
    fails: 'profile_serial',
  },
  {
    name: 'a serial in capitals',
    profile: 'service',
    changes: { serialHex: '4A'.repeat(20) },
    fails: 'profile_serial',
  },
  { name: 'a service that signs itself', profile: 'service', changes: { issuer: 'self' }, fails: 'profile_issuer' },
  { name: 'a root under another', profile: 'mesh-root', changes: { issuer }, fails: 'profile_issuer' },
  {
    name: 'a CA named like its issuer',
    profile: 'services-ca',
    changes: { subject: issuer.subject },
    fails: 'profile_issuer',
  },
  {
    name: 'an issuer without a name',
    profile: 'service',
    changes: { issuer: { ...issuer, subject: encodeName([]) } },
    fails: 'profile_issuer',
  },
  {
    name: 'an issuer without a key identifier',
    profile: 'service',
    changes: { issuer: { ...issuer, subjectKeyId: new Uint8Array() } },
    fails: 'profile_issuer',
  },
  { name: 'no subject', profile: 'service', changes: { subject: encodeName([]) }, fails: 'profile_subject' },
  {
    name: 'an instance id of 15',
    profile: 'service',
    changes: { subject: cn('abcdefgh0123456') },
    fails: 'profile_subject',
  },
  {
    name: 'an instance id in capitals',
    profile: 'service',
    changes: { subject: cn('ABCDEFGH01234567') },
    fails: 'profile_subject',
  },
  {
    name: 'an instance id with a line feed',
    profile: 'service',
    changes: { subject: cn('abcdefgh01234567\n') },
    fails: 'profile_subject',
  },
  {
    name: 'two common names',
    profile: 'service',
    changes: { subject: cn('abcdefgh01234567', 'control') },
    fails: 'profile_subject',
  },
  {
    name: 'an e-mail address in the subject',
    profile: 'admin',
    changes: {
      subject: encodeName([
        { type: 'CN', value: 'a' },
        { type: 'emailAddress', value: 'a@b' },
      ]),
    },
    fails: 'profile_subject',
  },
  {
    name: 'an organisation twice',
    profile: 'services-ca',
    changes: {
      subject: encodeName([
        { type: 'O', value: 'a' },
        { type: 'O', value: 'b' },
        { type: 'CN', value: 'c' },
      ]),
    },
    fails: 'profile_subject',
  },
  {
    name: 'an API that is not control',
    profile: 'control-api',
    changes: { subject: cn('broker') },
    fails: 'profile_subject',
  },
  {
    name: 'a broker that is not broker',
    profile: 'broker',
    changes: { subject: cn('control') },
    fails: 'profile_subject',
  },
  {
    name: 'an admin with a name that could be a host',
    profile: 'admin',
    changes: { subject: cn('ref-0001') },
    fails: 'profile_subject',
  },
  { name: 'a broker without a DNS name', profile: 'broker', changes: { dnsNames: [] }, fails: 'profile_names' },
  {
    name: 'a key on P-521',
    profile: 'service',
    changes: { publicKey: testKey('P-521').publicKey },
    fails: 'profile_key',
  },
  {
    name: 'a leaf one second longer than its issuer',
    profile: 'service',
    changes: { notAfter: seconds(UNTIL, 1) },
    fails: 'profile_validity',
  },
  {
    name: 'an end before the beginning',
    profile: 'service',
    changes: { notAfter: new Date('2025-12-31T00:00:00Z') },
    fails: 'profile_validity',
  },
  { name: 'no duration', profile: 'service', changes: { notBefore: UNTIL }, fails: 'profile_validity' },
  {
    name: 'milliseconds',
    profile: 'service',
    changes: { notBefore: new Date('2026-01-01T00:00:00.001Z') },
    fails: 'profile_validity',
  },
  { name: 'no time', profile: 'service', changes: { notBefore: new Date(Number.NaN) }, fails: 'profile_validity' },
  {
    name: 'a root of 41 years',
    profile: 'mesh-root',
    changes: { notAfter: new Date('2067-01-01T00:00:00Z') },
    fails: 'profile_validity',
  },
  {
    name: 'a leaf of 399 days',
    profile: 'service',
    changes: { notBefore: seconds(UNTIL, -399 * 86_400) },
    fails: 'profile_validity',
  },
  { name: 'no URI', profile: 'service', changes: { uris: [] }, fails: 'profile_names' },
  {
    name: 'two URIs',
    profile: 'service',
    changes: { uris: ['spiffe://a/org/b/svc/c', 'spiffe://a/org/b/svc/d'] },
    fails: 'profile_names',
  },
  {
    name: 'a URI of another profile',
    profile: 'service',
    changes: { uris: ['spiffe://vcc.internal/control'] },
    fails: 'profile_names',
  },
  {
    name: 'a service named with an underscore',
    profile: 'service',
    changes: { uris: ['spiffe://a/org/b/svc/covina_ingestion'] },
    fails: 'profile_names',
  },
  {
    name: 'a URI with a list inside',
    profile: 'service',
    changes: { uris: ['spiffe://a/org/b/svc/c, URI:spiffe://a/control'] },
    fails: 'profile_names',
  },
  {
    name: 'a URI with a line feed',
    profile: 'service',
    changes: { uris: ['spiffe://a/org/b/svc/c\n'] },
    fails: 'profile_names',
  },
  {
    name: 'a URI for a state signer',
    profile: 'state-signer',
    changes: { uris: ['spiffe://a/control'] },
    fails: 'profile_names',
  },
  {
    name: 'a responder for two months',
    profile: 'ocsp-responder',
    changes: { notAfter: new Date('2026-07-29T23:59:59Z') },
    fails: 'profile_validity',
  },
  { name: 'no DNS name', profile: 'service', changes: { dnsNames: [] }, fails: 'profile_names' },
  { name: 'a DNS name for an admin', profile: 'admin', changes: { dnsNames: ['a.b'] }, fails: 'profile_names' },
  {
    name: '17 DNS names',
    profile: 'service',
    changes: { dnsNames: Array.from({ length: 17 }, (_, i) => `a${i}.b`) },
    fails: 'profile_names',
  },
  { name: 'a DNS name twice', profile: 'service', changes: { dnsNames: ['a.b', 'a.b'] }, fails: 'profile_names' },
  ...[
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'A.b',
    '*.a.b',
    'a_b',
    '-a.b',
    'a-.b',
    'ä.b',
    '127.0.0.1',
    'a b',
    'a,b',
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(127)}a`,
  ].map(
    (dns): Refusal => ({
      name: `"${dns.slice(0, 20)}" as a DNS name`,
      profile: 'service',
      changes: { dnsNames: [dns] },
      fails: 'profile_names',
    }),
  ),
  {
    name: 'a service with name constraints',
    profile: 'service',
    changes: names(['a'], ['a']),
    fails: 'profile_name_constraints',
  },
  {
    name: 'constraints without a domain',
    profile: 'services-ca',
    changes: names([], ['a.b']),
    fails: 'profile_name_constraints',
  },
  {
    name: 'constraints without a URI host',
    profile: 'services-ca',
    changes: names(['a.b'], []),
    fails: 'profile_name_constraints',
  },
  {
    name: 'a constraint with a leading dot',
    profile: 'services-ca',
    changes: names(['.a.b'], ['a.b']),
    fails: 'profile_name_constraints',
  },
  {
    name: 'a constraint that permits every domain',
    profile: 'services-ca',
    changes: names([''], ['a.b']),
    fails: 'profile_name_constraints',
  },
  {
    name: 'a URI as URI host',
    profile: 'services-ca',
    changes: names(['a.b'], ['spiffe://a.b']),
    fails: 'profile_name_constraints',
  },
  { name: 'no class', profile: 'service', changes: { classes: [] }, fails: 'profile_class' },
  {
    name: 'two classes',
    profile: 'service',
    changes: { classes: [classOid(arc, 1), classOid(arc, 2)] },
    fails: 'profile_class',
  },
  { name: 'anyPolicy', profile: 'services-ca', changes: { classes: [OID.anyPolicy] }, fails: 'profile_class' },
  { name: 'a class of another arc', profile: 'service', changes: { classes: ['1.2.3.2.1'] }, fails: 'profile_class' },
  {
    name: 'a policy below a class',
    profile: 'service',
    changes: { classes: [`${classOid(arc, 1)}.1`] },
    fails: 'profile_class',
  },
  {
    name: 'an extended key usage as class',
    profile: 'service',
    changes: { classes: [`${arc}.3.1`] },
    fails: 'profile_class',
  },
  {
    name: 'a class twice',
    profile: 'services-ca',
    changes: { classes: [classOid(arc, 1), classOid(arc, 1)] },
    fails: 'profile_class',
  },
  { name: 'a Services CA without a class', profile: 'services-ca', changes: { classes: [] }, fails: 'profile_class' },
  {
    name: 'a class for the API',
    profile: 'control-api',
    changes: { classes: [classOid(arc, 1)] },
    fails: 'profile_class',
  },
  {
    name: 'a class for the Control CA',
    profile: 'control-ca',
    changes: { classes: [classOid(arc, 1)] },
    fails: 'profile_class',
  },
  { name: 'an arc of no form', profile: 'service', changes: { oidArc: '1.2.' }, fails: 'profile_class' },
  { name: 'https for a CRL', profile: 'service', changes: { crlUrl: 'https://a/b' }, fails: 'profile_status_url' },
  { name: 'a URL with a space', profile: 'service', changes: { ocspUrl: 'http://a b' }, fails: 'profile_status_url' },
  {
    name: 'a URL without a host',
    profile: 'service',
    changes: { caIssuersUrl: 'http://' },
    fails: 'profile_status_url',
  },
  {
    name: 'OCSP for a code signing CA',
    profile: 'code-signing-ca',
    changes: { ocspUrl: 'http://a' },
    fails: 'profile_status_url',
  },
  { name: 'a CRL for a root', profile: 'mesh-root', changes: { crlUrl: 'http://a' }, fails: 'profile_status_url' },
]

describe('what no profile allows', () => {
  test.each(REFUSED)('$name', ({ profile, changes, fails }) => {
    expect(refusalOf(() => buildTbs(profileInput(profile, changes)))).toBe(fails)
  })

  test.each(['crlUrl', 'ocspUrl', 'caIssuersUrl'] as const)('a mesh certificate without %s', (url) => {
    const { [url]: _, ...rest } = profileInput('service')
    expect(refusalOf(() => buildTbs(rest))).toBe('profile_status_url')
  })

  test('a mesh CA without name constraints', () => {
    const { nameConstraints: _, ...rest } = profileInput('services-ca')
    expect(refusalOf(() => buildTbs(rest))).toBe('profile_name_constraints')
  })

  test('ca-18 a signature under another algorithm than the certificate names', () => {
    const tbs = buildTbs(profileInput('service'))
    expect({ fails: refusalOf(() => assembleCertificate(tbs, 'ecdsa-sha384', new Uint8Array(70))) }).toEqual({
      fails: 'profile_signature',
    })
  })
})

/** Short words for what each profile writes, so that a change of the table shows here. */
function describeTbs(profile: ProfileName): string {
  const { extensions } = decodeTbsCertificate(buildTbs(profileInput(profile)).der)
  const { basicConstraints: bc } = extensions
  const critical = (oid: string): string => (extensions.critical.has(oid) ? '!' : '')
  const arcs = (extensions.extKeyUsage ?? []).map((oid) => oid.replace(`${arc}.3`, '').replace('1.3.6.1.5.5.7.3', 'kp'))
  const parts = [
    `ca=${bc?.isCa}${bc?.pathLength === undefined ? '' : `,${bc.pathLength}`}${critical(OID.basicConstraints)}`,
    `ku=${[...(extensions.keyUsage ?? [])].join('+')}${critical(OID.keyUsage)}`,
    `eku=${arcs.join('+')}${critical(OID.extKeyUsage)}`,
    `san=${(extensions.subjectAltName ?? []).map(({ type }) => type).join('+')}${critical(OID.subjectAltName)}`,
    `nc=${extensions.nameConstraints === undefined ? '' : 'yes'}${critical(OID.nameConstraints)}`,
    `cp=${(extensions.certificatePolicies ?? []).length}${critical(OID.certificatePolicies)}`,
    `iap=${extensions.inhibitAnyPolicy ?? ''}${critical(OID.inhibitAnyPolicy)}`,
    `aki=${extensions.authorityKeyId === undefined ? '' : 'yes'}`,
    `crl=${(extensions.crlDistributionPoints ?? []).length}`,
    `aia=${(extensions.authorityInfoAccess ?? []).length}`,
    ...(extensions.ocspNoCheck === true ? ['nocheck'] : []),
  ]
  return parts.join(' ')
}

describe('what profiles write', () => {
  test.each<[ProfileName, string]>([
    ['mesh-root', 'ca=true! ku=digitalSignature+keyCertSign+cRLSign! eku= san= nc= cp=0 iap= aki= crl=0 aia=0'],
    ['artifact-root', 'ca=true! ku=keyCertSign+cRLSign! eku= san= nc= cp=0 iap= aki= crl=0 aia=0'],
    ['evidence-root', 'ca=true! ku=keyCertSign+cRLSign! eku= san= nc= cp=0 iap= aki= crl=0 aia=0'],
    ['services-ca', 'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.1+kp.2 san= nc=yes! cp=5 iap=0! aki=yes crl=1 aia=2'],
    ['external-ca', 'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.1+kp.2 san= nc=yes! cp=5 iap=0! aki=yes crl=1 aia=2'],
    ['admin-ca', 'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.2 san= nc=yes! cp=0 iap=0! aki=yes crl=1 aia=2'],
    [
      'control-ca',
      'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.1+kp.2+.1+.2+.3+.4+.5+.6 san= nc=yes! cp=0 iap=0! aki=yes crl=1 aia=2',
    ],
    ['code-signing-ca', 'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.3 san= nc= cp=0 iap=0! aki=yes crl=1 aia=0'],
    ['tsa-ca', 'ca=true,0! ku=keyCertSign+cRLSign! eku=kp.8 san= nc= cp=0 iap=0! aki=yes crl=1 aia=1'],
    ['service', 'ca=false! ku=digitalSignature! eku=kp.1+kp.2 san=uri+dns+dns nc= cp=1 iap= aki=yes crl=1 aia=2'],
    ['admin', 'ca=false! ku=digitalSignature! eku=kp.2 san=uri nc= cp=0 iap= aki=yes crl=1 aia=2'],
    ['control-api', 'ca=false! ku=digitalSignature! eku=kp.1+kp.2+.2 san=uri+dns nc= cp=0 iap= aki=yes crl=1 aia=2'],
    ['broker', 'ca=false! ku=digitalSignature! eku=kp.1+.3 san=uri+dns nc= cp=0 iap= aki=yes crl=1 aia=2'],
    ['state-signer', 'ca=false! ku=digitalSignature! eku=.1! san= nc= cp=0 iap= aki=yes crl=1 aia=2'],
    ['ocsp-responder', 'ca=false! ku=digitalSignature! eku=kp.9 san= nc= cp=0 iap= aki=yes crl=1 aia=1 nocheck'],
  ])('%s', (profile, text) => {
    expect(describeTbs(profile)).toBe(text)
  })

  test('every profile is in that list', () => {
    expect(ALL_PROFILES).toEqual(expect.arrayContaining(Object.keys(PROFILES)))
  })

  test.each(ALL_PROFILES)('ca-25 %s: the same input gives the same bytes, and no default is written', (profile) => {
    const { der } = buildTbs(profileInput(profile))
    expect(buildTbs(profileInput(profile)).der).toEqual(der)
    expect(() => decodeTbsCertificate(der)).not.toThrow()
  })

  test('ca-7 a leaf writes empty basicConstraints, a CA writes its path length of 0', () => {
    const value = (profile: ProfileName): string | undefined =>
      decodeTbsCertificate(buildTbs(profileInput(profile)).der)
        .extensions.all.find(({ oid }) => oid === OID.basicConstraints)
        ?.valueDer.toHex()
    expect(value('service')).toBe('3000')
    expect(value('services-ca')).toBe('30060101ff020100')
    expect(value('mesh-root')).toBe('30030101ff')
  })

  test('ca-13 the issuer is the raw subject of the CA, whatever its string types', () => {
    const subject = {
      der: Uint8Array.fromHex('300c310a300806035504031301 61'.replace(' ', '')),
      rdns: [new Uint8Array()],
      attributes: [],
    }
    const { der } = buildTbs(profileInput('service', { issuer: { ...issuer, subject } }))
    expect(decodeTbsCertificate(der).issuer.der).toEqual(subject.der)
  })

  test('ca-15 the authority key identifier is the one in the CA certificate, however it was computed', () => {
    const ca = mintCa({ slots: { subjectKeyId: Uint8Array.fromHex('300e0603551d0e04070405abcdef0123') } })
    const { der } = buildTbs(profileInput('service', { issuer: issuerOf(ca.certificate) }))
    expect(decodeTbsCertificate(der).extensions.authorityKeyId?.keyId?.toHex()).toBe('abcdef0123')
  })

  test('ca-16 2049 is UTCTime, 2050 GeneralizedTime', () => {
    const tbs = (notAfter: string): string =>
      Buffer.from(buildTbs(profileInput('mesh-root', { notAfter: new Date(notAfter) })).der).toString('latin1')
    expect(tbs('2049-12-31T23:59:59Z')).toContain('\x17\x0d491231235959Z')
    expect(tbs('2050-01-01T00:00:00Z')).toContain('\x18\x0f20500101000000Z')
  })

  test('ca-17 the last second of the issuer is allowed', () => {
    expect(() => buildTbs(profileInput('service', { notAfter: issuer.notAfter }))).not.toThrow()
  })

  test('an assembled certificate decodes to its TBS', () => {
    const key = testKey()
    const tbs = buildTbs(profileInput('mesh-root', { publicKey: key.publicKey }))
    const certificate = decodeCertificate(assembleCertificate(tbs, key.algorithm, key.signNow(tbs.der)))
    expect(certificate.tbsDer).toEqual(tbs.der)
    expect(certificate.serialHex).toBe(tbs.serialHex)
  })
})
