import { compareBytes } from './reader.ts'
import { TAG } from './tag.ts'

/** Something to write: finished DER, or a value whose children are still apart. Written once, by `encodeDer`. */
export type Der = Uint8Array | DerNode

export interface DerNode {
  readonly tag: number
  readonly contentLength: number
  readonly parts: readonly Der[]
}

/** A value around others, in the order given. `undefined` stands for an absent OPTIONAL or DEFAULT component. */
export function constructed(tag: number, ...components: readonly (Der | undefined)[]): DerNode {
  const parts: Der[] = []
  let contentLength = 0
  for (const part of components) {
    if (part === undefined) continue
    parts.push(part)
    contentLength += encodedLength(part)
  }
  return { tag, contentLength, parts }
}

/** A SEQUENCE of any number of values: `sequence` takes its own as arguments, and the stack holds only so many. */
export function sequenceOf(parts: readonly Der[]): DerNode {
  let contentLength = 0
  for (const part of parts) contentLength += encodedLength(part)
  return { tag: TAG.sequence, contentLength, parts }
}

export function sequence(...components: readonly (Der | undefined)[]): DerNode {
  return constructed(TAG.sequence, ...components)
}

/** SET OF, sorted as X.690 §11.6 demands. */
export function setOf(...components: readonly Der[]): DerNode {
  return constructed(TAG.set, ...components.map(encodeDer).toSorted(compareBytes))
}

/** One flat allocation for the whole tree; finished DER is returned as it is. */
export function encodeDer(der: Der): Uint8Array {
  if (der instanceof Uint8Array) return der
  const out = new Uint8Array(encodedLength(der))
  write(der, out, 0)
  return out
}

/** A primitive value with this tag. */
export function primitive(tag: number, content: Uint8Array): Uint8Array {
  const out = new Uint8Array(encodedLengthOf(content.length))
  out.set(content, writeHeader(out, 0, tag, content.length))
  return out
}

export function boolean(value: boolean): Uint8Array {
  return new Uint8Array([TAG.boolean, 1, value ? 0xff : 0])
}

export const NULL: Uint8Array = new Uint8Array([TAG.null, 0])

/** A small non-negative INTEGER, or one from big-endian unsigned octets. */
export function integer(value: number | Uint8Array, tag: number = TAG.integer): Uint8Array {
  return primitive(tag, integerContent(typeof value === 'number' ? numberOctets(value) : value))
}

export function octetString(content: Der): Uint8Array {
  return primitive(TAG.octetString, encodeDer(content))
}

/** A BIT STRING of whole octets. */
export function bitString(octets: Uint8Array): Uint8Array {
  const content = new Uint8Array(octets.length + 1)
  content.set(octets, 1)
  return primitive(TAG.bitString, content)
}

/** A BIT STRING of named bits: trailing zero bits removed (X.690 §11.2.2). */
export function namedBits(bits: readonly number[], tag: number = TAG.bitString): Uint8Array {
  const highest = Math.max(-1, ...bits)
  const content = new Uint8Array(1 + Math.ceil((highest + 1) / 8))
  content[0] = (8 - ((highest + 1) % 8)) % 8
  for (const bit of bits) content[1 + (bit >> 3)] = (content[1 + (bit >> 3)] ?? 0) | (0x80 >> (bit & 7))
  return primitive(tag, content)
}

export function utf8String(text: string): Uint8Array {
  return primitive(TAG.utf8String, UTF8.encode(text))
}

/** IA5String or another type of one octet per character. The caller has checked the alphabet. */
export function asciiString(tag: number, text: string): Uint8Array {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) throw new TypeError('asciiString: a character is not ASCII')
  }
  return primitive(tag, UTF8.encode(text))
}

const UTF8 = new TextEncoder()

function integerContent(octets: Uint8Array): Uint8Array {
  let start = 0
  while (start < octets.length - 1 && octets[start] === 0) start++
  const trimmed = octets.subarray(start)
  if (trimmed.length > 0 && (trimmed[0] ?? 0) < 0x80) return trimmed
  const padded = new Uint8Array(trimmed.length + 1)
  padded.set(trimmed, 1)
  return padded
}

function numberOctets(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError('integer: not a non-negative safe integer')
  const octets: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return new Uint8Array(octets)
}

function encodedLength(der: Der): number {
  return der instanceof Uint8Array ? der.length : encodedLengthOf(der.contentLength)
}

function encodedLengthOf(contentLength: number): number {
  if (contentLength < 0x80) return contentLength + 2
  if (contentLength < 0x100) return contentLength + 3
  if (contentLength < 0x10000) return contentLength + 4
  if (contentLength < 0x1000000) return contentLength + 5
  throw new TypeError('a DER value above 16 MiB is not written')
}

function write(der: Der, out: Uint8Array, offset: number): number {
  if (der instanceof Uint8Array) {
    out.set(der, offset)
    return offset + der.length
  }
  let at = writeHeader(out, offset, der.tag, der.contentLength)
  for (const part of der.parts) at = write(part, out, at)
  return at
}

function writeHeader(out: Uint8Array, offset: number, tag: number, length: number): number {
  let at = offset
  out[at++] = tag
  if (length >= 0x80) {
    const octets = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3
    out[at++] = 0x80 | octets
    for (let shift = 8 * (octets - 1); shift > 0; shift -= 8) out[at++] = (length >> shift) & 0xff
  }
  out[at++] = length & 0xff
  return at
}
