import { describe, expect, test } from 'vitest'
import { encodeAlgorithm } from '../algorithm.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { encodeGeneralizedTime, encodeTime } from '../der/time.ts'
import { constructed, encodeDer, integer, primitive, sequence } from '../der/writer.ts'
import { encodeSigned } from '../encode-certificate.ts'
import type { X509Failure } from '../errors.ts'
import { encodeAuthorityKeyId, encodeExtension } from '../extension/encode.ts'
import { encodeName } from '../name.ts'
import { OID } from '../oid.ts'
import { replaceElement } from '../testing/edit.ts'
import { foreignCa } from '../testing/foreign.ts'
import { FROM, UNTIL } from '../testing/mint.ts'
import { type CrlSpec, crlScope, mintCrl } from '../testing/mint-crl.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { decodeCrl, MAX_CRL_OCTETS } from './decode.ts'

const issuer = foreignCa()
const crl = (spec: Omit<CrlSpec, 'issuer'> = {}): Uint8Array => mintCrl({ issuer, ...spec })
const from = encodeTime(FROM)
const until = encodeTime(UNTIL)
const entry = { serialHex: '4a01' }
const unknown = (critical: boolean): Uint8Array => encodeExtension('1.2.3.4', critical, integer(1))
const withEntryExtension = (...more: Uint8Array[]): Uint8Array => crl({ revoked: [{ ...entry, more }] })
const slot = (oid: string, critical: boolean, content: string): Uint8Array =>
  crl({ slots: { [oid]: encodeExtension(oid, critical, hex(content)) } })

/** A CRL whose parts are all given. */
const parts = (...tbs: (Uint8Array | ReturnType<typeof sequence> | undefined)[]): Uint8Array =>
  encodeSigned(encodeDer(sequence(...tbs)), 'ecdsa-sha256', hex('00'))
const algorithm = encodeAlgorithm('ecdsa-sha256')
const { subject } = issuer.certificate
const extensions = constructed(
  contextConstructed(0),
  sequence(encodeAuthorityKeyId(hex('01')), encodeExtension(OID.crlNumber, false, integer(1))),
)

const REFUSED: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
  { name: 'version 1', der: parts(algorithm, subject.der, from, until, extensions), fails: 'crl_version' },
  { name: 'version 3', der: parts(integer(2), algorithm, subject.der, from, until, extensions), fails: 'crl_version' },
  {
    name: 'another algorithm outside',
    der: encodeSigned(
      encodeDer(sequence(integer(1), algorithm, subject.der, from, until, extensions)),
      'ecdsa-sha384',
      hex('00'),
    ),
    fails: 'crl_algorithm_mismatch',
  },
  {
    name: 'an empty issuer',
    der: parts(integer(1), algorithm, encodeName([]).der, from, until, extensions),
    fails: 'crl_issuer_empty',
  },
  {
    name: 'no nextUpdate',
    der: parts(integer(1), algorithm, subject.der, from, extensions),
    fails: 'crl_next_update_missing',
  },
  {
    name: 'GeneralizedTime before 2050',
    der: replaceElement(crl(), from, encodeGeneralizedTime(FROM)),
    fails: 'der_time_invalid',
  },
  {
    name: 'an empty list of entries',
    der: parts(integer(1), algorithm, subject.der, from, until, sequence(), extensions),
    fails: 'der_empty',
  },
  { name: 'no extensions', der: parts(integer(1), algorithm, subject.der, from, until), fails: 'der_truncated' },
  {
    name: 'something after the extensions',
    der: parts(integer(1), algorithm, subject.der, from, until, extensions, integer(1)),
    fails: 'der_trailing_bytes',
  },
  { name: 'something after the CRL', der: new Uint8Array([...crl(), 0]), fails: 'der_trailing_bytes' },
  { name: 'too much', der: new Uint8Array(MAX_CRL_OCTETS + 1), fails: 'der_too_large' },
  // Extensions
  { name: 'no number', der: crl({ slots: { [OID.crlNumber]: undefined } }), fails: 'crl_number_missing' },
  { name: 'a critical number', der: slot(OID.crlNumber, true, '020101'), fails: 'extension_criticality' },
  { name: 'a negative number', der: slot(OID.crlNumber, false, '0201ff'), fails: 'der_integer_out_of_range' },
  {
    name: 'a number of 21 octets',
    der: slot(OID.crlNumber, false, `0215${'01'.repeat(21)}`),
    fails: 'der_integer_out_of_range',
  },
  {
    name: 'no authorityKeyIdentifier',
    der: crl({ slots: { [OID.authorityKeyId]: undefined } }),
    fails: 'key_identifier_missing',
  },
  {
    name: 'an authorityKeyIdentifier without key',
    der: slot(OID.authorityKeyId, false, '3000'),
    fails: 'key_identifier_missing',
  },
  {
    name: 'a critical authorityKeyIdentifier',
    der: slot(OID.authorityKeyId, true, '3003800101'),
    fails: 'extension_criticality',
  },
  {
    name: 'a delta indicator that is not critical',
    der: slot(OID.deltaCrlIndicator, false, '020101'),
    fails: 'extension_criticality',
  },
  {
    name: 'a scope that is not critical',
    der: slot(OID.issuingDistributionPoint, false, '3003 8101ff'),
    fails: 'extension_criticality',
  },
  {
    name: 'a scope that says nothing',
    der: slot(OID.issuingDistributionPoint, true, '3000'),
    fails: 'extension_invalid',
  },
  {
    name: 'a scope of users and CAs',
    der: slot(OID.issuingDistributionPoint, true, '3006 8101ff 8201ff'),
    fails: 'extension_invalid',
  },
  {
    name: 'a scope with an explicit FALSE',
    der: slot(OID.issuingDistributionPoint, true, '3006 810100 8401ff'),
    fails: 'der_default_explicit',
  },
  {
    name: 'a scope with something else',
    der: slot(OID.issuingDistributionPoint, true, '3006 8101ff 8601ff'),
    fails: 'der_trailing_bytes',
  },
  {
    name: 'an unknown critical extension',
    der: crl({ slots: { x: unknown(true) } }),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'an extension twice',
    der: crl({ slots: { x: unknown(false), y: unknown(false) } }),
    fails: 'extension_duplicate',
  },
  // Entries
  {
    name: 'an unknown critical extension of an entry',
    der: withEntryExtension(unknown(true)),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'a critical reason',
    der: withEntryExtension(encodeExtension(OID.reasonCode, true, integer(1, TAG.enumerated))),
    fails: 'extension_criticality',
  },
  {
    name: 'the reason 7',
    der: withEntryExtension(encodeExtension(OID.reasonCode, false, integer(7, TAG.enumerated))),
    fails: 'extension_invalid',
  },
  {
    name: 'a reason that is an INTEGER',
    der: withEntryExtension(encodeExtension(OID.reasonCode, false, integer(1))),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'a certificateIssuer that is not critical',
    der: withEntryExtension(
      encodeExtension(OID.certificateIssuer, false, sequence(primitive(contextPrimitive(1), hex('61')))),
    ),
    fails: 'extension_criticality',
  },
  {
    name: 'an invalidityDate in UTCTime',
    der: withEntryExtension(encodeExtension(OID.invalidityDate, false, from)),
    fails: 'der_tag_unexpected',
  },
  {
    name: 'removeFromCRL in a complete CRL',
    der: crl({ revoked: [{ ...entry, reason: 'removeFromCRL' }] }),
    fails: 'extension_invalid',
  },
  {
    name: 'an extension twice in an entry',
    der: withEntryExtension(unknown(false), unknown(false)),
    fails: 'extension_duplicate',
  },
]

describe('CRLs', () => {
  test.each(REFUSED)('$name', ({ der, fails }) => {
    expect(refusalOf(() => decodeCrl(der))).toBe(fails)
  })

  test('an empty one', () => {
    const { revoked, thisUpdate, nextUpdate, extensions: found, ...list } = decodeCrl(crl())
    expect(revoked).toEqual([])
    expect([thisUpdate, nextUpdate]).toEqual([FROM, UNTIL])
    expect(found.crlNumber).toBe(10n)
    expect(found.baseCrlNumber).toBeUndefined()
    expect(list.issuer.der).toEqual(subject.der)
    expect(list.signatureAlgorithm).toBe('ecdsa-sha256')
  })

  test('entries with everything they can say', () => {
    const other = { type: 'directory', name: encodeName([{ type: 'CN', value: 'Other' }]) } as const
    const at = new Date('2026-02-03T04:05:06Z')
    const { revoked } = decodeCrl(
      crl({
        revoked: [
          { serialHex: '01' },
          { serialHex: '02', at, reason: 'keyCompromise', invalidityDate: FROM, more: [unknown(false)] },
          { serialHex: '03', certificateIssuer: [other] },
          { serialHex: '04' },
        ],
      }),
    )
    expect(
      revoked.map(({ serialHex, reason, certificateIssuer }) => [serialHex, reason, certificateIssuer?.length]),
    ).toEqual([
      ['01', undefined, undefined],
      ['02', 'keyCompromise', undefined],
      ['03', undefined, 1],
      ['04', undefined, 1],
    ])
    expect(revoked[1]).toMatchObject({ revocationDate: at, invalidityDate: FROM })
  })

  test('a delta may take certificates off', () => {
    const { revoked, extensions: found } = decodeCrl(crl({ base: 9, revoked: [{ ...entry, reason: 'removeFromCRL' }] }))
    expect(revoked[0]?.reason).toBe('removeFromCRL')
    expect(found.baseCrlNumber).toBe(9n)
  })

  test('a scope', () => {
    const { extensions: found } = decodeCrl(crl({ scope: crlScope({ only: 'ca', reasons: [1, 2], isIndirect: true }) }))
    expect(found.issuingDistributionPoint).toEqual({
      fullName: [],
      onlyContainsUserCerts: false,
      onlyContainsCaCerts: true,
      onlyContainsAttributeCerts: false,
      indirectCrl: true,
      onlySomeReasons: [1, 2],
    })
  })

  test('an algorithm that nobody verifies can be read', () => {
    const odd = replaceElement(crl(), algorithm, hex('3009 06072a8648ce3d0401'))
    expect(decodeCrl(odd).signatureAlgorithm).toBe('unsupported')
  })

  test('a cut anywhere is refused', () => {
    const der = crl({ revoked: [entry] })
    for (let i = 0; i < der.length; i++) expect(refusalOf(() => decodeCrl(der.subarray(0, i)))).toBeDefined()
  })
})
