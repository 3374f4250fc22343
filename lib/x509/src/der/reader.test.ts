import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { X509Failure } from '../errors.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { oid, readOid } from './oid.ts'
import {
  type DerReader,
  expectEnd,
  openDer,
  readBitStringOctets,
  readBoolean,
  readConstructed,
  readDefaultFalse,
  readEach,
  readInteger,
  readNamedBits,
  readNull,
  readOctetString,
  readRaw,
  readSequence,
  readSetOf,
  readSmallInteger,
} from './reader.ts'
import { TAG } from './tag.ts'
import { encodeTime, readTime } from './time.ts'
import {
  constructed,
  type Der,
  encodeDer,
  integer,
  namedBits,
  octetString,
  primitive,
  sequence,
  setOf,
} from './writer.ts'

interface Case {
  readonly name: string
  readonly der: string
  readonly read: (reader: DerReader) => unknown
  readonly fails?: X509Failure
}

const bits = (reader: DerReader): number[] => readNamedBits(reader, 9)
const small = (reader: DerReader): number => readSmallInteger(reader, 255)

const CASES: readonly Case[] = [
  { name: 'nothing', der: '', read: readOctetString, fails: 'der_truncated' },
  { name: 'a tag alone', der: '04', read: readOctetString, fails: 'der_truncated' },
  { name: 'a length without its octets', der: '0482', read: readOctetString, fails: 'der_truncated' },
  { name: 'a length without all its octets', der: '048201', read: readOctetString, fails: 'der_truncated' },
  { name: 'content shorter than its length', der: '0403 0102', read: readOctetString, fails: 'der_truncated' },
  { name: 'a length of 2^32', der: '0485 0100000000', read: readOctetString, fails: 'der_truncated' },
  { name: 'a length of four octets', der: '0484 00000001 00', read: readOctetString, fails: 'der_truncated' },
  { name: 'the reserved length FF', der: '04ff 00', read: readOctetString, fails: 'der_truncated' },
  { name: 'an indefinite length', der: '3080 0500 0000', read: readSequence, fails: 'der_length_indefinite' },
  { name: 'a long form for a short length', der: '0481 01 00', read: readOctetString, fails: 'der_length_not_minimal' },
  {
    name: 'a long form for 127',
    der: `04817f${'00'.repeat(127)}`,
    read: readOctetString,
    fails: 'der_length_not_minimal',
  },
  {
    name: 'two octets for 128',
    der: `04820080${'00'.repeat(128)}`,
    read: readOctetString,
    fails: 'der_length_not_minimal',
  },
  { name: 'one octet for 128', der: `048180${'00'.repeat(128)}`, read: readOctetString },
  { name: 'another tag', der: '0500', read: readOctetString, fails: 'der_tag_unexpected' },
  { name: 'a constructed OCTET STRING', der: '2403 040100', read: readOctetString, fails: 'der_tag_unexpected' },
  { name: 'a tag of two octets', der: '1f1f00', read: readRaw, fails: 'der_tag_unexpected' },
  { name: 'an octet after the end', der: '0401 00 00', read: readOctetString, fails: 'der_trailing_bytes' },
  {
    name: 'an element longer than its parent',
    der: '3003 040200 00',
    read: (r) => readEach(readSequence(r), readOctetString),
    fails: 'der_truncated',
  },
  { name: 'an empty list', der: '3000', read: (r) => readEach(readSequence(r), readOctetString), fails: 'der_empty' },
  { name: 'BOOLEAN 01', der: '0101 01', read: readBoolean, fails: 'der_boolean_invalid' },
  { name: 'an empty BOOLEAN', der: '0100', read: readBoolean, fails: 'der_boolean_invalid' },
  { name: 'a BOOLEAN of two octets', der: '0102 ffff', read: readBoolean, fails: 'der_boolean_invalid' },
  { name: 'a written default', der: '0101 00', read: readDefaultFalse, fails: 'der_default_explicit' },
  { name: 'TRUE beside a default', der: '0101 ff', read: readDefaultFalse },
  { name: 'an empty INTEGER', der: '0200', read: readInteger, fails: 'der_integer_invalid' },
  { name: 'an INTEGER with a leading zero', der: '0202 007f', read: readInteger, fails: 'der_integer_invalid' },
  { name: 'a negative INTEGER with a leading FF', der: '0202 ff80', read: readInteger, fails: 'der_integer_invalid' },
  { name: 'an INTEGER with a sign octet', der: '0202 0080', read: readInteger },
  { name: 'a negative small INTEGER', der: '0201 ff', read: small, fails: 'der_integer_out_of_range' },
  { name: 'a small INTEGER above its maximum', der: '0202 0100', read: small, fails: 'der_integer_out_of_range' },
  {
    name: 'a small INTEGER of nine octets',
    der: '0209 010000000000000000',
    read: small,
    fails: 'der_integer_out_of_range',
  },
  { name: 'a NULL with content', der: '0501 00', read: readNull, fails: 'der_trailing_bytes' },
  { name: 'an empty BIT STRING', der: '0300', read: readBitStringOctets, fails: 'der_bit_string_invalid' },
  { name: 'octets with unused bits', der: '0302 0180', read: readBitStringOctets, fails: 'der_bit_string_invalid' },
  { name: 'named bits without a count', der: '0300', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'eight unused bits', der: '0302 0880', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'unused bits of nothing', der: '0301 01', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'a trailing zero bit', der: '0302 0680', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'an unused bit that is set', der: '0302 0781', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'a trailing zero octet', der: '0303 078000', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'a tenth bit', der: '0303 060040', read: bits, fails: 'der_bit_string_invalid' },
  { name: 'nine bits', der: '0303 070080', read: bits },
  { name: 'an empty OID', der: '0600', read: readOid, fails: 'der_oid_invalid' },
  { name: 'an OID cut off', der: '0602 2a86', read: readOid, fails: 'der_oid_invalid' },
  { name: 'an OID with a padded arc', der: '0603 2a8001', read: readOid, fails: 'der_oid_invalid' },
  { name: 'an OID of 65 octets', der: `0641${'01'.repeat(65)}`, read: readOid, fails: 'der_oid_invalid' },
  {
    name: 'a SET OF in the wrong order',
    der: '3106 040102 040101',
    read: (r) => readSetOf(r, readRaw),
    fails: 'der_set_unordered',
  },
  {
    name: 'a SET OF with a repetition',
    der: '3106 040101 040101',
    read: (r) => readSetOf(r, readRaw),
    fails: 'der_set_unordered',
  },
  { name: 'a time with a fraction', der: time(0x18, '20500101000000.5Z'), read: readTime, fails: 'der_time_invalid' },
  { name: 'a time without seconds', der: time(0x17, '2601010000Z'), read: readTime, fails: 'der_time_invalid' },
  { name: 'a time with an offset', der: time(0x17, '260101000000+0100'), read: readTime, fails: 'der_time_invalid' },
  { name: 'the 30th of February', der: time(0x17, '260230000000Z'), read: readTime, fails: 'der_time_invalid' },
  { name: 'the 61st second', der: time(0x17, '260101000060Z'), read: readTime, fails: 'der_time_invalid' },
  { name: '2049 as GeneralizedTime', der: time(0x18, '20491231235959Z'), read: readTime, fails: 'der_time_invalid' },
  { name: '2050 as GeneralizedTime', der: time(0x18, '20500101000000Z'), read: readTime },
  { name: 'no time at all', der: '0c00', read: readTime, fails: 'der_tag_unexpected' },
]

function time(tag: number, text: string): string {
  return primitive(tag, new TextEncoder().encode(text)).toHex()
}

describe('reader', () => {
  test.each(CASES)('$name', ({ der, read, fails }) => {
    expect(
      refusalOf(() => {
        const reader = openDer(hex(der), 1024)
        read(reader)
        expectEnd(reader)
      }),
    ).toBe(fails)
  })

  test('more octets than allowed are not looked at', () => {
    expect({ fails: refusalOf(() => openDer(new Uint8Array(1025), 1024)) }).toEqual({ fails: 'der_too_large' })
  })

  test('values nest no deeper than 16', () => {
    let der: Der = octetString(new Uint8Array(1))
    for (let i = 0; i < 40; i++) der = sequence(der)
    const nested = encodeDer(der)
    expect({
      fails: refusalOf(() => {
        let reader = openDer(nested, 1024)
        for (;;) reader = readSequence(reader)
      }),
    }).toEqual({ fails: 'der_depth_exceeded' })
  })

  test('what was opened does not change with the buffer it came from', () => {
    const buffer = hex('0401 07')
    const reader = openDer(buffer, 16)
    buffer[2] = 8
    expect(readOctetString(reader)).toEqual(new Uint8Array([7]))
  })

  test('a Buffer from the pool is copied too', () => {
    const buffer = Buffer.from('040107', 'hex')
    const reader = openDer(buffer, 16)
    buffer[2] = 8
    expect(readOctetString(reader)).toEqual(new Uint8Array([7]))
  })
})

type Tree =
  | { readonly tag: number; readonly content: Uint8Array }
  | { readonly tag: number; readonly parts: readonly Tree[] }

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ tag: fc.constantFrom(0x02, 0x04, 0x0c, 0x80), content: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ tag: fc.constantFrom(0x30, 0xa0, 0xa3), parts: fc.array(tie('tree'), { maxLength: 4 }) }),
  ),
}))

function writeTree(node: Tree): Der {
  return 'content' in node ? primitive(node.tag, node.content) : constructed(node.tag, ...node.parts.map(writeTree))
}

function readTree(reader: DerReader, shape: Tree): Tree {
  if ('content' in shape) {
    const raw = readRaw(reader)
    return { tag: shape.tag, content: raw.subarray(raw.length - shape.content.length) }
  }
  const inner = readConstructed(reader, shape.tag)
  const parts = shape.parts.map((part) => readTree(inner, part))
  expectEnd(inner)
  return { tag: shape.tag, parts }
}

describe('round trips', () => {
  test('what is written is read back, and written again the same', () => {
    fc.assert(
      fc.property(tree, (node) => {
        const der = encodeDer(writeTree(node))
        const reader = openDer(der, 1 << 20)
        const read = readTree(reader, node)
        expectEnd(reader)
        expect(encodeDer(writeTree(read))).toEqual(der)
      }),
      { numRuns: 300 },
    )
  })

  test('unsigned integers', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 200n }), (value) => {
        const digits = value.toString(16)
        const octets = Uint8Array.fromHex(digits.length % 2 === 0 ? digits : `0${digits}`)
        const content = readInteger(openDer(integer(octets), 64))
        expect(BigInt(`0x${content.toHex()}`)).toBe(value)
        expect((content[0] ?? 0xff) < 0x80).toBe(true)
      }),
    )
  })

  test('small integers', () => {
    fc.assert(
      fc.property(fc.nat(), (n) => {
        expect(readSmallInteger(openDer(integer(n), 64), 2 ** 31 - 1)).toBe(n)
      }),
    )
  })

  test('object identifiers', () => {
    const arcs = fc.array(fc.bigInt({ min: 0n, max: 2n ** 128n }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(fc.constantFrom('0.0', '0.39', '1.2', '1.39', '2.0', '2.5', '2.999'), arcs, (root, rest) => {
        const text = [root, ...rest].join('.')
        expect(readOid(openDer(oid(text), 256))).toBe(text)
      }),
    )
  })

  test('named bits', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(8)), (set) => {
        expect(readNamedBits(openDer(namedBits(set), 16), 9)).toEqual(set.toSorted((a, b) => a - b))
      }),
    )
  })

  test('instants', () => {
    const seconds = fc.integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000 })
    fc.assert(
      fc.property(seconds, (s) => {
        const written = encodeTime(new Date(s * 1000))
        expect(readTime(openDer(written, 32)).getTime()).toBe(s * 1000)
        expect(written[0]).toBe(new Date(s * 1000).getUTCFullYear() < 2050 ? TAG.utcTime : TAG.generalizedTime)
      }),
    )
  })

  test('a SET OF is written in order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(70_000), { minLength: 1, maxLength: 6 }), (numbers) => {
        const der = encodeDer(setOf(...numbers.map((n) => integer(n))))
        const read = readSetOf(openDer(der, 256), (reader) => readSmallInteger(reader, 70_000))
        expect(read.toSorted((a, b) => a - b)).toEqual(numbers.toSorted((a, b) => a - b))
      }),
    )
  })
})

describe('writer refuses what is no value', () => {
  test.each([
    ['an OID with one arc', () => oid('1')],
    ['an OID with a third root', () => oid('3.1')],
    ['an OID 1.40', () => oid('1.40')],
    ['an OID with a padded arc', () => oid('1.2.03')],
    ['a negative integer', () => integer(-1)],
    ['a fraction', () => integer(1.5)],
    ['a time with milliseconds', () => encodeTime(new Date(1))],
    ['a time before 1950', () => encodeTime(new Date('1949-12-31T23:59:59Z'))],
    ['no time', () => encodeTime(new Date(Number.NaN))],
  ])('%s', (_, write) => {
    expect(write).toThrow(TypeError)
  })

  test('2049 ends as UTCTime and 2050 begins as GeneralizedTime', () => {
    expect(encodeTime(new Date('2049-12-31T23:59:59Z')).toHex()).toBe(time(0x17, '491231235959Z'))
    expect(encodeTime(new Date('2050-01-01T00:00:00Z')).toHex()).toBe(time(0x18, '20500101000000Z'))
  })
})
