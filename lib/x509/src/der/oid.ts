import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import type { DerReader } from './reader.ts'
import { readPrimitive } from './reader.ts'
import { TAG } from './tag.ts'
import { primitive } from './writer.ts'

/** @throws {X509Error} `der_oid_invalid`. */
export function readOid(reader: DerReader, tag: number = TAG.oid): string {
  return oidText(readPrimitive(reader, tag))
}

/**
 * Dotted form of OBJECT IDENTIFIER content octets, at most 64 of them.
 *
 * @throws {X509Error} `der_oid_invalid`.
 */
function oidText(content: Uint8Array): string {
  const last = content[content.length - 1]
  if (last === undefined || content.length > 64 || last >= 0x80) {
    throw new X509Error('der_oid_invalid', 'an object identifier is empty, too long or cut off')
  }
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  let started = false
  for (const octet of content) {
    // "the leading octet of the subidentifier shall not have the value 0x80": X.690 §8.19.2
    if (!started && octet === 0x80) throw new X509Error('der_oid_invalid', 'an arc of an object identifier is padded')
    started = true
    if (typeof arc === 'number' && arc >= 2 ** 45) arc = BigInt(arc)
    arc = typeof arc === 'number' ? arc * 128 + (octet & 0x7f) : (arc << 7n) | BigInt(octet & 0x7f)
    if (octet < 0x80) {
      arcs.push(arc)
      arc = 0
      started = false
    }
  }
  const [first = 0, ...rest] = arcs
  const root = first < 40 ? 0 : first < 80 ? 1 : 2
  const second = typeof first === 'bigint' ? first - 80n : first - root * 40
  return rest.length === 0 ? `${root}.${second}` : `${root}.${second}.${rest.join('.')}`
}

/** OBJECT IDENTIFIER from its dotted form. @throws {TypeError} when it has another form. */
export function oid(text: string, tag: number = TAG.oid): Uint8Array {
  const known = tag === TAG.oid ? KNOWN.get(text) : undefined
  return known ?? encodeOid(text, tag)
}

function encodeOid(text: string, tag: number): Uint8Array {
  if (!isOid(text)) throw new TypeError('oid: not a dotted object identifier')
  const [root = '', second = '', ...rest] = text.split('.')
  const octets: number[] = []
  pushArc(octets, BigInt(root) * 40n + BigInt(second))
  for (const arc of rest) pushArc(octets, arc.length < 10 ? Number(arc) : BigInt(arc))
  return primitive(tag, new Uint8Array(octets))
}

function pushArc(octets: number[], arc: number | bigint): void {
  if (typeof arc === 'bigint') {
    const start = octets.length
    octets.push(Number(arc & 0x7fn))
    for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.splice(start, 0, Number(left & 0x7fn) | 0x80)
    return
  }
  for (let shift = 28; shift > 0; shift -= 7) if (arc >= 2 ** shift) octets.push(((arc >> shift) & 0x7f) | 0x80)
  octets.push(arc & 0x7f)
}

/** Dotted form that X.660 allows: root 0–2, second arc below 40 under the roots 0 and 1. */
export function isOid(text: string): boolean {
  return text.length <= 128 && DOTTED.test(text)
}

const DOTTED = /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*$/

/** The identifiers of this library, written once: nothing changes finished DER. */
const KNOWN: ReadonlyMap<string, Uint8Array> = new Map(
  Object.values(OID).map((text) => [text, encodeOid(text, TAG.oid)]),
)
