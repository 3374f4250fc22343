import { X509Error } from '../errors.ts'
import { TAG } from './tag.ts'

/**
 * A cursor over the content of one DER value. The schema leads: the caller says what comes next, and anything else is
 * refused. Lengths are definite and minimal, tags are single octets, nothing may follow the last expected element.
 */
export interface DerReader {
  readonly bytes: Uint8Array
  readonly end: number
  readonly depth: number
  offset: number
}

const MAX_DEPTH = 16

/**
 * Opens one DER value of at most `maxBytes` octets. The bytes are copied, so that a caller's later write to its buffer
 * cannot change what was checked.
 *
 * @throws {X509Error} `der_too_large`.
 */
export function openDer(der: Uint8Array, maxBytes: number): DerReader {
  if (der.length > maxBytes) {
    throw new X509Error('der_too_large', `${der.length} octets of DER, at most ${maxBytes} are read`)
  }
  return { bytes: new Uint8Array(der), offset: 0, end: der.length, depth: 0 }
}

/** Opens octets that `openDer` has already copied: the content of an OCTET STRING or of an attribute. */
export function viewDer(bytes: Uint8Array): DerReader {
  return { bytes, offset: 0, end: bytes.length, depth: 0 }
}

/** The next tag, or -1 at the end. */
export function peekTag(reader: DerReader): number {
  return reader.offset < reader.end ? (reader.bytes[reader.offset] ?? -1) : -1
}

export function atEnd(reader: DerReader): boolean {
  return reader.offset >= reader.end
}

/** @throws {X509Error} `der_trailing_bytes`. */
export function expectEnd(reader: DerReader): void {
  if (reader.offset < reader.end) {
    throw new X509Error('der_trailing_bytes', `${reader.end - reader.offset} octets follow the end of a value`)
  }
}

/** Steps over one element with this tag and returns where its content starts; the content ends at `reader.offset`. */
function enter(reader: DerReader, tag: number): number {
  const { bytes, end } = reader
  const found = peekTag(reader)
  if (found === -1) throw new X509Error('der_truncated', `a value ends where tag ${tagText(tag)} is expected`)
  if (found !== tag)
    throw new X509Error('der_tag_unexpected', `tag ${tagText(found)} where ${tagText(tag)} is expected`)
  let at = reader.offset + 1
  const first = at < end ? bytes[at++] : undefined
  if (first === undefined) throw new X509Error('der_truncated', 'an element ends inside its header')
  let length = first
  if (first === 0x80) throw new X509Error('der_length_indefinite', 'a length is indefinite')
  if (first > 0x80) {
    const octets = first & 0x7f
    // Three octets count up to 16 MiB, far beyond every size limit here.
    if (octets > 3) throw new X509Error('der_truncated', 'a length exceeds every input')
    if (at + octets > end) throw new X509Error('der_truncated', 'an element ends inside its header')
    length = 0
    for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at++] ?? 0)
    // "the length octets shall be the minimum number of octets": X.690 §10.1
    if (length < 0x80 || length < 2 ** (8 * (octets - 1))) {
      throw new X509Error('der_length_not_minimal', 'a length is longer than necessary')
    }
  }
  if (length > end - at) throw new X509Error('der_truncated', 'an element is longer than what contains it')
  reader.offset = at + length
  return at
}

/** A reader over the content of a constructed element. */
export function readConstructed(reader: DerReader, tag: number): DerReader {
  const depth = reader.depth + 1
  if (depth > MAX_DEPTH) throw new X509Error('der_depth_exceeded', `values nest deeper than ${MAX_DEPTH}`)
  const start = enter(reader, tag)
  return { bytes: reader.bytes, offset: start, end: reader.offset, depth }
}

export function readSequence(reader: DerReader): DerReader {
  return readConstructed(reader, TAG.sequence)
}

/** The content octets of a primitive element, as a view. */
export function readPrimitive(reader: DerReader, tag: number): Uint8Array {
  const start = enter(reader, tag)
  return reader.bytes.subarray(start, reader.offset)
}

/** One element of whatever tag, header included, as a view. Its inside is not looked at. */
export function readRaw(reader: DerReader): Uint8Array {
  const start = reader.offset
  const tag = peekTag(reader)
  // Tag numbers above 30 need more octets; no schema here has one.
  if ((tag & 0x1f) === 0x1f && tag !== -1) throw new X509Error('der_tag_unexpected', 'a tag has more than one octet')
  enter(reader, tag === -1 ? TAG.sequence : tag)
  return reader.bytes.subarray(start, reader.offset)
}

/** Reads with `read` and also returns the octets it read, as a view. */
export function withRaw<T>(reader: DerReader, read: (reader: DerReader) => T): { value: T; raw: Uint8Array } {
  const start = reader.offset
  const value = read(reader)
  return { value, raw: reader.bytes.subarray(start, reader.offset) }
}

export function readBoolean(reader: DerReader, tag: number = TAG.boolean): boolean {
  const content = readPrimitive(reader, tag)
  // "If the encoding represents the boolean value TRUE, its single contents octet shall have all eight bits set": X.690 §11.1
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw new X509Error('der_boolean_invalid', 'a BOOLEAN is neither 00 nor FF')
  }
  return content[0] === 0xff
}

/** BOOLEAN DEFAULT FALSE: absent is FALSE, and FALSE must be absent. */
export function readDefaultFalse(reader: DerReader, tag: number = TAG.boolean): boolean {
  if (peekTag(reader) !== tag) return false
  // "The encoding of a set value or sequence value shall not include an encoding for any component value which is
  // equal to its default value": X.690 §11.5
  if (!readBoolean(reader, tag))
    throw new X509Error('der_default_explicit', 'a FALSE is written where it is the default')
  return true
}

/** INTEGER content octets: two's complement, minimal, a view. */
export function readInteger(reader: DerReader, tag: number = TAG.integer): Uint8Array {
  const content = readPrimitive(reader, tag)
  const [first, second] = content
  if (first === undefined) throw new X509Error('der_integer_invalid', 'an INTEGER is empty')
  // "the bits of the first octet and bit 8 of the second octet shall not all be ones [or] zero": X.690 §8.3.2
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new X509Error('der_integer_invalid', 'an INTEGER is longer than necessary')
  }
  return content
}

/** A small INTEGER from 0 to `max` (at most 2^31 − 1). */
export function readSmallInteger(reader: DerReader, max: number, tag: number = TAG.integer): number {
  const content = readInteger(reader, tag)
  let value = 0
  for (const octet of content) value = value * 256 + octet
  if (content.length > 4 || (content[0] ?? 0) >= 0x80 || value > max) {
    throw new X509Error('der_integer_out_of_range', `an INTEGER is not between 0 and ${max}`)
  }
  return value
}

export function readOctetString(reader: DerReader): Uint8Array {
  return readPrimitive(reader, TAG.octetString)
}

export function readNull(reader: DerReader): void {
  if (readPrimitive(reader, TAG.null).length !== 0) throw new X509Error('der_trailing_bytes', 'a NULL has content')
}

/** A BIT STRING that holds whole octets (keys, signatures), as a view without the leading count. */
export function readBitStringOctets(reader: DerReader): Uint8Array {
  const content = readPrimitive(reader, TAG.bitString)
  if (content[0] !== 0) throw new X509Error('der_bit_string_invalid', 'a BIT STRING does not hold whole octets')
  return content.subarray(1)
}

/** A BIT STRING with named bits: the numbers of the bits that are set, at most `maxBits`. */
export function readNamedBits(reader: DerReader, maxBits: number, tag: number = TAG.bitString): number[] {
  const content = readPrimitive(reader, tag)
  const unused = content[0]
  const last = content[content.length - 1] ?? 0
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0)) {
    throw new X509Error('der_bit_string_invalid', 'a BIT STRING has a wrong count of unused bits')
  }
  // "Where Rec. ITU-T X.680, 22.7, applies, the bitstring shall have all trailing 0 bits removed": X.690 §11.2.2
  // so the last used bit is set, and the unused ones below it are zero (§11.2.1).
  if (content.length > 1 && (last & ((1 << (unused + 1)) - 1)) !== 1 << unused) {
    throw new X509Error('der_bit_string_invalid', 'a BIT STRING has trailing or unused bits')
  }
  if ((content.length - 1) * 8 - unused > maxBits) {
    throw new X509Error('der_bit_string_invalid', `a BIT STRING has more than ${maxBits} bits`)
  }
  const bits: number[] = []
  for (let i = 0; i < (content.length - 1) * 8; i++) {
    if (((content[1 + (i >> 3)] ?? 0) & (0x80 >> (i & 7))) !== 0) bits.push(i)
  }
  return bits
}

/** Every element of a SEQUENCE OF or SET OF with at least one element. */
export function readEach<T>(reader: DerReader, readOne: (reader: DerReader) => T): T[] {
  const list: T[] = []
  while (!atEnd(reader)) list.push(readOne(reader))
  if (list.length === 0) throw new X509Error('der_empty', 'a list that needs an element is empty')
  return list
}

/** A SET OF: elements in ascending order of their encodings, at least one. */
export function readSetOf<T>(reader: DerReader, readOne: (reader: DerReader) => T): T[] {
  const inner = readConstructed(reader, TAG.set)
  let previous: Uint8Array | undefined
  return readEach(inner, (set) => {
    const { value, raw } = withRaw(set, readOne)
    // "the encodings of the component values of a set-of value shall appear in ascending order": X.690 §11.6
    if (previous !== undefined && compareBytes(previous, raw) >= 0) {
      throw new X509Error('der_set_unordered', 'a SET OF is unordered or repeats an element')
    }
    previous = raw
    return value
  })
}

/** Compares as X.690 §11.6 does: octet by octet, the shorter one padded with zeros. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function tagText(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`
}
