import type { DerReader } from './der/reader.ts'
import { expectEnd, peekTag, readConstructed, readPrimitive, readRaw } from './der/reader.ts'
import { contextConstructed, contextPrimitive } from './der/tag.ts'
import type { Der } from './der/writer.ts'
import { asciiString, constructed, primitive } from './der/writer.ts'
import { X509Error } from './errors.ts'
import type { Name } from './name.ts'
import { readIa5, readName } from './name.ts'

/**
 * A GeneralName (RFC 5280 §4.2.1.6). `ip` holds the octets as written: 4 or 16 in a name, 8 or 32 in a constraint.
 * `other` stands for otherName, x400Address, ediPartyName and registeredID, which nothing here interprets.
 */
export type GeneralName =
  | { readonly type: 'dns' | 'uri' | 'email'; readonly value: string }
  | { readonly type: 'ip'; readonly octets: Uint8Array }
  | { readonly type: 'directory'; readonly name: Name }
  | { readonly type: 'other'; readonly tag: number; readonly der: Uint8Array }

export type GeneralNameType = GeneralName['type']

/** @throws {X509Error} `der_tag_unexpected` for a tag that is no GeneralName, and other der_* codes. */
export function readGeneralName(reader: DerReader): GeneralName {
  const tag = peekTag(reader)
  switch (tag) {
    case TAGS.email:
      return { type: 'email', value: readIa5(readPrimitive(reader, tag)) }
    case TAGS.dns:
      return { type: 'dns', value: readIa5(readPrimitive(reader, tag)) }
    case TAGS.uri:
      return { type: 'uri', value: readIa5(readPrimitive(reader, tag)) }
    case TAGS.ip:
      return { type: 'ip', octets: readPrimitive(reader, tag) }
    case TAGS.directory: {
      // Name is a CHOICE, so the tag is explicit.
      const inner = readConstructed(reader, tag)
      const name = readName(inner)
      expectEnd(inner)
      return { type: 'directory', name }
    }
    case TAGS.otherName:
    case TAGS.x400Address:
    case TAGS.ediPartyName:
    case TAGS.registeredId:
      return { type: 'other', tag, der: readRaw(reader) }
    default:
      throw new X509Error('der_tag_unexpected', 'a GeneralName has an unknown tag')
  }
}

export function encodeGeneralName(name: GeneralName): Der {
  switch (name.type) {
    case 'dns':
    case 'uri':
    case 'email':
      return asciiString(TAGS[name.type], name.value)
    case 'ip':
      return primitive(TAGS.ip, name.octets)
    case 'directory':
      return constructed(TAGS.directory, name.name.der)
    case 'other':
      return name.der
    default:
      return name satisfies never
  }
}

const TAGS = {
  otherName: contextConstructed(0),
  email: contextPrimitive(1),
  dns: contextPrimitive(2),
  x400Address: contextConstructed(3),
  directory: contextConstructed(4),
  ediPartyName: contextConstructed(5),
  uri: contextPrimitive(6),
  ip: contextPrimitive(7),
  registeredId: contextPrimitive(8),
} as const
