import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { oid } from '../der/oid.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import {
  bitString,
  boolean,
  constructed,
  type Der,
  encodeDer,
  integer,
  NULL,
  octetString,
  primitive,
  sequence,
  utf8String,
} from '../der/writer.ts'
import type { X509Failure } from '../errors.ts'
import { encodeExtension } from '../extension/encode.ts'
import { OID } from '../oid.ts'
import type { PathOptions } from '../path/validate.ts'
import { AT, type Minted, mintCa, mintLeaf } from '../testing/mint.ts'
import { refusalOf } from '../testing/refusal.ts'
import { encodeCertId, isCertIdOf, issuerHashes } from './cert-id.ts'
import { decodeOcspRequest, encodeOcspRequest } from './request.ts'
import { verifyOcspRequestor } from './verify-requestor.ts'

const ca = mintCa()
const leaf = mintLeaf({ issuer: ca })
const { serialHex } = leaf.certificate
const certIdDer = encodeCertId(ca.certificate, serialHex)
const nonce = new Uint8Array(32).fill(7)

const requestOf = (...tbs: (Der | undefined)[]): Uint8Array => encodeDer(sequence(sequence(...tbs)))
const listOf = (...certIds: Der[]): Der => sequence(...certIds.map((each) => sequence(each)))
const withExtensions = (...extensions: Der[]): Uint8Array =>
  requestOf(listOf(certIdDer), constructed(contextConstructed(2), sequence(...extensions)))
const withCertId = (...members: Der[]): Uint8Array => requestOf(listOf(sequence(...members)))
const version = (n: number): Der => constructed(contextConstructed(0), integer(n))
const sha256 = (...parameters: Der[]): Der => sequence(oid(OID.sha256), ...parameters)
const hashOf = (octets: number): Der => octetString(new Uint8Array(octets))
const nonceExtension = (value: Der): Der => encodeExtension(OID.ocspNonce, false, value)
const signature = (...more: Der[]): Der =>
  constructed(
    contextConstructed(0),
    sequence(sequence(oid(OID.ecdsaWithSha256)), bitString(new Uint8Array(70)), ...more),
  )

const CASES: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
  { name: 'nothing', der: new Uint8Array(), fails: 'der_truncated' },
  { name: 'more than 10 000 octets', der: new Uint8Array(10_001), fails: 'der_too_large' },
  {
    name: 'an octet after the end',
    der: new Uint8Array([...requestOf(listOf(certIdDer)), 0]),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'something after the signature',
    der: encodeDer(sequence(sequence(listOf(certIdDer)), signature(), NULL)),
    fails: 'der_trailing_bytes',
  },
  { name: 'version 1 in writing', der: requestOf(version(0), listOf(certIdDer)), fails: 'der_default_explicit' },
  { name: 'version 2', der: requestOf(version(1), listOf(certIdDer)), fails: 'ocsp_request_version' },
  { name: 'no list', der: requestOf(), fails: 'der_truncated' },
  { name: 'a list of nothing', der: requestOf(sequence()), fails: 'der_empty' },
  {
    name: 'seventeen CertIDs',
    der: requestOf(listOf(...Array.from({ length: 17 }, () => certIdDer))),
    fails: 'ocsp_request_too_many',
  },
  {
    name: 'a CertID with more than four members',
    der: withCertId(sha256(), hashOf(32), hashOf(32), integer(1), NULL),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'a name hash that is too short',
    der: withCertId(sha256(), hashOf(20), hashOf(32), integer(1)),
    fails: 'ocsp_cert_id_invalid',
  },
  {
    name: 'a key hash that is too long',
    der: withCertId(sha256(), hashOf(32), hashOf(33), integer(1)),
    fails: 'ocsp_cert_id_invalid',
  },
  {
    name: 'a serial of 22 octets',
    der: withCertId(sha256(), hashOf(32), hashOf(32), integer(new Uint8Array(22).fill(1))),
    fails: 'ocsp_cert_id_invalid',
  },
  {
    name: 'a negative serial',
    der: withCertId(sha256(), hashOf(32), hashOf(32), primitive(TAG.integer, new Uint8Array([0xff]))),
    fails: 'ocsp_cert_id_invalid',
  },
  {
    name: 'a serial that is padded',
    der: withCertId(sha256(), hashOf(32), hashOf(32), primitive(TAG.integer, new Uint8Array([0, 1]))),
    fails: 'der_integer_invalid',
  },
  {
    name: 'a hash with other parameters',
    der: withCertId(sha256(integer(1)), hashOf(32), hashOf(32), integer(1)),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'a nonce of no octets',
    der: withExtensions(nonceExtension(octetString(new Uint8Array()))),
    fails: 'ocsp_nonce_invalid',
  },
  {
    name: 'a nonce of 129 octets',
    der: withExtensions(nonceExtension(octetString(new Uint8Array(129)))),
    fails: 'ocsp_nonce_invalid',
  },
  {
    name: 'a nonce that is no OCTET STRING',
    der: withExtensions(nonceExtension(utf8String('nonce'))),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'octets after the nonce',
    der: withExtensions(nonceExtension(new Uint8Array([4, 1, 7, 0]))),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'two nonces',
    der: withExtensions(nonceExtension(octetString(nonce)), nonceExtension(octetString(nonce))),
    fails: 'extension_duplicate',
  },
  {
    name: 'an unknown critical extension',
    der: withExtensions(encodeExtension('1.2.3', true, NULL)),
    fails: 'ocsp_extension_critical',
  },
  {
    name: 'an unknown critical extension of one CertID',
    der: requestOf(
      sequence(sequence(certIdDer, constructed(contextConstructed(0), sequence(encodeExtension('1.2.3', true, NULL))))),
    ),
    fails: 'ocsp_extension_critical',
  },
  { name: 'no extension in the list of extensions', der: withExtensions(), fails: 'der_empty' },
  {
    name: 'a signature that is none',
    der: encodeDer(sequence(sequence(listOf(certIdDer)), constructed(contextConstructed(0), sequence(NULL)))),
    fails: 'der_tag_unexpected',
  },
  { name: 'BER: an indefinite length', der: new Uint8Array([0x30, 0x80, 0, 0]), fails: 'der_length_indefinite' },
]

describe('a request is refused:', () => {
  test.each(CASES)('$name', ({ der, fails }) => {
    expect(refusalOf(() => decodeOcspRequest(der))).toBe(fails)
  })
})

describe('a request is read:', () => {
  test('what we write, with and without nonce', () => {
    const plain = decodeOcspRequest(encodeOcspRequest([certIdDer]))
    expect(plain).toMatchObject({ nonce: undefined, signature: undefined })
    expect(plain.certIds).toHaveLength(1)
    expect(plain.certIds[0].serialHex).toBe(serialHex)
    expect(plain.certIds[0].der).toEqual(certIdDer)
    expect(decodeOcspRequest(encodeOcspRequest([certIdDer], nonce)).nonce).toEqual(nonce)
  })

  test.each([1, 16, 128])('a nonce of %i octets', (octets) => {
    const der = encodeOcspRequest([certIdDer], new Uint8Array(octets))
    expect(decodeOcspRequest(der).nonce).toHaveLength(octets)
  })

  test('sixteen CertIDs', () => {
    const der = encodeOcspRequest(Array.from({ length: 16 }, () => certIdDer))
    expect(decodeOcspRequest(der).certIds).toHaveLength(16)
  })

  test('with a requestor, a signature and certificates, none of them looked into', () => {
    const requestor = constructed(contextConstructed(1), primitive(contextPrimitive(6), new Uint8Array([0x61])))
    const certificates = constructed(contextConstructed(0), sequence(sequence(NULL)))
    const der = encodeDer(sequence(sequence(requestor, listOf(certIdDer)), signature(certificates)))
    expect(decodeOcspRequest(der).signature?.certificatesDer).toEqual([new Uint8Array([0x30, 2, 5, 0])])
    const without = decodeOcspRequest(encodeDer(sequence(sequence(listOf(certIdDer)), signature())))
    expect(without.signature).toMatchObject({ octets: new Uint8Array(70), certificatesDer: [] })
  })

  test.each([
    ['an unknown extension that is not critical', encodeExtension('1.2.3', false, NULL)],
    [
      'response types, critical',
      encodeDer(sequence(oid(OID.ocspResponseTypes), boolean(true), octetString(sequence(oid(OID.ocspBasic))))),
    ],
    ['preferred algorithms, critical', encodeExtension(OID.ocspPreferredAlgorithms, true, sequence())],
  ])('%s', (_name, extension) => {
    expect(decodeOcspRequest(withExtensions(extension)).certIds).toHaveLength(1)
  })

  test('a hash that nobody here knows, of any length', () => {
    const der = withCertId(sequence(oid('1.2.3')), hashOf(3), hashOf(4), integer(5))
    const [certId] = decodeOcspRequest(der).certIds
    expect(certId).toMatchObject({ hash: undefined, serialHex: '05' })
    expect(isCertIdOf(certId, ca.certificate)).toBe(false)
  })

  test('serial 0', () => {
    expect(decodeOcspRequest(withCertId(sha256(), hashOf(32), hashOf(32), integer(0))).certIds[0].serialHex).toBe('00')
  })
})

describe('a CertID', () => {
  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)('by %s names its issuer and no other', (by) => {
    const [certId] = decodeOcspRequest(encodeOcspRequest([encodeCertId(ca.certificate, serialHex, by)])).certIds
    expect(certId.hash).toBe(by)
    expect(isCertIdOf(certId, ca.certificate)).toBe(true)
    expect(isCertIdOf(certId, mintCa().certificate)).toBe(false) // same name, another key
    expect(isCertIdOf(certId, mintCa({ name: 'Another', key: ca.key }).certificate)).toBe(false) // same key, another name
  })

  test('is read with parameters NULL and without any', () => {
    const { nameHash, keyHash } = issuerHashes(ca.certificate, 'sha256')
    for (const parameters of [[], [NULL]]) {
      const der = withCertId(sha256(...parameters), octetString(nameHash), octetString(keyHash), integer(1))
      const [certId] = decodeOcspRequest(der).certIds
      expect(isCertIdOf(certId, ca.certificate)).toBe(true)
      expect(certId.der).toEqual(
        encodeDer(sequence(sha256(...parameters), octetString(nameHash), octetString(keyHash), integer(1))),
      )
    }
  })
})

describe('what no responder would take is not written:', () => {
  test.each([
    ['no CertID', () => encodeOcspRequest([])],
    ['seventeen CertIDs', () => encodeOcspRequest(Array.from({ length: 17 }, () => certIdDer))],
    ['a nonce of no octets', () => encodeOcspRequest([certIdDer], new Uint8Array())],
    ['a nonce of 129 octets', () => encodeOcspRequest([certIdDer], new Uint8Array(129))],
  ])('%s', (_name, write) => {
    expect(write).toThrow(TypeError)
  })
})

describe('whatever the octets, a request is read or refused:', () => {
  const originals = [encodeOcspRequest([certIdDer]), encodeOcspRequest([certIdDer, certIdDer], nonce)]

  test('every single bit wrong', () => {
    for (const original of originals) {
      const copy = new Uint8Array(original)
      for (let bit = 0; bit < copy.length * 8; bit++) {
        const mask = 0x80 >> (bit & 7)
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
        refusalOf(() => decodeOcspRequest(copy))
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
      }
    }
  })

  test('octets inserted, removed and replaced at random', () => {
    const edit = fc.record({ at: fc.nat(400), remove: fc.nat(6), insert: fc.uint8Array({ maxLength: 6 }) })
    fc.assert(
      fc.property(fc.constantFrom(...originals), fc.array(edit, { minLength: 1, maxLength: 4 }), (original, edits) => {
        let octets = [...original]
        for (const { at, remove, insert } of edits) octets = octets.toSpliced(at % octets.length, remove, ...insert)
        refusalOf(() => decodeOcspRequest(new Uint8Array(octets)))
      }),
      { numRuns: 2000 },
    )
  })

  test('noise', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => void refusalOf(() => decodeOcspRequest(noise))))
  })
})

describe('a requestor', () => {
  const root = mintCa()
  const below = mintCa({ issuer: root })
  const client = mintLeaf({ issuer: below })
  const options: PathOptions = { anchors: [root.certificate], at: AT, eku: OID.clientAuth }
  const chainOf = (...list: Minted[]): Der =>
    constructed(contextConstructed(0), sequence(...list.map(({ der }) => der)))

  /** A request with a signature over its TBS, or over something else. */
  function signed(
    by: Minted,
    over?: Uint8Array,
    algorithm: string = OID.ecdsaWithSha256,
    chain: Der = chainOf(by, below),
  ): Uint8Array {
    const tbs = encodeDer(sequence(listOf(certIdDer)))
    const octets = bitString(by.key.signNow(over ?? tbs))
    return encodeDer(
      sequence(tbs, constructed(contextConstructed(0), sequence(sequence(oid(algorithm)), octets, chain))),
    )
  }

  const verify = (der: Uint8Array, changes: Partial<PathOptions> = {}) => {
    const { signature: read } = decodeOcspRequest(der)
    if (read === undefined) throw new TypeError('the request is not signed')
    return verifyOcspRequestor(read, { ...options, ...changes })
  }

  test('is who signed, under an anchor', () => {
    expect(verify(signed(client)).certificate.der).toEqual(client.der)
  })

  test.each<{ name: string; der: Uint8Array; changes?: Partial<PathOptions>; fails: X509Failure }>([
    { name: 'over something else', der: signed(client, new Uint8Array(9)), fails: 'ocsp_request_signature' },
    {
      name: 'by another key',
      der: signed(mintLeaf({ issuer: below }), undefined, undefined, chainOf(client, below)),
      fails: 'ocsp_request_signature',
    },
    { name: 'with SHA-1', der: signed(client, undefined, '1.2.840.10045.4.1'), fails: 'algorithm_unsupported' },
    {
      name: 'without certificate',
      der: encodeDer(sequence(sequence(listOf(certIdDer)), signature())),
      fails: 'chain_empty',
    },
    {
      name: 'under another root',
      der: signed(client),
      changes: { anchors: [mintCa({ name: 'Another' }).certificate] },
      fails: 'issuer_unknown',
    },
    { name: 'for another purpose', der: signed(client), changes: { eku: OID.codeSigning }, fails: 'eku_missing' },
    {
      name: 'after its end',
      der: signed(client),
      changes: { at: new Date('2028-01-01T00:00:00Z') },
      fails: 'certificate_expired',
    },
  ])('is refused: $name', ({ der, changes, fails }) => {
    expect(refusalOf(() => verify(der, changes))).toBe(fails)
  })
})
