import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { contextConstructed, contextPrimitive } from '../der/tag.ts'
import { constructed, integer, primitive, sequence } from '../der/writer.ts'
import type { X509Failure } from '../errors.ts'
import * as extension from '../extension/encode.ts'
import { encodeGeneralName, type GeneralName } from '../general-name.ts'
import { encodeName } from '../name.ts'
import { OID } from '../oid.ts'
import { pssSpki } from '../testing/edit.ts'
import { dnsNames, type Foreign, foreignCa, foreignLeaf } from '../testing/foreign.ts'
import { AT, type Slots, type TestKey, testKey } from '../testing/mint.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { findPath } from './find.ts'
import type { PathProfileName } from './profile.ts'

const root = foreignCa()
const NAMELESS = encodeName([])
const subject = (cn: string) => encodeName([{ type: 'CN', value: cn }])
const raw = (oid: string, critical: boolean, content: string): Uint8Array =>
  extension.encodeExtension(oid, critical, hex(content))

interface Case {
  readonly name: string
  readonly leaf?: Parameters<typeof foreignLeaf>[0]['slots'] | Foreign
  readonly ca?: Slots | Foreign
  readonly root?: Slots | Foreign
  /** By profile what the path is refused with; `-` when it is not. In the order path, rfc5280, webpki. */
  readonly refused: readonly [path: X509Failure | '-', rfc5280: X509Failure | '-', webpki: X509Failure | '-']
}

const everywhere = (fails: X509Failure): Case['refused'] => [fails, fails, fails]
const conforming = (fails: X509Failure): Case['refused'] => ['-', fails, fails]
const webpki = (fails: X509Failure): Case['refused'] => ['-', '-', fails]

const NC = { permitted: [{ type: 'dns', value: 'example.com' } as const], excluded: [] }
const namedConstraints = (critical: boolean): Slots => ({
  // encodeNameConstraints writes critical ones only.
  constraints: critical
    ? extension.encodeNameConstraints(NC)
    : raw(OID.nameConstraints, false, '3011 a00f 300d 820b 6578616d706c652e636f6d'),
})
const authority = (...fields: Uint8Array[]): Slots => ({
  authorityKeyId: extension.encodeExtension(OID.authorityKeyId, false, sequence(...fields)),
})
const keyId = primitive(contextPrimitive(0), root.key.publicKey.subjectKeyId)
const authorityIssuer = constructed(
  contextConstructed(1),
  encodeGeneralName({ type: 'directory', name: root.certificate.subject }),
)
const authoritySerial = integer(1, contextPrimitive(2))
const altNames = (name: GeneralName): Uint8Array =>
  extension.encodeSubjectAltName([{ type: 'dns', value: 'server.example.com' }, name], false)
const email = (value: string) => ({ type: 'email', value }) as const

const CASES: readonly Case[] = [
  { name: 'a path that all want', refused: ['-', '-', '-'] },
  // Key identifiers
  {
    name: 'a leaf without authorityKeyIdentifier',
    leaf: { authorityKeyId: undefined },
    refused: conforming('key_identifier_missing'),
  },
  {
    name: 'a CA without authorityKeyIdentifier',
    ca: { authorityKeyId: undefined },
    refused: conforming('key_identifier_missing'),
  },
  {
    name: 'a CA without subjectKeyIdentifier',
    ca: { subjectKeyId: undefined },
    refused: conforming('key_identifier_missing'),
  },
  {
    name: 'a root without subjectKeyIdentifier',
    root: { subjectKeyId: undefined },
    refused: conforming('key_identifier_missing'),
  },
  { name: 'a root without authorityKeyIdentifier', root: { authorityKeyId: undefined }, refused: ['-', '-', '-'] },
  {
    name: 'an anchor that another root issued, without authorityKeyIdentifier',
    root: foreignCa({ issuer: root, slots: { authorityKeyId: undefined } }),
    refused: conforming('key_identifier_missing'),
  },
  { name: 'a leaf without subjectKeyIdentifier', leaf: { subjectKeyId: undefined }, refused: ['-', '-', '-'] },
  {
    name: 'an authorityKeyIdentifier without key identifier',
    leaf: { ...authority() },
    refused: conforming('key_identifier_missing'),
  },
  {
    name: 'an authorityKeyIdentifier with issuer and serial',
    ca: {
      authorityKeyId: extension.encodeExtension(
        OID.authorityKeyId,
        false,
        sequence(keyId, authorityIssuer, authoritySerial),
      ),
    },
    refused: webpki('key_identifier_form'),
  },
  {
    name: 'a root that names another key',
    root: { ...authority(primitive(contextPrimitive(0), hex('0102'))) },
    refused: webpki('key_identifier_form'),
  },
  // Criticality
  {
    name: 'a critical authorityKeyIdentifier',
    leaf: { authorityKeyId: extension.encodeExtension(OID.authorityKeyId, true, sequence(keyId)) },
    refused: everywhere('extension_critical_unknown'),
  },
  {
    name: 'a CA without critical basicConstraints',
    ca: { basicConstraints: raw(OID.basicConstraints, false, '3003 0101ff') },
    refused: conforming('extension_criticality'),
  },
  {
    name: 'a root without critical basicConstraints',
    root: { basicConstraints: raw(OID.basicConstraints, false, '3003 0101ff') },
    refused: conforming('extension_criticality'),
  },
  {
    name: 'policyConstraints that are not critical',
    ca: { policy: raw(OID.policyConstraints, false, '3003 810100') },
    refused: conforming('extension_criticality'),
  },
  {
    name: 'inhibitAnyPolicy that is not critical',
    ca: { policy: raw(OID.inhibitAnyPolicy, false, '020100') },
    refused: conforming('extension_criticality'),
  },
  {
    name: 'name constraints that are not critical',
    ca: namedConstraints(false),
    refused: ['-', 'extension_criticality', '-'],
  },
  { name: 'critical name constraints', ca: namedConstraints(true), refused: ['-', '-', '-'] },
  {
    name: 'an empty subject and names that are not critical',
    leaf: foreignLeaf({ issuer: root, name: NAMELESS }),
    refused: conforming('extension_criticality'),
  },
  {
    name: 'an empty subject and critical names',
    leaf: foreignLeaf({
      issuer: root,
      name: NAMELESS,
      slots: { subjectAltName: extension.encodeSubjectAltName([{ type: 'dns', value: 'server.example.com' }], true) },
    }),
    refused: ['-', '-', '-'],
  },
  {
    name: 'a subject and critical names',
    leaf: { subjectAltName: extension.encodeSubjectAltName([{ type: 'dns', value: 'server.example.com' }], true) },
    refused: webpki('extension_criticality'),
  },
  {
    name: 'a critical extKeyUsage of the leaf',
    leaf: { extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth], true) },
    refused: webpki('extension_criticality'),
  },
  // CA or not
  {
    name: 'a leaf that may sign certificates',
    leaf: { keyUsage: extension.encodeKeyUsage(['digitalSignature', 'keyCertSign']) },
    refused: conforming('key_usage_without_ca'),
  },
  {
    name: 'a leaf that may sign CRLs',
    leaf: { keyUsage: extension.encodeKeyUsage(['digitalSignature', 'cRLSign']) },
    refused: webpki('leaf_key_usage'),
  },
  { name: 'a leaf that constrains names', leaf: namedConstraints(true), refused: conforming('extension_on_leaf') },
  {
    name: 'a CA as leaf',
    leaf: foreignCa({
      issuer: root,
      slots: { subjectAltName: dnsNames('CA'), extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth], false) },
    }),
    refused: webpki('leaf_is_a_ca'),
  },
  {
    name: 'a CA without name as leaf',
    leaf: foreignCa({ issuer: root, name: NAMELESS }),
    refused: ['-', 'subject_empty', 'subject_empty'],
  },
  // Names
  {
    name: 'no subject and no other name',
    leaf: foreignLeaf({ issuer: root, name: NAMELESS, slots: { subjectAltName: undefined } }),
    refused: conforming('subject_alt_name_missing'),
  },
  {
    name: 'a subject and no other name',
    leaf: { subjectAltName: undefined },
    refused: webpki('subject_alt_name_missing'),
  },
  {
    name: 'a host with an underscore',
    leaf: { subjectAltName: dnsNames('server.example.com', 'a_b.example.com') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'an address as host',
    leaf: { subjectAltName: dnsNames('server.example.com', '192.0.2.1') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a host that begins with a period',
    leaf: { subjectAltName: dnsNames('server.example.com', '.example.com') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a host of a blank',
    leaf: { subjectAltName: dnsNames('server.example.com', ' ') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a mailbox with two hosts',
    leaf: { subjectAltName: altNames(email('a@example.org@example.com')) },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a mailbox without a host',
    leaf: { subjectAltName: altNames(email('example.com')) },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a mailbox with a quoted at sign',
    leaf: { subjectAltName: altNames(email('"a@example.org"@example.com')) },
    refused: ['-', '-', '-'],
  },
  {
    name: 'a relative URI',
    leaf: { subjectAltName: altNames({ type: 'uri', value: '//example.com/a' }) },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a URI with a blank',
    leaf: { subjectAltName: altNames({ type: 'uri', value: 'https://example.com/a b' }) },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a SPIFFE ID',
    leaf: { subjectAltName: altNames({ type: 'uri', value: 'spiffe://vcc.internal/org/a/svc/b' }) },
    refused: ['-', '-', '-'],
  },
  {
    name: 'a wildcard for everything',
    leaf: { subjectAltName: dnsNames('server.example.com', '*') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a wildcard in an inner label',
    leaf: { subjectAltName: dnsNames('server.example.com', 'a.*.example.com') },
    refused: conforming('alt_name_invalid'),
  },
  {
    name: 'a wildcard below a top level',
    leaf: { subjectAltName: dnsNames('server.example.com', '*.com') },
    refused: webpki('wildcard_too_wide'),
  },
  {
    name: 'a wildcard below a public suffix',
    leaf: { subjectAltName: dnsNames('server.example.com', '*.CO.uk') },
    refused: webpki('wildcard_too_wide'),
  },
  {
    name: 'a wildcard below a domain',
    leaf: { subjectAltName: dnsNames('server.example.com', '*.example.co.uk') },
    refused: ['-', '-', '-'],
  },
  {
    name: 'a common name that is another host',
    leaf: foreignLeaf({ issuer: root, name: subject('example.org') }),
    refused: webpki('common_name_foreign'),
  },
  {
    name: 'a common name in another case',
    leaf: foreignLeaf({ issuer: root, name: subject('SERVER.example.com') }),
    refused: webpki('common_name_foreign'),
  },
  {
    name: 'a common name that is the domain of a wildcard',
    leaf: foreignLeaf({
      issuer: root,
      name: subject('example.com'),
      slots: { subjectAltName: dnsNames('*.example.com') },
    }),
    refused: ['-', '-', '-'],
  },
  {
    name: 'a common name beside a mailbox alone',
    leaf: { subjectAltName: extension.encodeSubjectAltName([email('a@example.com')], false) },
    refused: ['-', '-', '-'],
  },
  {
    name: 'an address as common name',
    leaf: foreignLeaf({
      issuer: root,
      name: subject('192.0.2.1'),
      slots: { subjectAltName: extension.encodeSubjectAltName([{ type: 'ip', octets: hex('c0000201') }], false) },
    }),
    refused: ['-', '-', '-'],
  },
  {
    name: 'an address in hex as common name',
    leaf: foreignLeaf({
      issuer: root,
      name: subject('0xC0000201'),
      slots: { subjectAltName: extension.encodeSubjectAltName([{ type: 'ip', octets: hex('c0000201') }], false) },
    }),
    refused: webpki('common_name_foreign'),
  },
  {
    name: 'an address with zeros as common name',
    leaf: foreignLeaf({
      issuer: root,
      name: subject('192.000.002.001'),
      slots: { subjectAltName: extension.encodeSubjectAltName([{ type: 'ip', octets: hex('c0000201') }], false) },
    }),
    refused: webpki('common_name_foreign'),
  },
  // Usages
  { name: 'a leaf without usage', leaf: { extKeyUsage: undefined }, refused: webpki('eku_missing') },
  {
    name: 'a leaf for every usage',
    leaf: { extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth, OID.anyExtKeyUsage], false) },
    refused: webpki('eku_forbidden_on_leaf'),
  },
  {
    name: 'a root for one usage',
    root: { extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth], false) },
    refused: webpki('eku_forbidden_on_ca'),
  },
  // Keys
  {
    name: 'an RSA key of 2048 bits',
    leaf: foreignLeaf({ issuer: root, key: foreignKey(rsaSpki(2048)) }),
    refused: ['-', '-', '-'],
  },
  {
    name: 'an RSA key of 2050 bits',
    leaf: foreignLeaf({ issuer: root, key: foreignKey(rsaSpki(2050)) }),
    refused: webpki('key_rsa_size'),
  },
  {
    name: 'an Ed25519 key',
    leaf: foreignLeaf({
      issuer: root,
      key: foreignKey(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })),
    }),
    refused: webpki('key_algorithm_refused'),
  },
  {
    name: 'an RSA key for PSS alone',
    leaf: foreignLeaf({ issuer: root, key: foreignKey(pssSpki(rsaSpki(2048))) }),
    refused: webpki('key_algorithm_refused'),
  },
]

/** A key that `testKey` does not take. It signs nothing here. */
function foreignKey(spkiDer: Uint8Array): TestKey {
  const ours = testKey()
  return { ...ours, publicKey: { ...ours.publicKey, spkiDer } }
}

function rsaSpki(modulusLength: number): Uint8Array {
  return generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ type: 'spki', format: 'der' })
}

const isForeign = (item: Slots | Foreign | undefined): item is Foreign =>
  item !== undefined && 'certificate' in item && !(item['certificate'] instanceof Uint8Array)

function refusedBy(profile: PathProfileName, row: Case): X509Failure | '-' {
  const anchor = isForeign(row.root) ? row.root : row.root === undefined ? root : foreignCa({ slots: row.root })
  const ca = isForeign(row.ca)
    ? row.ca
    : foreignCa({ issuer: anchor, ...(row.ca === undefined ? {} : { slots: row.ca }) })
  const leaf = isForeign(row.leaf)
    ? row.leaf
    : foreignLeaf({ issuer: ca, ...(row.leaf === undefined ? {} : { slots: row.leaf }) })
  const options = {
    profile,
    anchors: [anchor.certificate],
    intermediates: [ca.der],
    at: AT,
    isPublicSuffix: (domain: string) => domain === 'co.uk' || !domain.includes('.'),
    ...(profile === 'webpki' ? { eku: OID.serverAuth } : {}),
  }
  return refusalOf(() => findPath(leaf.der, options)) ?? '-'
}

describe('certificates by profile', () => {
  test.each(CASES)('$name', (row) => {
    const seen = (['rfc5280-path', 'rfc5280', 'webpki'] as const).map((profile) => refusedBy(profile, row))
    expect(seen).toEqual(row.refused)
  })

  // The table above says these as columns; here once in the form that the test of all codes looks for.
  test.each([
    { fails: 'key_identifier_missing' },
    { fails: 'key_identifier_form' },
    { fails: 'extension_criticality' },
    { fails: 'extension_on_leaf' },
    { fails: 'key_usage_without_ca' },
    { fails: 'subject_empty' },
    { fails: 'subject_alt_name_missing' },
    { fails: 'alt_name_invalid' },
    { fails: 'common_name_foreign' },
    { fails: 'wildcard_too_wide' },
    { fails: 'eku_forbidden_on_leaf' },
  ] as const)('$fails has a row', ({ fails }) => {
    expect(CASES.some(({ refused }) => refused.includes(fails))).toBe(true)
  })
})
