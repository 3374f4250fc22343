import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCertificate, decodeTbsCertificate } from './certificate.ts'
import { oid } from './der/oid.ts'
import { openDer, readRaw, readSequence } from './der/reader.ts'
import { TAG } from './der/tag.ts'
import {
  boolean,
  type Der,
  encodeDer,
  integer,
  NULL,
  octetString,
  primitive,
  sequence,
  utf8String,
} from './der/writer.ts'
import { encodeSigned } from './encode-certificate.ts'
import type { X509Failure } from './errors.ts'
import * as extension from './extension/encode.ts'
import { encodeName } from './name.ts'
import { OID } from './oid.ts'
import type { ProfileName } from './profile/table.ts'
import { buildTbs } from './profile/tbs.ts'
import { type Minted, mintCa, mintDer, mintLeaf, type Slots, testKey } from './testing/mint.ts'
import { ALL_PROFILES, profileInput } from './testing/profile-input.ts'
import { hex, refusalOf } from './testing/refusal.ts'

const key = testKey()
const root = mintCa()
const leaf = mintLeaf({ issuer: root, key })

/** The elements of the TBS of `leaf`: version, serial, algorithm, issuer, validity, subject, key, extensions. */
const parts = elementsOf(leaf.certificate.tbsDer)

function elementsOf(der: Uint8Array): Uint8Array[] {
  const reader = readSequence(openDer(der, der.length))
  const elements: Uint8Array[] = []
  while (reader.offset < reader.end) elements.push(readRaw(reader))
  return elements
}

/** `leaf` with elements of its TBS replaced; the signature does not matter to a decoder. */
function withParts(changes: Record<number, Der | undefined>, more: readonly Der[] = []): Uint8Array {
  const changed = parts.map((part, i) => (i in changes ? changes[i] : part))
  return encodeSigned(encodeDer(sequence(...changed, ...more)), 'ecdsa-sha256', new Uint8Array(70))
}

function withSlots(slots: Slots): Uint8Array {
  return mintDer({ issuer: root, key, slots }).der
}

function withExtension(oidText: string, value: string): Uint8Array {
  return withSlots({ only: extension.encodeExtension(oidText, false, hex(value)) })
}

const time = (text: string): Uint8Array => primitive(TAG.utcTime, new TextEncoder().encode(text))
const version = (n: string): Uint8Array => hex(`a003 0201 ${n}`)
const rawExtension = (...members: Der[]): Uint8Array => encodeDer(sequence(oid('1.2.3'), ...members))

const CASES: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
  { name: 'nothing', der: new Uint8Array(), fails: 'der_truncated' },
  { name: 'more than 16 KiB', der: new Uint8Array(16_385), fails: 'der_too_large' },
  { name: 'an octet after the end', der: new Uint8Array([...leaf.der, 0]), fails: 'der_trailing_bytes' },
  { name: 'PEM', der: new TextEncoder().encode('-----BEGIN CERTIFICATE-----'), fails: 'der_tag_unexpected' },
  { name: 'version 1 by absence', der: withParts({ 0: undefined }), fails: 'certificate_version' },
  { name: 'version 1 in writing', der: withParts({ 0: version('00') }), fails: 'der_default_explicit' },
  { name: 'version 2', der: withParts({ 0: version('01') }), fails: 'certificate_version' },
  { name: 'version 4', der: withParts({ 0: version('03') }), fails: 'der_integer_out_of_range' },
  { name: 'serial 0', der: withParts({ 1: hex('020100') }), fails: 'certificate_serial' },
  { name: 'a negative serial', der: withParts({ 1: hex('0201ff') }), fails: 'certificate_serial' },
  {
    name: 'a serial of 20 octets with its first bit set',
    der: withParts({ 1: integer(new Uint8Array(20).fill(0xff)) }),
    fails: 'certificate_serial',
  },
  {
    name: 'a serial of 21 octets',
    der: withParts({ 1: integer(new Uint8Array(21).fill(1)) }),
    fails: 'certificate_serial',
  },
  { name: 'a serial with superfluous zeros', der: withParts({ 1: hex('0202 0001') }), fails: 'der_integer_invalid' },
  {
    name: 'two signature algorithms',
    der: encodeSigned(leaf.certificate.tbsDer, 'ecdsa-sha384', new Uint8Array(70)),
    fails: 'certificate_algorithm_mismatch',
  },
  { name: 'SHA-1', der: withParts({ 2: hex('300906072a8648ce3d0401') }), fails: 'algorithm_unsupported' },
  { name: 'an issuer without a name', der: withParts({ 3: encodeName([]).der }), fails: 'certificate_issuer_empty' },
  {
    name: 'notAfter before notBefore',
    der: withParts({ 4: sequence(time('260102000000Z'), time('260101000000Z')) }),
    fails: 'certificate_validity_inverted',
  },
  { name: 'a validity of one time', der: withParts({ 4: sequence(time('260102000000Z')) }), fails: 'der_truncated' },
  {
    name: 'a validity of three times',
    der: withParts({ 4: sequence(time('260101000000Z'), time('260102000000Z'), time('260103000000Z')) }),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'a key beside its curve',
    der: withParts({ 6: flipLast(key.publicKey.spkiDer) }),
    fails: 'key_point_off_curve',
  },
  { name: 'an issuerUniqueID', der: withParts({ 7: primitive(0x81, hex('00ff')) }), fails: 'certificate_unique_id' },
  { name: 'a subjectUniqueID', der: withParts({ 7: primitive(0x82, hex('00ff')) }), fails: 'certificate_unique_id' },
  { name: 'no extension in the list', der: withParts({ 7: hex('a302 3000') }), fails: 'der_empty' },
  { name: 'something after the extensions', der: withParts({}, [NULL]), fails: 'der_trailing_bytes' },
  {
    name: 'critical FALSE in writing',
    der: withSlots({ x: rawExtension(boolean(false), octetString(NULL)) }),
    fails: 'der_default_explicit',
  },
  {
    name: 'critical 01',
    der: withSlots({ x: rawExtension(hex('010101'), octetString(NULL)) }),
    fails: 'der_boolean_invalid',
  },
  { name: 'an extension without a value', der: withSlots({ x: rawExtension() }), fails: 'der_truncated' },
  {
    name: 'an extension with two values',
    der: withSlots({ x: rawExtension(octetString(NULL), octetString(NULL)) }),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'an extension twice',
    der: withSlots({ a: rawExtension(octetString(NULL)), b: rawExtension(octetString(NULL)) }),
    fails: 'extension_duplicate',
  },
  {
    name: 'an extension twice, once critical',
    der: withSlots({
      a: extension.encodeKeyUsage(['digitalSignature']),
      b: extension.encodeExtension(OID.keyUsage, false, hex('03020780')),
    }),
    fails: 'extension_duplicate',
  },
  // basicConstraints
  {
    name: 'cA FALSE in writing',
    der: withExtension(OID.basicConstraints, '3003 010100'),
    fails: 'der_default_explicit',
  },
  {
    name: 'a path length without cA',
    der: withExtension(OID.basicConstraints, '3003 020100'),
    fails: 'extension_invalid',
  },
  {
    name: 'a negative path length',
    der: withExtension(OID.basicConstraints, '3006 0101ff 0201ff'),
    fails: 'der_integer_out_of_range',
  },
  {
    name: 'basicConstraints with a rest',
    der: withExtension(OID.basicConstraints, '3000 00'),
    fails: 'der_trailing_bytes',
  },
  { name: 'basicConstraints that are empty', der: withExtension(OID.basicConstraints, ''), fails: 'der_truncated' },
  // keyUsage and extKeyUsage
  { name: 'keyUsage without a bit', der: withExtension(OID.keyUsage, '0301 00'), fails: 'extension_invalid' },
  { name: 'keyUsage with padding', der: withExtension(OID.keyUsage, '0302 0080'), fails: 'der_bit_string_invalid' },
  {
    name: 'keyUsage with a tenth bit',
    der: withExtension(OID.keyUsage, '0303 068040'),
    fails: 'der_bit_string_invalid',
  },
  { name: 'extKeyUsage without a usage', der: withExtension(OID.extKeyUsage, '3000'), fails: 'der_empty' },
  {
    name: 'extKeyUsage with a repetition',
    der: withExtension(OID.extKeyUsage, '3008 06022a03 06022a03'),
    fails: 'extension_invalid',
  },
  // names
  { name: 'no name in subjectAltName', der: withExtension(OID.subjectAltName, '3000'), fails: 'der_empty' },
  {
    name: 'an address of 5 octets',
    der: withExtension(OID.subjectAltName, '3007 8705 0102030405'),
    fails: 'extension_invalid',
  },
  {
    name: 'an address as text',
    der: withExtension(OID.subjectAltName, '300b 8709 3132372e302e302e31'),
    fails: 'extension_invalid',
  },
  {
    name: 'UTF-8 in a DNS name',
    der: withExtension(OID.subjectAltName, '3004 8202 c3a4'),
    fails: 'der_string_invalid',
  },
  { name: 'a constructed URI', der: withExtension(OID.subjectAltName, '3004 a602 0400'), fails: 'der_tag_unexpected' },
  { name: 'a name with tag [9]', der: withExtension(OID.subjectAltName, '3003 8901 00'), fails: 'der_tag_unexpected' },
  {
    name: 'a directoryName with a rest',
    der: withExtension(OID.subjectAltName, '3006 a404 3000 0500'),
    fails: 'der_trailing_bytes',
  },
  // key identifiers
  {
    name: 'subjectKeyIdentifier as BIT STRING',
    der: withExtension(OID.subjectKeyId, '0302 0001'),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'an authority serial without its issuer',
    der: withExtension(OID.authorityKeyId, '3003 8201 01'),
    fails: 'extension_invalid',
  },
  {
    name: 'an authority issuer without its serial',
    der: withExtension(OID.authorityKeyId, '3005 a103 820161'),
    fails: 'extension_invalid',
  },
  {
    name: 'authority fields in another order',
    der: withExtension(OID.authorityKeyId, '300b a103 820161 8201 01 8001 00'),
    fails: 'der_trailing_bytes',
  },
  // name constraints
  {
    name: 'nameConstraints without a subtree',
    der: withExtension(OID.nameConstraints, '3000'),
    fails: 'extension_invalid',
  },
  { name: 'permitted subtrees without one', der: withExtension(OID.nameConstraints, '3002 a000'), fails: 'der_empty' },
  {
    name: 'a subtree with minimum 0 in writing',
    der: withExtension(OID.nameConstraints, '300a a008 3006 820161 800100'),
    fails: 'extension_invalid',
  },
  {
    name: 'a subtree with a maximum',
    der: withExtension(OID.nameConstraints, '300a a008 3006 820161 810101'),
    fails: 'extension_invalid',
  },
  {
    name: 'an address range of 4 octets',
    der: withExtension(OID.nameConstraints, '300a a008 3006 8704 7f000001'),
    fails: 'extension_invalid',
  },
  // policies
  { name: 'no policy in certificatePolicies', der: withExtension(OID.certificatePolicies, '3000'), fails: 'der_empty' },
  {
    name: 'a policy twice',
    der: withExtension(OID.certificatePolicies, '300c 3004 06022a03 3004 06022a03'),
    fails: 'extension_invalid',
  },
  {
    name: 'policy qualifiers of no form',
    der: withExtension(OID.certificatePolicies, '3008 3006 06022a03 0500'),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'policyConstraints without a member',
    der: withExtension(OID.policyConstraints, '3000'),
    fails: 'extension_invalid',
  },
  {
    name: 'inhibitAnyPolicy 256',
    der: withExtension(OID.inhibitAnyPolicy, '0202 0100'),
    fails: 'der_integer_out_of_range',
  },
  // status
  {
    name: 'a distribution point that names nothing',
    der: withExtension(OID.crlDistributionPoints, '3002 3000'),
    fails: 'extension_invalid',
  },
  {
    name: 'a distribution point of reasons alone',
    der: withExtension(OID.crlDistributionPoints, '3006 3004 81020640'),
    fails: 'extension_invalid',
  },
  {
    name: 'a distribution point name of no kind',
    der: withExtension(OID.crlDistributionPoints, '3006 3004 a002 8200'),
    fails: 'der_tag_unexpected',
  },
  { name: 'no access description', der: withExtension(OID.authorityInfoAccess, '3000'), fails: 'der_empty' },
  { name: 'ocspNoCheck with content', der: withExtension(OID.ocspNoCheck, '0501 00'), fails: 'der_trailing_bytes' },
]

function flipLast(octets: Uint8Array): Uint8Array {
  const copy = new Uint8Array(octets)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
}

describe('what is refused', () => {
  test.each(CASES)('$name', ({ der, fails }) => {
    expect(refusalOf(() => decodeCertificate(der))).toBe(fails)
  })
})

describe('what is read', () => {
  test('a certificate gives its fields', () => {
    const { certificate } = leaf
    expect(certificate.serialHex).toMatch(/^[0-9a-f]{40}$/)
    expect(certificate.issuer.der).toEqual(root.certificate.subject.der)
    expect(certificate.isSelfIssued).toBe(false)
    expect(root.certificate.isSelfIssued).toBe(true)
    expect(certificate.publicKey.spkiDer).toEqual(key.publicKey.spkiDer)
    expect(certificate.extensions.critical).toEqual(new Set([OID.basicConstraints, OID.keyUsage]))
    expect([...(certificate.extensions.keyUsage ?? [])]).toEqual(['digitalSignature'])
  })

  test('a serial with its first bit set loses its sign octet', () => {
    expect(decodeCertificate(withParts({ 1: integer(hex('ff01')) })).serialHex).toBe('ff01')
  })

  test('ca-2 a serial comes back in the one text it was written from', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 159n - 1n }), (serial) => {
        const digits = serial.toString(16)
        const text = digits.length % 2 === 0 ? digits : `0${digits}`
        const { der } = mintDer({ serial: Uint8Array.fromHex(text) })
        expect(decodeCertificate(der).serialHex).toBe(text)
      }),
    )
  })

  test('an unknown extension is kept with its critical flag', () => {
    const { extensions } = decodeCertificate(
      withSlots({ x: rawExtension(boolean(true), octetString(utf8String('?'))) }),
    )
    expect(extensions.all).toEqual([{ oid: '1.2.3', critical: true, valueDer: utf8String('?') }])
    expect(extensions.critical.has('1.2.3')).toBe(true)
  })

  test('no extension at all', () => {
    expect(decodeCertificate(withParts({ 7: undefined })).extensions.all).toEqual([])
  })

  test('a certificate does not change with the buffer it came from', () => {
    const buffer = Buffer.from(leaf.der)
    const certificate = decodeCertificate(buffer)
    buffer.fill(0)
    expect(certificate.der).toEqual(leaf.der)
    expect(certificate.subject.der).toEqual(leaf.certificate.subject.der)
  })
})

describe('fuzz: bytes are refused or read, nothing else', () => {
  const sample = (profile: ProfileName): Uint8Array =>
    encodeSigned(buildTbs(profileInput(profile)).der, 'ecdsa-sha256', new Uint8Array(70))
  const originals: readonly Uint8Array[] = [...ALL_PROFILES.map(sample), rich(root).der]

  test('every truncation is refused', () => {
    for (const original of originals) {
      for (let length = 0; length < original.length; length++) {
        expect(refusalOf(() => decodeCertificate(original.subarray(0, length)))).toBeDefined()
      }
    }
  })

  test('every single bit of a leaf, a CA and a certificate with everything', () => {
    const samples = [...(['service', 'services-ca'] as const).map(sample), rich(root).der]
    for (const original of samples) {
      const copy = new Uint8Array(original)
      for (let bit = 0; bit < copy.length * 8; bit++) {
        const mask = 0x80 >> (bit & 7)
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
        refusalOf(() => decodeCertificate(copy))
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
      }
    }
  })

  test('octets inserted, removed and replaced at random', () => {
    const edit = fc.record({ at: fc.nat(2000), remove: fc.nat(6), insert: fc.uint8Array({ maxLength: 6 }) })
    fc.assert(
      fc.property(fc.constantFrom(...originals), fc.array(edit, { minLength: 1, maxLength: 4 }), (original, edits) => {
        let octets = [...original]
        for (const { at, remove, insert } of edits) octets = octets.toSpliced(at % octets.length, remove, ...insert)
        refusalOf(() => decodeCertificate(new Uint8Array(octets)))
      }),
      { numRuns: 2000 },
    )
  })

  test('noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        expect(refusalOf(() => decodeCertificate(noise))).toBeDefined()
        expect(refusalOf(() => decodeTbsCertificate(noise))).toBeDefined()
      }),
    )
  })
})

/** A certificate with every extension that is decoded. */
function rich(issuer: Minted): Minted {
  const ext = extension.encodeExtension
  return mintLeaf({
    issuer,
    slots: {
      subjectAltName: extension.encodeSubjectAltName(
        [
          { type: 'uri', value: 'spiffe://a/b' },
          { type: 'dns', value: 'a.b' },
          { type: 'email', value: 'a@b' },
          { type: 'ip', octets: new Uint8Array(16) },
          { type: 'directory', name: issuer.certificate.subject },
          { type: 'other', tag: 0x88, der: hex('8802 2a03') },
        ],
        false,
      ),
      constraints: ext(OID.nameConstraints, true, hex('3013 a007 3005 8203612e62 a108 3006 860461626364')),
      policies: ext(OID.certificatePolicies, false, hex('300c 3004 06022a03 3004 06022a04')),
      policyConstraints: ext(OID.policyConstraints, true, hex('3006 800100 810101')),
      inhibit: extension.encodeInhibitAnyPolicy(0),
      crl: extension.encodeCrlDistributionPoint('http://a/b.crl'),
      freshest: ext(OID.freshestCrl, false, hex('300d 300b a009 a007 8605 687474703a')),
      info: extension.encodeAuthorityInfoAccess({ ocspUrl: 'http://a', caIssuersUrl: 'http://b' }),
      noCheck: ext(OID.ocspNoCheck, false, NULL),
      authority: extension.encodeAuthorityKeyId(new Uint8Array(20)),
      subject: extension.encodeSubjectKeyId(new Uint8Array(20)),
    },
  })
}
