import { describe, expect, test } from 'vitest'
import { decodeCertificate, decodeForeignCertificate, serialText } from './certificate.ts'
import { contextPrimitive } from './der/tag.ts'
import { encodeGeneralizedTime, encodeTime } from './der/time.ts'
import { encodeDer, integer, primitive, sequence } from './der/writer.ts'
import type { X509Failure } from './errors.ts'
import { replaceElement } from './testing/edit.ts'
import { foreignCa, foreignLeaf } from './testing/foreign.ts'
import { FROM, UNTIL } from './testing/mint.ts'
import { hex, refusalOf } from './testing/refusal.ts'

const SERIAL = hex('4a0102030405060708090a0b0c0d0e0f10111213')
const { der, certificate } = foreignLeaf({ issuer: foreignCa(), serial: SERIAL })
const serial = (content: string): Uint8Array => replaceElement(der, integer(SERIAL), primitive(2, hex(content)))
const validity = encodeDer(sequence(encodeTime(FROM), encodeTime(UNTIL)))

const DEPARTURES: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
  { name: 'a serial number of zero', der: serial('00'), fails: 'certificate_serial' },
  { name: 'a negative serial number', der: serial('ff01'), fails: 'certificate_serial' },
  { name: 'a serial number of 21 octets', der: serial('4a'.repeat(21)), fails: 'certificate_serial' },
  {
    name: 'GeneralizedTime before 2050',
    der: replaceElement(der, validity, encodeDer(sequence(encodeGeneralizedTime(FROM), encodeTime(UNTIL)))),
    fails: 'der_time_invalid',
  },
  {
    name: 'a unique identifier of the subject',
    der: replaceElement(
      der,
      certificate.publicKey.spkiDer,
      new Uint8Array([...certificate.publicKey.spkiDer, ...primitive(contextPrimitive(2), hex('0001'))]),
    ),
    fails: 'certificate_unique_id',
  },
]

describe('a foreign certificate', () => {
  test.each(DEPARTURES)('$name is noted, and refused of ours', ({ der: departed, fails }) => {
    expect([...decodeForeignCertificate(departed).departures]).toEqual([fails])
    expect(refusalOf(() => decodeCertificate(departed))).toBe(fails)
  })

  test('that departs from nothing says the same as one of ours', () => {
    const { departures, ...rest } = decodeForeignCertificate(der)
    const ours = decodeCertificate(der)
    expect([...departures]).toEqual([])
    expect({ ...rest, publicKey: rest.publicKey.spkiSha256Hex }).toEqual({
      ...ours,
      publicKey: ours.publicKey.spkiSha256Hex,
    })
  })

  test('may be signed with an algorithm that nobody verifies', () => {
    const { signatureAlgorithm } = certificate
    expect(signatureAlgorithm).toBe('ecdsa-sha256')
    const ecdsaSha1 = hex('3009 06072a8648ce3d0401')
    const odd = replaceElement(der, hex('300a 06082a8648ce3d040302'), ecdsaSha1)
    expect(decodeForeignCertificate(odd).signatureAlgorithm).toBe('unsupported')
    expect(refusalOf(() => decodeCertificate(odd))).toBe('algorithm_unsupported')
  })

  test('may have up to 64 KiB', () => {
    expect(refusalOf(() => decodeForeignCertificate(new Uint8Array(65_537)))).toBe('der_too_large')
    expect(refusalOf(() => decodeForeignCertificate(new Uint8Array(65_536)))).toBe('der_tag_unexpected')
  })
})

test.each([
  ['01', '01'],
  ['00', '00'],
  ['00ff', 'ff'],
  ['7f01', '7f01'],
  ['ff', '-01'],
  ['80', '-80'],
  ['ff01', '-ff'],
  ['fe00', '-0200'],
])('the serial number with the content %s reads %s', (content, text) => {
  expect(serialText(hex(content))).toBe(text)
})
