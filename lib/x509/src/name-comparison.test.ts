import { expect, test } from 'vitest'
import { oid } from './der/oid.ts'
import { viewDer } from './der/reader.ts'
import { TAG } from './der/tag.ts'
import { type Der, encodeDer, primitive, sequence, setOf } from './der/writer.ts'
import { type Name, readName } from './name.ts'
import { samePreparedName } from './name-comparison.ts'
import { OID } from './oid.ts'

const cn = (tag: number, content: string | Uint8Array) =>
  sequence(
    oid(OID.commonName),
    primitive(tag, typeof content === 'string' ? new TextEncoder().encode(content) : content),
  )
const name = (...rdns: (readonly Der[])[]): Name =>
  readName(viewDer(encodeDer(sequence(...rdns.map((rdn) => setOf(...rdn))))))
const utf8 = (text: string): Name => name([cn(TAG.utf8String, text)])
const printable = (text: string): Name => name([cn(TAG.printableString, text)])
const bmp = (text: string): Name => name([cn(TAG.bmpString, Buffer.from(text, 'utf16le').swap16())])
const teletex = (text: string): Name => name([cn(TAG.teletexString, text)])
const org = sequence(oid(OID.organization), primitive(TAG.utf8String, new TextEncoder().encode('VCC')))

const CASES: readonly { readonly name: string; readonly a: Name; readonly b: Name; readonly same: boolean }[] = [
  { name: 'the same bytes', a: utf8('Root'), b: utf8('Root'), same: true },
  { name: 'another string type', a: utf8('Root'), b: printable('Root'), same: true },
  { name: 'BMPString and UTF8String', a: utf8('Würzburg'), b: bmp('Würzburg'), same: true },
  { name: 'another case', a: utf8('ROOT ca'), b: printable('root CA'), same: true },
  { name: 'another case beyond ASCII', a: utf8('ÄRZTE'), b: utf8('ärzte'), same: true },
  { name: 'spaces around and between', a: utf8('  Root   CA '), b: utf8('Root CA'), same: true },
  { name: 'a tab and a no-break space', a: utf8('Root\tCA'), b: utf8('Root\u00a0CA'), same: true },
  { name: 'composed and decomposed', a: utf8('Köln'), b: utf8('Ko\u0308ln'), same: true },
  { name: 'a full-width letter', a: utf8('\uff32oot'), b: utf8('Root'), same: true },
  { name: 'a soft hyphen and a zero width space', a: utf8('Ro\u00ado\u200bt'), b: utf8('Root'), same: true },
  {
    name: 'attributes of one RDN in another order',
    a: name([cn(TAG.utf8String, 'x'), org]),
    b: name([org, cn(TAG.printableString, 'X')]),
    same: true,
  },
  { name: 'no RDN', a: name(), b: name(), same: true },
  { name: 'another letter', a: utf8('Root'), b: utf8('Boot'), same: false },
  { name: 'a space or none', a: utf8('RootCA'), b: utf8('Root CA'), same: false },
  { name: 'a Cyrillic letter that looks alike', a: utf8('Root'), b: utf8('R\u043eot'), same: false },
  { name: 'another attribute', a: name([cn(TAG.utf8String, 'VCC')]), b: name([org]), same: false },
  {
    name: 'RDNs in another order',
    a: name([cn(TAG.utf8String, 'x')], [org]),
    b: name([org], [cn(TAG.utf8String, 'x')]),
    same: false,
  },
  {
    name: 'two RDNs and one of two attributes',
    a: name([cn(TAG.utf8String, 'x')], [org]),
    b: name([cn(TAG.utf8String, 'x'), org]),
    same: false,
  },
  { name: 'one RDN more', a: name([org], [cn(TAG.utf8String, 'x')]), b: name([org]), same: false },
  { name: 'a type without text is itself', a: teletex('Root'), b: teletex('Root'), same: true },
  { name: 'a type without text has no case', a: teletex('Root'), b: teletex('root'), same: false },
  { name: 'a type without text is no text', a: teletex('Root'), b: utf8('Root'), same: false },
  { name: 'a text that spells a type without text', a: teletex('X'), b: utf8('#140158'), same: false },
]

test.each(CASES)('$name', ({ a, b, same }) => {
  expect(samePreparedName(a, b)).toBe(same)
  expect(samePreparedName(b, a)).toBe(same)
})
