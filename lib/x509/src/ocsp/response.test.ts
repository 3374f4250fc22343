import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeAlgorithm } from '../algorithm.ts'
import { oid } from '../der/oid.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { encodeGeneralizedTime } from '../der/time.ts'
import {
  bitString,
  constructed,
  type Der,
  encodeDer,
  integer,
  NULL,
  octetString,
  primitive,
  sequence,
} from '../der/writer.ts'
import type { X509Failure } from '../errors.ts'
import * as extension from '../extension/encode.ts'
import { OID } from '../oid.ts'
import { REVOCATION_REASONS, type RevocationReason } from '../revocation-reason.ts'
import { AT, FROM, type Minted, mintCa, mintLeaf, testKey, UNTIL } from '../testing/mint.ts'
import { answer, mintResponder, NEXT_UPDATE, single, THIS_UPDATE } from '../testing/ocsp.ts'
import { refusalOf } from '../testing/refusal.ts'
import { encodeCertId } from './cert-id.ts'
import { decodeOcspResponse } from './decode-response.ts'
import { encodeOcspError, ocspResponder } from './encode-response.ts'
import { OCSP_RESPONSE_STATUSES, type OcspErrorStatus, type OcspStatus } from './status.ts'
import { type OcspVerifyOptions, verifyOcspResponse } from './verify-response.ts'

const ca = mintCa({ slots: { extKeyUsage: undefined } })
const leaf = mintLeaf({ issuer: ca })
const other = mintLeaf({ issuer: ca })
const responder = mintResponder(ca)
const stranger = mintCa()
const certIdDer = encodeCertId(ca.certificate, leaf.certificate.serialHex)
const nonce = new Uint8Array(32).fill(9)
const seconds = (instant: Date, by: number): Date => new Date(instant.getTime() + by * 1000)

const options: OcspVerifyOptions = { certificate: leaf.certificate, issuer: ca.certificate, at: AT }
const good = answer(responder, [single(leaf, ca)])

/** Responses put together by hand: `singles` and `more` go into ResponseData, `after` behind the signature. */
function handmade(parts: {
  responderId?: Der
  producedAt?: Der
  singles?: readonly Der[]
  more?: readonly Der[]
  after?: readonly Der[]
  version?: Der
}): Uint8Array {
  const prepared = ocspResponder(responder.certificate, responder.key.algorithm)
  const data = encodeDer(
    sequence(
      parts.version,
      parts.responderId ?? prepared.responderIdDer,
      parts.producedAt ?? encodeGeneralizedTime(AT),
      sequence(...(parts.singles ?? [handSingle()])),
      ...(parts.more ?? []),
    ),
  )
  const basic = sequence(
    data,
    encodeAlgorithm(prepared.algorithm),
    bitString(responder.key.signNow(data)),
    ...(parts.after ?? [prepared.certificatesDer]),
  )
  return successful(OID.ocspBasic, basic)
}

function successful(type: string, content: Der): Uint8Array {
  const bytes = sequence(oid(type), octetString(content))
  return encodeDer(sequence(integer(0, TAG.enumerated), constructed(contextConstructed(0), bytes)))
}

function handSingle(parts: { status?: Der; next?: Der | null; more?: readonly Der[] } = {}): Der {
  const next =
    parts.next === undefined ? constructed(contextConstructed(0), encodeGeneralizedTime(NEXT_UPDATE)) : parts.next
  return sequence(
    certIdDer,
    parts.status ?? primitive(contextPrimitive(0), new Uint8Array()),
    encodeGeneralizedTime(THIS_UPDATE),
    next ?? undefined,
    ...(parts.more ?? []),
  )
}

const revoked = (...more: Der[]): Der => constructed(contextConstructed(1), encodeGeneralizedTime(FROM), ...more)
const reasonCode = (code: number): Der => constructed(contextConstructed(0), integer(code, TAG.enumerated))
const text = (tag: number, content: string): Der => primitive(tag, new TextEncoder().encode(content))
const criticalUnder = (tag: number): Der =>
  constructed(contextConstructed(tag), sequence(extension.encodeExtension('1.2.3', true, NULL)))
const certificatesOf = (...list: Minted[]): Der =>
  constructed(contextConstructed(0), sequence(...list.map(({ der }) => der)))
const byDelegate = (spec: Parameters<typeof mintResponder>[1]): Uint8Array =>
  answer(mintResponder(ca, spec), [single(leaf, ca)])

interface Case {
  readonly name: string
  readonly der: Uint8Array
  readonly changes?: Partial<OcspVerifyOptions>
  readonly fails: X509Failure
}

const CASES: readonly Case[] = [
  { name: 'nothing', der: new Uint8Array(), fails: 'der_truncated' },
  { name: 'more than 32 KiB', der: new Uint8Array(32_769), fails: 'der_too_large' },
  { name: 'an octet after the end', der: new Uint8Array([...good, 0]), fails: 'der_trailing_bytes' },
  {
    name: 'a status outside the table',
    der: encodeDer(sequence(integer(4, TAG.enumerated))),
    fails: 'ocsp_response_status',
  },
  { name: 'tryLater', der: encodeOcspError('tryLater'), fails: 'ocsp_response_error' },
  {
    name: 'successful, and no content',
    der: encodeDer(sequence(integer(0, TAG.enumerated))),
    fails: 'ocsp_response_type',
  },
  { name: 'another type than basic', der: successful('1.2.3', sequence()), fails: 'ocsp_response_type' },
  {
    name: 'an error with content',
    der: encodeDer(sequence(integer(3, TAG.enumerated), NULL)),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'version 1 in writing',
    der: handmade({ version: constructed(contextConstructed(0), integer(0)) }),
    fails: 'der_default_explicit',
  },
  {
    name: 'version 2',
    der: handmade({ version: constructed(contextConstructed(0), integer(1)) }),
    fails: 'ocsp_response_version',
  },
  { name: 'no part', der: handmade({ singles: [] }), fails: 'der_empty' },
  {
    name: '65 parts',
    der: handmade({ singles: Array.from({ length: 65 }, () => handSingle()) }),
    fails: 'ocsp_response_too_many',
  },
  {
    name: 'five certificates',
    der: handmade({ after: [certificatesOf(responder, responder, responder, responder, responder)] }),
    fails: 'ocsp_response_too_many',
  },
  {
    name: 'a time with a fraction',
    der: handmade({ producedAt: text(TAG.generalizedTime, '20260601120000.5Z') }),
    fails: 'der_time_invalid',
  },
  {
    name: 'a time in a zone',
    der: handmade({ producedAt: text(TAG.generalizedTime, '20260601120000+0200') }),
    fails: 'der_time_invalid',
  },
  {
    name: 'the 31st of June',
    der: handmade({ producedAt: text(TAG.generalizedTime, '20260631120000Z') }),
    fails: 'der_time_invalid',
  },
  {
    name: 'good, with content',
    der: handmade({ singles: [handSingle({ status: primitive(contextPrimitive(0), new Uint8Array(1)) })] }),
    fails: 'ocsp_status_invalid',
  },
  {
    name: 'revoked for reason 7',
    der: handmade({ singles: [handSingle({ status: revoked(reasonCode(7)) })] }),
    fails: 'ocsp_status_invalid',
  },
  {
    name: 'a critical extension of the answer',
    der: handmade({ more: [criticalUnder(1)] }),
    fails: 'ocsp_extension_critical',
  },
  {
    name: 'a critical extension of a part',
    der: handmade({ singles: [handSingle({ more: [criticalUnder(1)] })] }),
    fails: 'ocsp_extension_critical',
  },
  { name: 'about another certificate', der: answer(responder, [single(other, ca)]), fails: 'ocsp_cert_id_mismatch' },
  {
    name: 'about the same serial of another issuer',
    der: answer(responder, [single(leaf, stranger)]),
    fails: 'ocsp_cert_id_mismatch',
  },
  {
    name: 'two parts about the certificate',
    der: answer(responder, [single(leaf, ca), single(leaf, ca, { status: { status: 'unknown' } })]),
    fails: 'ocsp_response_ambiguous',
  },
  {
    name: 'two parts about the certificate, by different hashes',
    der: answer(responder, [
      single(leaf, ca),
      single(leaf, ca, { certIdDer: encodeCertId(ca.certificate, leaf.certificate.serialHex, 'sha1') }),
    ]),
    fails: 'ocsp_response_ambiguous',
  },
  {
    name: 'signed by another key',
    der: answer(responder, [single(leaf, ca)], { signedBy: stranger }),
    fails: 'ocsp_signature_invalid',
  },
  { name: 'a responder whose certificate is not there', der: handmade({ after: [] }), fails: 'ocsp_responder_unknown' },
  {
    name: 'a responder whose certificate is not among those there',
    der: handmade({ after: [certificatesOf(leaf, stranger)] }),
    fails: 'ocsp_responder_unknown',
  },
  {
    name: 'a responder of another CA',
    der: answer(mintResponder(stranger), [single(leaf, ca)]),
    fails: 'ocsp_responder_issuer',
  },
  {
    name: 'a responder of a CA with the name of the issuer',
    der: answer(mintResponder(mintCa({ name: ca.certificate.subject })), [single(leaf, ca)]),
    fails: 'ocsp_responder_issuer',
  },
  {
    name: 'a responder below a CA below the issuer',
    der: answer(mintResponder(mintCa({ issuer: ca })), [single(leaf, ca)]),
    fails: 'ocsp_responder_issuer',
  },
  {
    name: 'the certificate asked about as its own responder',
    der: answer(leaf, [single(leaf, ca)]),
    fails: 'ocsp_responder_eku',
  },
  {
    name: 'a responder with anyExtendedKeyUsage',
    der: byDelegate({ slots: { extKeyUsage: extension.encodeExtKeyUsage([OID.anyExtKeyUsage], false) } }),
    fails: 'ocsp_responder_eku',
  },
  {
    name: 'a responder without extended key usage',
    der: byDelegate({ slots: { extKeyUsage: undefined } }),
    fails: 'ocsp_responder_eku',
  },
  {
    name: 'a responder that is a CA',
    der: byDelegate({ slots: { basicConstraints: extension.encodeBasicConstraints({ isCa: true }) } }),
    fails: 'ocsp_responder_is_a_ca',
  },
  {
    name: 'a responder that may not sign',
    der: byDelegate({ slots: { keyUsage: extension.encodeKeyUsage(['keyEncipherment']) } }),
    fails: 'ocsp_responder_key_usage',
  },
  {
    name: 'the issuer itself, whose key usage is for certificates',
    der: answer(ca, [single(leaf, ca)]),
    fails: 'ocsp_responder_key_usage',
  },
  {
    name: 'a responder that would have to be checked',
    der: byDelegate({ slots: { ocspNoCheck: undefined } }),
    fails: 'ocsp_responder_nocheck',
  },
  {
    name: 'a responder with a critical extension',
    der: byDelegate({ slots: { more: extension.encodeExtension('1.2.3', true, NULL) } }),
    fails: 'ocsp_responder_critical',
  },
  {
    name: 'a responder that expired',
    der: byDelegate({ notAfter: seconds(AT, -1) }),
    fails: 'ocsp_responder_validity',
  },
  {
    name: 'a responder that is not valid yet',
    der: byDelegate({ notBefore: seconds(AT, 1) }),
    fails: 'ocsp_responder_validity',
  },
  {
    name: 'about an instant to come',
    der: answer(responder, [single(leaf, ca, { thisUpdate: seconds(AT, 1) })], { producedAt: seconds(AT, 1) }),
    fails: 'ocsp_not_yet_valid',
  },
  {
    name: 'made at an instant to come',
    der: answer(responder, [single(leaf, ca)], { producedAt: seconds(AT, 1) }),
    fails: 'ocsp_produced_at',
  },
  { name: 'over for a second', der: good, changes: { at: seconds(NEXT_UPDATE, 1) }, fails: 'ocsp_response_stale' },
  {
    name: 'over for a second, which no tolerance mends',
    der: good,
    changes: { at: seconds(NEXT_UPDATE, 1), skewSeconds: 300 },
    fails: 'ocsp_response_stale',
  },
  { name: 'without end', der: handmade({ singles: [handSingle({ next: null })] }), fails: 'ocsp_next_update_missing' },
  {
    name: 'over before it begins',
    der: answer(responder, [single(leaf, ca, { nextUpdate: seconds(THIS_UPDATE, -1) })]),
    fails: 'ocsp_times_inconsistent',
  },
  {
    name: 'made before what it is about',
    der: answer(responder, [single(leaf, ca)], { producedAt: seconds(THIS_UPDATE, -1) }),
    fails: 'ocsp_times_inconsistent',
  },
  { name: 'without the nonce', der: good, changes: { nonce }, fails: 'ocsp_nonce_missing' },
  {
    name: 'with another nonce',
    der: answer(responder, [single(leaf, ca)], { nonce: new Uint8Array(32) }),
    changes: { nonce },
    fails: 'ocsp_nonce_mismatch',
  },
]

describe('a response is refused:', () => {
  test.each(CASES)('$name', ({ der, changes, fails }) => {
    expect(refusalOf(() => verifyOcspResponse(der, { ...options, ...changes }))).toBe(fails)
  })
})

describe('a response is verified:', () => {
  const SUSPECTED = new Date('2026-04-30T00:00:00Z')
  const REVOKED = new Date('2026-05-01T00:00:00Z')
  test.each<[string, OcspStatus]>([
    ['good', { status: 'good' }],
    ['unknown', { status: 'unknown' }],
    ...(Object.keys(REVOCATION_REASONS) as RevocationReason[]).map((reason): [string, OcspStatus] => [
      `revoked for ${reason}`,
      { status: 'revoked', at: REVOKED, reason },
    ]),
    [
      'revoked, and suspected for longer',
      { status: 'revoked', at: REVOKED, reason: 'keyCompromise', invalidityDate: SUSPECTED },
    ],
  ])('%s', (_name, status) => {
    const seen = verifyOcspResponse(answer(responder, [single(leaf, ca, { status })]), options)
    expect(seen).toMatchObject({ status, thisUpdate: THIS_UPDATE, nextUpdate: NEXT_UPDATE, producedAt: AT })
    expect(seen.responder.der).toEqual(responder.der)
  })

  test('the reason "unspecified" is left out', () => {
    const status = { status: 'revoked', at: REVOKED, reason: 'unspecified' } as const
    const der = answer(responder, [single(leaf, ca, { status })])
    expect(Buffer.from(der).includes(Buffer.from('20260501000000Z'))).toBe(true)
    expect(Buffer.from(der).includes(Buffer.from([TAG.enumerated, 1, 0, 0x18]))).toBe(false)
    const named = answer(responder, [single(leaf, ca, { status: { ...status, reason: 'superseded' } })])
    expect(named.length).toBeGreaterThan(der.length)
  })

  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)('with a CertID by %s', (by) => {
    const id = encodeCertId(ca.certificate, leaf.certificate.serialHex, by)
    expect(verifyOcspResponse(answer(responder, [single(leaf, ca, { certIdDer: id })]), options).status.status).toBe(
      'good',
    )
  })

  test('the part that is about the certificate, among others', () => {
    const status = { status: 'revoked', at: REVOKED, reason: 'superseded' } as const
    const der = answer(responder, [single(other, ca, { status }), single(leaf, ca), single(leaf, stranger, { status })])
    expect(verifyOcspResponse(der, options).status.status).toBe('good')
    expect(verifyOcspResponse(der, { ...options, certificate: other.certificate }).status.status).toBe('revoked')
  })

  test('in its first and its last second, and with a tolerance before', () => {
    const der = answer(responder, [single(leaf, ca)], { producedAt: THIS_UPDATE })
    for (const at of [THIS_UPDATE, NEXT_UPDATE, new Date(NEXT_UPDATE.getTime() + 999)]) {
      expect(verifyOcspResponse(der, { ...options, at }).status.status).toBe('good')
    }
    const early = { ...options, at: seconds(THIS_UPDATE, -300) }
    expect(verifyOcspResponse(der, { ...early, skewSeconds: 300 }).status.status).toBe('good')
    expect(refusalOf(() => verifyOcspResponse(der, { ...early, skewSeconds: 299 }))).toBe('ocsp_not_yet_valid')
  })

  test('of a responder in its last second, and a tolerance later', () => {
    const der = byDelegate({ notAfter: AT })
    expect(verifyOcspResponse(der, options).status.status).toBe('good')
    const late = { ...options, at: seconds(AT, 60) }
    expect(refusalOf(() => verifyOcspResponse(der, late))).toBe('ocsp_responder_validity')
    expect(verifyOcspResponse(der, { ...late, skewSeconds: 60 }).status.status).toBe('good')
  })

  test('signed by an issuer whose key usage allows it', () => {
    const usage = extension.encodeKeyUsage(['digitalSignature', 'keyCertSign'])
    const signing = mintCa({ slots: { keyUsage: usage } })
    const below = mintLeaf({ issuer: signing })
    const seen = verifyOcspResponse(answer(signing, [single(below, signing)]), {
      ...options,
      certificate: below.certificate,
      issuer: signing.certificate,
    })
    expect(seen.responder.der).toEqual(signing.der)
  })

  test('of a responder that is named, not hashed', () => {
    const byName = constructed(contextConstructed(1), responder.certificate.subject.der)
    expect(verifyOcspResponse(handmade({ responderId: byName }), options).status.status).toBe('good')
  })

  test('whose certificate comes second, behind one that is not read', () => {
    const weak = mintLeaf({ issuer: ca, slots: { more: extension.encodeExtension('1.2.3', true, NULL) } })
    expect(verifyOcspResponse(handmade({ after: [certificatesOf(weak, responder)] }), options).status.status).toBe(
      'good',
    )
    const unread = constructed(contextConstructed(0), sequence(sequence(NULL), responder.der))
    expect(verifyOcspResponse(handmade({ after: [unread] }), options).status.status).toBe('good')
  })

  test('with the nonce that was asked for, and with one that was not', () => {
    const der = answer(responder, [single(leaf, ca)], { nonce })
    expect(verifyOcspResponse(der, { ...options, nonce }).status.status).toBe('good')
    expect(verifyOcspResponse(der, options).status.status).toBe('good')
  })

  test.each(['P-256', 'P-384', 'P-521'] as const)('signed with %s', (curve) => {
    expect(verifyOcspResponse(byDelegate({ key: testKey(curve) }), options).status.status).toBe('good')
  })

  test('to the end of time: a final answer', () => {
    const nextUpdate = new Date('9999-12-31T23:59:59Z')
    const der = answer(responder, [single(leaf, ca, { nextUpdate })])
    expect(verifyOcspResponse(der, { ...options, at: UNTIL }).nextUpdate).toEqual(nextUpdate)
  })

  test('archive cutoff and responder are what was written', () => {
    const archiveCutoff = new Date('2020-01-01T00:00:00Z')
    const seen = decodeOcspResponse(answer(responder, [single(leaf, ca, { archiveCutoff })]))
    expect(seen).toMatchObject({ status: 'successful', singles: [{ archiveCutoff }], responder: { by: 'key' } })
  })
})

test.each<[OcspErrorStatus, string]>([
  ['malformedRequest', '30030a0101'],
  ['internalError', '30030a0102'],
  ['tryLater', '30030a0103'],
  ['sigRequired', '30030a0105'],
  ['unauthorized', '30030a0106'],
])('an error is five octets: %s', (status, octets) => {
  expect(encodeOcspError(status).toHex()).toBe(octets)
  expect(decodeOcspResponse(encodeOcspError(status))).toEqual({ status })
})

test('the table of statuses has every one', () => {
  expect(Object.values(OCSP_RESPONSE_STATUSES)).toEqual([0, 1, 2, 3, 5, 6])
})

describe('a mistake of the caller is a TypeError:', () => {
  test.each<[string, Partial<OcspVerifyOptions>]>([
    ['another issuer', { issuer: mintCa({ name: 'Another' }).certificate }],
    ['a tolerance of two days', { skewSeconds: 172_800 }],
    ['a tolerance that is no number', { skewSeconds: Number.NaN }],
    ['no instant', { at: new Date(Number.NaN) }],
  ])('%s', (_name, changes) => {
    expect(() => verifyOcspResponse(good, { ...options, ...changes })).toThrow(TypeError)
  })
})

describe('whatever the octets, a response is verified or refused:', () => {
  test('with any single bit wrong it is refused', () => {
    const original = answer(responder, [single(leaf, ca)], { nonce })
    const copy = new Uint8Array(original)
    const accepted: number[] = []
    for (let bit = 0; bit < copy.length * 8; bit++) {
      const mask = 0x80 >> (bit & 7)
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
      if (refusalOf(() => verifyOcspResponse(copy, { ...options, nonce })) === undefined) accepted.push(bit)
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ mask
    }
    expect(accepted).toEqual([])
  })

  test('octets inserted, removed and replaced at random', () => {
    const edit = fc.record({ at: fc.nat(2000), remove: fc.nat(6), insert: fc.uint8Array({ maxLength: 6 }) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let octets = [...good]
        for (const { at, remove, insert } of edits) octets = octets.toSpliced(at % octets.length, remove, ...insert)
        refusalOf(() => verifyOcspResponse(new Uint8Array(octets), options))
      }),
      { numRuns: 1000 },
    )
  })

  test('noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => void refusalOf(() => decodeOcspResponse(noise))),
    )
  })
})
