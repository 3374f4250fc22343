import { oid, readOid } from './der/oid.ts'
import type { DerReader } from './der/reader.ts'
import { atEnd, peekTag, readPrimitive, readRaw, readSequence, readSetOf, sameBytes, withRaw } from './der/reader.ts'
import { TAG } from './der/tag.ts'
import { asciiString, encodeDer, sequence, setOf, utf8String } from './der/writer.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'

/** A distinguished name, kept as the bytes it came in: an issuer field is the raw bytes of the CA's subject. */
export interface Name {
  readonly der: Uint8Array
  /** Relative distinguished names as DER, outermost first. */
  readonly rdns: readonly Uint8Array[]
  /** All attributes in the order written. A value of a type without text is `#` and its DER in hex (RFC 4514 §2.4). */
  readonly attributes: readonly NameAttribute[]
}

export interface NameAttribute {
  readonly oid: string
  readonly value: string
  /** There where `value` stands for a type without text. */
  readonly isRaw?: true
}

export type AttributeType = keyof typeof ATTRIBUTE_TYPES

/** @throws {X509Error} der_* codes. */
export function readName(reader: DerReader): Name {
  const attributes: NameAttribute[] = []
  const rdns: Uint8Array[] = []
  const { raw } = withRaw(reader, (outer) => {
    const names = readSequence(outer)
    while (!atEnd(names)) {
      const rdn = withRaw(names, (set) => readSetOf(set, readAttribute))
      rdns.push(rdn.raw)
      attributes.push(...rdn.value)
    }
  })
  return { der: raw, rdns, attributes }
}

/**
 * One attribute per RDN, in the order given. C and serialNumber become PrintableString, DC and e-mail IA5String, the rest
 * UTF8String (RFC 5280 §4.1.2.4).
 *
 * @throws {TypeError} for a value that its type cannot hold, or longer than 64 characters.
 */
export function encodeName(attributes: readonly { type: AttributeType; value: string }[]): Name {
  const written = attributes.map(({ type, value }) => ({ oid: ATTRIBUTE_TYPES[type].oid, value }))
  const rdns = attributes.map(({ type, value }) => {
    const row = ATTRIBUTE_TYPES[type]
    if (value.length === 0 || value.length > 64) throw new TypeError(`encodeName: ${type} needs 1 to 64 characters`)
    if (type === 'C' && !/^[A-Z]{2}$/.test(value)) throw new TypeError('encodeName: C needs two capital letters')
    if (row.tag === TAG.printableString && !PRINTABLE.test(value)) {
      throw new TypeError(`encodeName: ${type} holds a character outside PrintableString`)
    }
    const text = row.tag === TAG.utf8String ? utf8String(value) : asciiString(row.tag, value)
    return encodeDer(setOf(sequence(oid(row.oid), text)))
  })
  return { der: encodeDer(sequence(...rdns)), rdns, attributes: written }
}

/** String form of RFC 4514: most specific attribute first, multi-valued RDNs joined like single ones. For people. */
export function formatName(name: Name): string {
  return name.attributes
    .map(({ oid: type, value }) => `${SHORT_NAMES.get(type) ?? type}=${escapeValue(value)}`)
    .toReversed()
    .join(',')
}

/** Equality of the encodings. Comparison under string preparation (RFC 5280 §7.1): `samePreparedName`. */
export function sameName(a: Name, b: Name): boolean {
  return sameBytes(a.der, b.der)
}

/** The values of one attribute type. */
export function nameValues(name: Name, attributeOid: string): string[] {
  return name.attributes.filter((attribute) => attribute.oid === attributeOid).map((attribute) => attribute.value)
}

function readAttribute(reader: DerReader): NameAttribute {
  const attribute = readSequence(reader)
  const type = readOid(attribute)
  const isRaw = !TEXT_TAGS.has(peekTag(attribute))
  const value = readText(attribute)
  if (!atEnd(attribute)) throw new X509Error('der_trailing_bytes', 'an attribute has more than a type and a value')
  return isRaw ? { oid: type, value, isRaw } : { oid: type, value }
}

function readText(reader: DerReader): string {
  const tag = peekTag(reader)
  switch (tag) {
    case TAG.utf8String:
      return decodeText(UTF8, readPrimitive(reader, tag))
    case TAG.printableString: {
      const text = latin1(readPrimitive(reader, tag))
      if (!PRINTABLE.test(text)) throw new X509Error('der_string_invalid', 'a character is outside PrintableString')
      return text
    }
    case TAG.ia5String:
      return readIa5(readPrimitive(reader, tag))
    case TAG.bmpString: {
      const content = readPrimitive(reader, tag)
      if (content.length % 2 !== 0) throw new X509Error('der_string_invalid', 'a BMPString has an odd length')
      return decodeText(UTF16, content)
    }
    default:
      return `#${readRaw(reader).toHex()}`
  }
}

/** Text of IA5String content. @throws {X509Error} `der_string_invalid` outside ASCII. */
export function readIa5(content: Uint8Array): string {
  const text = latin1(content)
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) throw new X509Error('der_string_invalid', 'a character is outside IA5String')
  }
  return text
}

function latin1(content: Uint8Array): string {
  let text = ''
  for (const octet of content) text += String.fromCharCode(octet)
  return text
}

function decodeText(decoder: TextDecoder, content: Uint8Array): string {
  try {
    return decoder.decode(content)
  } catch (cause) {
    throw new X509Error('der_string_invalid', 'a string does not hold the characters of its type', { cause })
  }
}

function escapeValue(value: string): string {
  return value
    .replace(/[\\",+<>;=]/g, String.raw`\$&`)
    .replace(/^[ #]| $/g, String.raw`\$&`)
    .replace(/\p{Cc}/gu, (control) => new TextEncoder().encode(control).toHex().replace(/../g, String.raw`\$&`))
}

const TEXT_TAGS: ReadonlySet<number> = new Set([TAG.utf8String, TAG.printableString, TAG.ia5String, TAG.bmpString])
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const UTF16 = new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true })
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/

const ATTRIBUTE_TYPES = {
  CN: { oid: OID.commonName, tag: TAG.utf8String },
  O: { oid: OID.organization, tag: TAG.utf8String },
  OU: { oid: OID.organizationalUnit, tag: TAG.utf8String },
  L: { oid: OID.locality, tag: TAG.utf8String },
  ST: { oid: OID.state, tag: TAG.utf8String },
  C: { oid: OID.country, tag: TAG.printableString },
  serialNumber: { oid: OID.serialNumber, tag: TAG.printableString },
  DC: { oid: OID.domainComponent, tag: TAG.ia5String },
  emailAddress: { oid: OID.emailAddress, tag: TAG.ia5String },
} as const

const SHORT_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries(ATTRIBUTE_TYPES).map(([short, { oid: type }]) => [type, short]),
)
