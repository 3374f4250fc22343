import { describe, expect, test } from 'vitest'
import { encodeAlgorithm, type SignatureAlgorithmName } from '../algorithm.ts'
import { decodeTbsCertificate } from '../certificate.ts'
import { oid, readOid } from '../der/oid.ts'
import { type DerReader, openDer, readSequence } from '../der/reader.ts'
import { contextConstructed, TAG } from '../der/tag.ts'
import { asciiString, constructed, encodeDer, integer, octetString, primitive, sequence, setOf } from '../der/writer.ts'
import { encodeTbsFields } from '../encode-certificate.ts'
import * as extension from '../extension/encode.ts'
import type { NameConstraints } from '../extension/model.ts'
import { encodeGeneralName } from '../general-name.ts'
import { encodeName, type Name } from '../name.ts'
import { classOid, DEFAULT_OID_ARC, OID } from '../oid.ts'
import type { ProfileName } from '../profile/table.ts'
import { buildTbs, meshNameConstraints } from '../profile/tbs.ts'
import type { PublicKey } from '../public-key.ts'
import { replaceElement } from '../testing/edit.ts'
import { mintCa, type Slots, testKey, UNTIL } from '../testing/mint.ts'
import { ALL_PROFILES, profileInput } from '../testing/profile-input.ts'
import { hex } from '../testing/refusal.ts'
import { LINT_RULES, lintFindings, lintTbs } from './lint.ts'
import type { LintCode } from './rule.ts'

interface Fault {
  readonly serial?: string
  readonly algorithm?: SignatureAlgorithmName
  readonly issuer?: Name
  readonly subject?: Name
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly slots?: Slots
  readonly key?: PublicKey
  /** An element of the finished bytes, in hex, and what stands in its place. */
  readonly edit?: readonly [from: string, to: string]
  readonly der?: Uint8Array
  /** Extended key usages of the issuer. */
  readonly issuerUsages?: readonly string[]
}

/** What lint finds in the TBS of a profile with one fault, as a builder with a bug would write it. */
function codesOf(profile: ProfileName, fault: Fault): readonly LintCode[] {
  const tbs = buildTbs(profileInput(profile))
  const original = Object.fromEntries(
    decoded(profile).map(({ oid: type, critical, valueDer }) => [
      type,
      extension.encodeExtension(type, critical, valueDer),
    ]),
  )
  const slots: Slots = { ...original, ...keyIdOf(fault.key), ...fault.slots }
  const written =
    fault.der ??
    encodeTbsFields({
      serial: Uint8Array.fromHex(fault.serial ?? tbs.serialHex),
      algorithm: fault.algorithm ?? tbs.algorithm,
      issuer: fault.issuer ?? tbs.issuer.subject,
      subject: fault.subject ?? tbs.subject,
      notBefore: fault.notBefore ?? tbs.notBefore,
      notAfter: fault.notAfter ?? tbs.notAfter,
      spkiDer: (fault.key ?? tbs.publicKey).spkiDer,
      extensions: Object.values(slots).filter((slot) => slot !== undefined),
    })
  const der = fault.edit === undefined ? written : replaceElement(written, hex(fault.edit[0]), hex(fault.edit[1]))
  const issuer = fault.issuerUsages === undefined ? tbs.issuer : { ...tbs.issuer, extKeyUsage: fault.issuerUsages }
  return lintFindings({ ...tbs, der, issuer }).map(({ code }) => code)
}

function keyIdOf(key: PublicKey | undefined): Slots {
  return key === undefined ? {} : { [OID.subjectKeyId]: extension.encodeSubjectKeyId(key.subjectKeyId) }
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
const sanOf = (name: Uint8Array): Slots => ({
  [OID.subjectAltName]: extension.encodeExtension(
    OID.subjectAltName,
    false,
    sequence(encodeGeneralName({ type: 'uri', value: SERVICE_URI[1] }), primitive(0x82, hex('612e62')), name),
  ),
})
const asCritical = (type: string, profile: ProfileName, critical: boolean): Slots => {
  const valueDer = decoded(profile).find((one) => one.oid === type)?.valueDer ?? new Uint8Array()
  return { [type]: extension.encodeExtension(type, critical, valueDer) }
}

/** Elements of the TBS of a service, in hex. */
const SERIAL = '4a0102030405060708090a0b0c0d0e0f10111213'
const ECDSA = '300a06082a8648ce3d040302'
const UTC_TIME = '170d3236303130313030303030305a'
const KEY_USAGE = '300e0603551d0f0101ff040403020780'
const SPKI = profileInput('service').publicKey.spkiDer.toHex()

const without = (type: string) => (names: NameConstraints['permitted']) => names.filter((name) => name.type !== type)

const CASES: readonly { name: string; profile: ProfileName; fault: Fault; fails: LintCode }[] = [
  { name: 'no DER', profile: 'service', fault: { der: hex('3080') }, fails: 'lint_encoding' },
  {
    name: 'ca-5 cA FALSE in writing',
    profile: 'service',
    fault: {
      slots: { [OID.basicConstraints]: extension.encodeExtension(OID.basicConstraints, true, hex('3003010100')) },
    },
    fails: 'lint_default',
  },
  {
    name: 'ca-23 an extension twice',
    profile: 'service',
    fault: { slots: { more: extension.encodeKeyUsage(['digitalSignature']) } },
    fails: 'lint_extension_set',
  },
  { name: 'ca-1 a serial of 19 octets', profile: 'service', fault: { serial: '01'.repeat(19) }, fails: 'lint_serial' },
  {
    name: 'ca-1 a serial that a leading zero shortened',
    profile: 'service',
    fault: { serial: `00${'01'.repeat(19)}` },
    fails: 'lint_serial',
  },
  {
    name: 'ca-19 PKCS #1 padding',
    profile: 'service',
    fault: { algorithm: 'rsa-pkcs1-sha256' },
    fails: 'lint_algorithm',
  },
  {
    name: 'ca-18 another hash than the issuer uses',
    profile: 'service',
    fault: { algorithm: 'ecdsa-sha384' },
    fails: 'lint_algorithm',
  },
  {
    name: 'ca-13 an issuer in another string type',
    profile: 'service',
    fault: { issuer: printable('VCC Issuing CA') },
    fails: 'lint_issuer',
  },
  {
    name: 'ca-13 a CA that names itself as issuer',
    profile: 'services-ca',
    fault: { subject: buildTbs(profileInput('services-ca')).issuer.subject },
    fails: 'lint_issuer',
  },
  {
    name: 'ca-17 a leaf that outlives its issuer',
    profile: 'service',
    fault: { notAfter: new Date(UNTIL.getTime() + 1000) },
    fails: 'lint_validity',
  },
  {
    name: 'ca-17 a leaf of two years',
    profile: 'service',
    fault: { notBefore: new Date('2024-01-01T00:00:00Z') },
    fails: 'lint_validity',
  },
  {
    name: 'ca-10 no CN',
    profile: 'service',
    fault: { subject: encodeName([{ type: 'O', value: 'a' }]) },
    fails: 'lint_subject',
  },
  {
    name: 'ca-10 a CN of another profile',
    profile: 'service',
    fault: { subject: cn('control') },
    fails: 'lint_subject',
  },
  {
    name: 'ca-10 an address as CN',
    profile: 'services-ca',
    fault: { subject: cn('127.0.0.1') },
    fails: 'lint_subject',
  },
  {
    name: 'ca-10 an IPv6 address as CN',
    profile: 'services-ca',
    fault: { subject: cn('fe80::1') },
    fails: 'lint_subject',
  },
  {
    name: 'ca-14 a CN as IA5String',
    profile: 'service',
    fault: { subject: ia5('abcdefgh01234567') },
    fails: 'lint_name_encoding',
  },
  {
    name: 'ca-23 an extension of no profile',
    profile: 'service',
    fault: { slots: { more: extension.encodeExtension('1.2.3', false, octetString(new Uint8Array())) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'ca-10 a critical subjectAltName beside a CN',
    profile: 'service',
    fault: { slots: asCritical(OID.subjectAltName, 'service', true) },
    fails: 'lint_extension_set',
  },
  {
    name: 'ca-8 keyUsage that is not critical',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: extension.encodeExtension(OID.keyUsage, false, hex('03020780')) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'ca-9 a state signer whose usage is not critical',
    profile: 'state-signer',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([`${arc}.3.1`], false) } },
    fails: 'lint_extension_set',
  },
  {
    name: 'ca-51 nocheck on what is no responder',
    profile: 'service',
    fault: { slots: { more: extension.encodeOcspNoCheck() } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-51 a responder without nocheck',
    profile: 'ocsp-responder',
    fault: { slots: { [OID.ocspNoCheck]: undefined } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-51 a responder for more than OCSP signing',
    profile: 'ocsp-responder',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.ocspSigning, OID.clientAuth], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-7 a leaf with the CA bit',
    profile: 'service',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'ca-7 a CA that lost its path length of 0',
    profile: 'services-ca',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'ca-7 a root with a path length',
    profile: 'mesh-root',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: true, pathLength: 1 }) } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'ca-7 no basicConstraints',
    profile: 'service',
    fault: { slots: { [OID.basicConstraints]: undefined } },
    fails: 'lint_basic_constraints',
  },
  {
    name: 'ca-8 keyEncipherment on an EC key',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: extension.encodeKeyUsage(['digitalSignature', 'keyEncipherment']) } },
    fails: 'lint_key_usage',
  },
  {
    name: 'ca-8 a CA that cannot sign CRLs',
    profile: 'services-ca',
    fault: { slots: { [OID.keyUsage]: extension.encodeKeyUsage(['keyCertSign']) } },
    fails: 'lint_key_usage',
  },
  {
    name: 'ca-8 no keyUsage',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: undefined } },
    fails: 'lint_key_usage',
  },
  {
    name: 'ca-9 OCSPSigning on a CA',
    profile: 'services-ca',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth, OID.ocspSigning], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-9 anyExtendedKeyUsage on a CA',
    profile: 'services-ca',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.anyExtKeyUsage], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-9 an extended key usage on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth], false) } },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-9 the usage for state on a service',
    profile: 'service',
    fault: {
      slots: { [OID.extKeyUsage]: extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth, `${arc}.3.1`], false) },
    },
    fails: 'lint_ext_key_usage',
  },
  {
    name: 'ca-15 a key identifier over the whole SPKI',
    profile: 'service',
    fault: { slots: { [OID.subjectKeyId]: extension.encodeSubjectKeyId(new Uint8Array(20)) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'ca-15 an authority key identifier of another key',
    profile: 'service',
    fault: { slots: { [OID.authorityKeyId]: extension.encodeAuthorityKeyId(testKey().publicKey.subjectKeyId) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'ca-15 no authority key identifier',
    profile: 'service',
    fault: { slots: { [OID.authorityKeyId]: undefined } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'ca-15 an authority key identifier on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.authorityKeyId]: extension.encodeAuthorityKeyId(new Uint8Array(20)) } },
    fails: 'lint_key_identifiers',
  },
  {
    name: 'ca-15 an authority key identifier with issuer and serial',
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
    name: 'ca-10 no subjectAltName',
    profile: 'service',
    fault: { slots: { [OID.subjectAltName]: undefined } },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 two URIs',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, SERVICE_URI) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 an e-mail address',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['email', 'a@b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 a wildcard',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', '*.vcc.internal']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 a trailing dot',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', 'a.b.']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 a DNS name twice',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', 'a.b'], ['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  { name: 'ca-11 no DNS name', profile: 'service', fault: { slots: san(SERVICE_URI) }, fails: 'lint_subject_alt_name' },
  {
    name: 'ca-11 a URI of another profile',
    profile: 'service',
    fault: { slots: san(['uri', 'spiffe://vcc.internal/control'], ['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 a name on a CA',
    profile: 'services-ca',
    fault: { slots: san(['dns', 'a.b']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-21 a mesh CA without name constraints',
    profile: 'services-ca',
    fault: { slots: { [OID.nameConstraints]: undefined } },
    fails: 'lint_name_constraints',
  },
  {
    name: 'ca-21 name constraints on a leaf',
    profile: 'service',
    fault: { slots: constraints((both) => both) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'ca-21 only IPv4 is excluded',
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
    name: 'ca-21 e-mail is only permitted',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, excluded: without('email')(both.excluded) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'ca-21 e-mail is not permitted and so not limited',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, permitted: without('email')(both.permitted) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'ca-21 URIs without limit',
    profile: 'services-ca',
    fault: { slots: constraints((both) => ({ ...both, permitted: without('uri')(both.permitted) })) },
    fails: 'lint_name_constraints',
  },
  {
    name: 'ca-21 a permitted domain with a dot in front',
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
    name: 'ca-22 no CRL',
    profile: 'service',
    fault: { slots: { [OID.crlDistributionPoints]: undefined } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-22 a CRL by https',
    profile: 'service',
    fault: { slots: { [OID.crlDistributionPoints]: extension.encodeCrlDistributionPoint('https://a/b') } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-22 no OCSP',
    profile: 'service',
    fault: { slots: { [OID.authorityInfoAccess]: extension.encodeAuthorityInfoAccess({ caIssuersUrl: 'http://a' }) } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-22 OCSP on a code signing CA',
    profile: 'code-signing-ca',
    fault: { slots: { [OID.authorityInfoAccess]: extension.encodeAuthorityInfoAccess({ ocspUrl: 'http://a' }) } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-22 a CRL on a root',
    profile: 'mesh-root',
    fault: { slots: { [OID.crlDistributionPoints]: extension.encodeCrlDistributionPoint('http://a/b') } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-1 a serial of 21 octets',
    profile: 'service',
    fault: { serial: `80${'01'.repeat(19)}` },
    fails: 'lint_serial',
  },
  { name: 'ca-1 a serial of 0', profile: 'service', fault: { serial: '00' }, fails: 'lint_serial' },
  {
    name: 'ca-1 a negative serial',
    profile: 'service',
    fault: { edit: [`0214${SERIAL}`, `0214c${SERIAL.slice(1)}`] },
    fails: 'lint_serial',
  },
  {
    name: 'ca-4 an INTEGER with a superfluous octet',
    profile: 'services-ca',
    fault: {
      slots: { [OID.inhibitAnyPolicy]: extension.encodeExtension(OID.inhibitAnyPolicy, true, hex('02020000')) },
    },
    fails: 'lint_integer',
  },
  {
    name: 'ca-4 a serial with a superfluous octet',
    profile: 'service',
    fault: { edit: [`0214${SERIAL}`, `021500${SERIAL}`] },
    fails: 'lint_integer',
  },
  {
    name: 'ca-5 critical FALSE in writing',
    profile: 'service',
    fault: { edit: [KEY_USAGE, KEY_USAGE.replace('0101ff', '010100')] },
    fails: 'lint_default',
  },
  {
    name: 'ca-6 BOOLEAN TRUE as 01',
    profile: 'service',
    fault: { edit: [KEY_USAGE, KEY_USAGE.replace('0101ff', '010101')] },
    fails: 'lint_boolean',
  },
  {
    name: 'ca-6 cA TRUE as 01',
    profile: 'services-ca',
    fault: {
      slots: { [OID.basicConstraints]: extension.encodeExtension(OID.basicConstraints, true, hex('3006010101020100')) },
    },
    fails: 'lint_boolean',
  },
  {
    name: 'ca-7 a path length on a leaf',
    profile: 'service',
    fault: { slots: { [OID.basicConstraints]: extension.encodeBasicConstraints({ isCa: false, pathLength: 0 }) } },
    fails: 'lint_encoding',
  },
  {
    name: 'ca-8 a key usage with trailing zero bits',
    profile: 'service',
    fault: { slots: { [OID.keyUsage]: extension.encodeExtension(OID.keyUsage, true, hex('03020080')) } },
    fails: 'lint_encoding',
  },
  {
    name: 'ca-9 a usage that the issuer does not have',
    profile: 'service',
    fault: { issuerUsages: [OID.clientAuth] },
    fails: 'lint_ext_key_usage',
  },
  { name: 'ca-10 no subject', profile: 'service', fault: { subject: encodeName([]) }, fails: 'lint_subject' },
  {
    name: 'ca-10 a CN of 65 characters',
    profile: 'services-ca',
    fault: { subject: attribute(TAG.utf8String, 'a'.repeat(65)) },
    fails: 'lint_subject',
  },
  {
    name: 'ca-10 an attribute of no profile',
    profile: 'services-ca',
    fault: {
      subject: encodeName([
        { type: 'serialNumber', value: '1' },
        { type: 'CN', value: 'a' },
      ]),
    },
    fails: 'lint_subject',
  },
  {
    name: 'ca-10 two CNs',
    profile: 'services-ca',
    fault: { subject: joined(cn('a'), cn('b')) },
    fails: 'lint_subject',
  },
  {
    name: 'ca-11 an address in text',
    profile: 'service',
    fault: { slots: sanOf(primitive(0x87, new TextEncoder().encode('127.0.0.1'))) },
    fails: 'lint_encoding',
  },
  {
    name: 'ca-11 an address',
    profile: 'service',
    fault: { slots: sanOf(primitive(0x87, hex('7f000001'))) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 UTF-8 in a DNS name',
    profile: 'service',
    fault: { slots: sanOf(primitive(0x82, new TextEncoder().encode('münchen.vcc.internal'))) },
    fails: 'lint_encoding',
  },
  {
    name: 'ca-11 a DNS name in capitals',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', 'Argus.vcc.internal']) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-11 a label of 64 characters',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ['dns', `${'a'.repeat(64)}.vcc.internal`]) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-14 a country of three letters',
    profile: 'services-ca',
    fault: { subject: country('DEU') },
    fails: 'lint_name_encoding',
  },
  {
    name: 'ca-14 a country as UTF8String',
    profile: 'services-ca',
    fault: { subject: country('DE', TAG.utf8String) },
    fails: 'lint_name_encoding',
  },
  {
    name: 'ca-14 a CN as T61String',
    profile: 'services-ca',
    fault: { subject: attribute(TAG.teletexString, 'a') },
    fails: 'lint_name_encoding',
  },
  {
    name: 'ca-16 a time with a fraction',
    profile: 'service',
    fault: { edit: [UTC_TIME, '170f32363031303130303030302e305a'] },
    fails: 'lint_time',
  },
  {
    name: 'ca-16 a time without seconds',
    profile: 'service',
    fault: { edit: [UTC_TIME, '170b323630313031303030305a'] },
    fails: 'lint_time',
  },
  {
    name: 'ca-16 a year before 2050 as GeneralizedTime',
    profile: 'service',
    fault: { edit: [UTC_TIME, '180f32303236303130313030303030305a'] },
    fails: 'lint_time',
  },
  {
    name: 'ca-17 an end before its beginning',
    profile: 'service',
    fault: { notBefore: UNTIL, notAfter: new Date(UNTIL.getTime() - 1000) },
    fails: 'lint_validity',
  },
  {
    name: 'ca-18 ECDSA with NULL',
    profile: 'service',
    fault: { edit: [ECDSA, '300c06082a8648ce3d0403020500'] },
    fails: 'lint_algorithm',
  },
  {
    name: 'ca-19 PSS with SHA-1, its default',
    profile: 'service',
    fault: { edit: [ECDSA, '300d06092a864886f70d01010a3000'] },
    fails: 'lint_algorithm',
  },
  {
    name: 'ca-19 PSS with its trailer in writing',
    profile: 'service',
    fault: { edit: [ECDSA, pssWithTrailer()] },
    fails: 'lint_algorithm',
  },
  {
    name: 'ca-21 an address range of 4 octets',
    profile: 'services-ca',
    fault: {
      slots: constraints((both) => ({
        ...both,
        excluded: [...both.excluded, { type: 'ip', octets: new Uint8Array(4) }],
      })),
    },
    fails: 'lint_encoding',
  },
  {
    name: 'ca-21 name constraints that are not critical',
    profile: 'services-ca',
    fault: { slots: asCritical(OID.nameConstraints, 'services-ca', false) },
    fails: 'lint_extension_set',
  },
  {
    name: 'ca-22 a CRL with no host',
    profile: 'service',
    fault: { slots: { [OID.crlDistributionPoints]: extension.encodeCrlDistributionPoint('http://') } },
    fails: 'lint_status_urls',
  },
  {
    name: 'ca-24 more octets than are signed',
    profile: 'services-ca',
    fault: {
      slots: {
        [OID.certificatePolicies]: extension.encodeCertificatePolicies(
          Array.from({ length: 700 }, (_, i) => classOid(arc, i + 1)),
        ),
      },
    },
    fails: 'lint_size',
  },
  {
    name: 'ca-24 more octets than are read',
    profile: 'services-ca',
    fault: { slots: { more: extension.encodeExtension('1.2.3', false, octetString(new Uint8Array(20_000))) } },
    fails: 'lint_size',
  },
  {
    name: 'ca-24 17 DNS names',
    profile: 'service',
    fault: { slots: san(SERVICE_URI, ...Array.from({ length: 17 }, (_, i) => ['dns', `a${i}.b`] as const)) },
    fails: 'lint_subject_alt_name',
  },
  {
    name: 'ca-26 a key on P-521',
    profile: 'service',
    fault: { key: testKey('P-521').publicKey },
    fails: 'lint_key',
  },
  {
    name: 'ca-26 a key beside its curve',
    profile: 'service',
    fault: {
      edit: [SPKI, SPKI.slice(0, -2) + (Number.parseInt(SPKI.slice(-2), 16) ^ 1).toString(16).padStart(2, '0')],
    },
    fails: 'lint_key',
  },
]

function attribute(tag: number, value: string, type: string = OID.commonName): Name {
  const rdn = encodeDer(setOf(sequence(oid(type), asciiString(tag, value))))
  return { der: encodeDer(sequence(rdn)), rdns: [rdn], attributes: [{ oid: type, value }] }
}

function joined(...names: readonly Name[]): Name {
  const rdns = names.flatMap((name) => name.rdns)
  return { der: encodeDer(sequence(...rdns)), rdns, attributes: names.flatMap((name) => name.attributes) }
}

function country(value: string, tag: number = TAG.printableString): Name {
  return joined(attribute(tag, value, OID.country), cn('a'))
}

function printable(value: string): Name {
  return attribute(TAG.printableString, value)
}

function ia5(value: string): Name {
  return attribute(TAG.ia5String, value)
}

/** RSASSA-PSS-params of SHA-384 with `trailerField`, which is the default, written out. */
function pssWithTrailer(): string {
  const parameters = readSequence(readAfterOid(openDer(encodeAlgorithm('rsa-pss-sha384'), 128)))
  const fields = parameters.bytes.subarray(parameters.offset, parameters.end)
  return encodeDer(sequence(oid(OID.rsaPss), sequence(fields, constructed(contextConstructed(3), integer(1))))).toHex()
}

function readAfterOid(reader: DerReader): DerReader {
  const fields = readSequence(reader)
  readOid(fields)
  return fields
}

describe('lint', () => {
  test.each(CASES)('$name', ({ profile, fault, fails }) => {
    expect(codesOf(profile, fault)).toEqual([fails])
  })

  test.each(ALL_PROFILES)('%s passes as it is built', (profile) => {
    expect(() => lintTbs(buildTbs(profileInput(profile)))).not.toThrow()
    expect(codesOf(profile, {})).toEqual([])
  })

  test('every rule has a case', () => {
    const seen = new Set(CASES.map(({ fails }) => fails))
    expect(LINT_RULES.map(({ code }) => code).filter((code) => !seen.has(code))).toEqual([])
  })

  test('every row of a rule has a case that breaks this rule', () => {
    const seen = new Set(CASES.map(({ name, fails }) => `${fails} ${/^ca-(\d+) /.exec(name)?.[1]}`))
    const wanted = LINT_RULES.flatMap(({ code, rows }) => rows.map((row) => `${code} ${row}`))
    expect(wanted.filter((pair) => !seen.has(pair))).toEqual([])
  })

  test('what is thrown is the first finding, and why the bytes could not be read', () => {
    const tbs = buildTbs(profileInput('service'))
    const broken = { ...tbs, der: hex('3080') }
    expect(() => lintTbs(broken)).toThrow(
      expect.objectContaining({
        code: 'lint_encoding',
        cause: expect.objectContaining({ code: 'der_length_indefinite' }),
      }),
    )
  })

  test('ca-15 an issuer of another key is refused even if its name fits', () => {
    const tbs = buildTbs(profileInput('service'))
    const other = mintCa({ name: 'VCC Issuing CA' })
    const issuer = { ...tbs.issuer, subjectKeyId: other.key.publicKey.subjectKeyId }
    expect(lintFindings({ ...tbs, issuer }).map(({ code }) => code)).toEqual(['lint_key_identifiers'])
  })
})
