import { describe, expect, test } from 'vitest'
import { oid } from './der/oid.ts'
import { expectEnd, openDer } from './der/reader.ts'
import { TAG } from './der/tag.ts'
import { constructed, encodeDer, primitive, sequence, setOf, utf8String } from './der/writer.ts'
import type { X509Failure } from './errors.ts'
import { type AttributeType, encodeName, formatName, type Name, readName, sameName } from './name.ts'
import { OID } from './oid.ts'
import { refusalOf } from './testing/refusal.ts'

function decode(der: Uint8Array): Name {
  const reader = openDer(der, 4096)
  const name = readName(reader)
  expectEnd(reader)
  return name
}

function withValue(tag: number, content: Uint8Array): Uint8Array {
  return encodeDer(sequence(setOf(sequence(oid(OID.commonName), primitive(tag, content)))))
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const cn = (value: string) => sequence(oid(OID.commonName), utf8String(value))

describe('what is refused', () => {
  const cases: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
    {
      name: 'a star in a PrintableString',
      der: withValue(TAG.printableString, ascii('*')),
      fails: 'der_string_invalid',
    },
    {
      name: 'an octet FF in an IA5String',
      der: withValue(TAG.ia5String, new Uint8Array([0xff])),
      fails: 'der_string_invalid',
    },
    { name: 'broken UTF-8', der: withValue(TAG.utf8String, new Uint8Array([0xc3, 0x28])), fails: 'der_string_invalid' },
    {
      name: 'an overlong UTF-8 slash',
      der: withValue(TAG.utf8String, new Uint8Array([0xc0, 0xaf])),
      fails: 'der_string_invalid',
    },
    {
      name: 'a UTF-8 surrogate',
      der: withValue(TAG.utf8String, new Uint8Array([0xed, 0xa0, 0x80])),
      fails: 'der_string_invalid',
    },
    {
      name: 'half a BMPString character',
      der: withValue(TAG.bmpString, new Uint8Array([0])),
      fails: 'der_string_invalid',
    },
    {
      name: 'a lone surrogate in a BMPString',
      der: withValue(TAG.bmpString, new Uint8Array([0xd8, 0])),
      fails: 'der_string_invalid',
    },
    { name: 'an empty RDN', der: encodeDer(sequence(constructed(TAG.set))), fails: 'der_empty' },
    {
      name: 'an RDN that repeats an attribute',
      der: encodeDer(sequence(constructed(TAG.set, cn('a'), cn('a')))),
      fails: 'der_set_unordered',
    },
    {
      name: 'an RDN in the wrong order',
      der: encodeDer(sequence(constructed(TAG.set, cn('b'), cn('a')))),
      fails: 'der_set_unordered',
    },
    {
      name: 'an attribute without a value',
      der: encodeDer(sequence(setOf(sequence(oid(OID.commonName))))),
      fails: 'der_truncated',
    },
    {
      name: 'an attribute with two values',
      der: encodeDer(sequence(setOf(sequence(oid(OID.commonName), utf8String('a'), utf8String('b'))))),
      fails: 'der_trailing_bytes',
    },
  ]
  test.each(cases)('$name', ({ der, fails }) => {
    expect(refusalOf(() => decode(der))).toBe(fails)
  })
})

describe('what is read', () => {
  test('every string type with text gives its text', () => {
    const texts = [
      withValue(TAG.utf8String, ascii('Größe')),
      withValue(TAG.bmpString, new Uint8Array([0, 0x47, 0, 0x72, 0, 0xf6, 0, 0xdf, 0, 0x65])),
    ].map((der) => decode(der).attributes[0]?.value)
    expect(texts).toEqual(['Größe', 'Größe'])
  })

  test('a type without text gives its DER', () => {
    expect(decode(withValue(TAG.teletexString, ascii('x'))).attributes[0]?.value).toBe('#140178')
  })

  test('a byte order mark stays', () => {
    expect(decode(withValue(TAG.utf8String, new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).attributes[0]?.value).toBe(
      '\ufeffa',
    )
  })

  test('the empty name is 30 00', () => {
    expect(encodeName([]).der.toHex()).toBe('3000')
    expect(decode(encodeName([]).der).rdns).toEqual([])
  })

  test('what was encoded is decoded to the same', () => {
    const name = encodeName([
      { type: 'C', value: 'DE' },
      { type: 'DC', value: 'internal' },
      { type: 'O', value: 'Land Brandenburg' },
      { type: 'CN', value: 'Zwölf' },
    ])
    expect(decode(name.der)).toEqual(name)
  })

  test('names of other string types are other names', () => {
    const utf8 = decode(withValue(TAG.utf8String, ascii('a')))
    expect(sameName(utf8, decode(withValue(TAG.printableString, ascii('a'))))).toBe(false)
    expect(sameName(utf8, encodeName([{ type: 'CN', value: 'a' }]))).toBe(true)
  })
})

describe('for people', () => {
  test.each([
    [
      'most specific first',
      [
        ['C', 'DE'],
        ['CN', 'x'],
      ],
      'CN=x,C=DE',
    ],
    ['special characters', [['O', 'a,b+c"d\\e<f>g;h=i']], String.raw`O=a\,b\+c\"d\\e\<f\>g\;h\=i`],
    ['leading hash', [['O', '#a']], String.raw`O=\#a`],
    ['spaces at both ends', [['O', ' a ']], String.raw`O=\ a\ `],
    ['a line feed cannot start a line', [['O', 'a\nb']], String.raw`O=a\0ab`],
  ] as const)('%s', (_, attributes, text) => {
    expect(formatName(encodeName(attributes.map(([type, value]) => ({ type, value }))))).toBe(text)
  })
})

describe('what is not written', () => {
  test.each<[string, AttributeType, string]>([
    ['an empty value', 'CN', ''],
    ['65 characters', 'CN', 'a'.repeat(65)],
    ['a country of three letters', 'C', 'DEU'],
    ['a country in small letters', 'C', 'de'],
    ['an umlaut in a DC', 'DC', 'ö'],
    ['an at sign in a PrintableString', 'serialNumber', 'a@b'],
  ])('%s', (_, type, value) => {
    expect(() => encodeName([{ type, value }])).toThrow(TypeError)
  })
})
