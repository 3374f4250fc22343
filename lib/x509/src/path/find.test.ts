import { describe, expect, test } from 'vitest'
import { oid } from '../der/oid.ts'
import { TAG } from '../der/tag.ts'
import { encodeDer, integer, primitive, sequence, setOf } from '../der/writer.ts'
import type { X509Failure } from '../errors.ts'
import * as extension from '../extension/encode.ts'
import { encodeName, type Name } from '../name.ts'
import { OID } from '../oid.ts'
import { type Foreign, foreignCa, foreignLeaf } from '../testing/foreign.ts'
import { AT, type Slots, testKey } from '../testing/mint.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { type FindOptions, findPath } from './find.ts'

const root = foreignCa()
const upper = foreignCa({ issuer: root, name: 'Upper' })
const lower = foreignCa({ issuer: upper, name: 'Lower' })
const leaf = foreignLeaf({ issuer: lower })

const BAD_TIMES = { notAfter: new Date('2026-05-01T00:00:00Z') }
const basic = (pathLength: number): Slots => ({
  basicConstraints: extension.encodeBasicConstraints({ isCa: true, pathLength }),
})
const keyUsage = (...usages: Parameters<typeof extension.encodeKeyUsage>[0]): Slots => ({
  keyUsage: extension.encodeKeyUsage(usages),
})
const eku = (...usages: string[]): Slots => ({ extKeyUsage: extension.encodeExtKeyUsage(usages, false) })
const unknownCritical: Slots = { unknown: extension.encodeExtension('1.2.3.4', true, integer(1)) }
const permitted = (value: string): Slots => ({
  constraints: extension.encodeNameConstraints({ permitted: [{ type: 'dns', value }], excluded: [] }),
})

/** The same subject and key, from another issuer or with other content. */
const crossed = (ca: Foreign, issuer: Foreign, spec: Parameters<typeof foreignCa>[0] = {}): Foreign =>
  foreignCa({ name: ca.certificate.subject, key: ca.key, issuer, ...spec })

const printable = (cn: string): Name => ({
  ...encodeName([{ type: 'CN', value: cn }]),
  der: encodeDer(sequence(setOf(sequence(oid(OID.commonName), primitive(TAG.printableString, Buffer.from(cn)))))),
})

interface Case {
  readonly name: string
  readonly leaf?: Foreign
  readonly others?: readonly (Foreign | Uint8Array)[]
  readonly anchors?: readonly Foreign[]
  readonly options?: Partial<FindOptions>
  /** Names of the issuers on the path that is expected. */
  readonly through?: readonly string[]
  readonly fails?: X509Failure
}

/** A path of `count` CAs below the root, the topmost first. */
function chainOf(count: number, sameKey = false): Foreign[] {
  const key = testKey()
  const chain: Foreign[] = []
  for (let i = 0; i < count; i++) {
    chain.push(foreignCa({ issuer: chain.at(-1) ?? root, name: `CA ${i}`, ...(sameKey ? { key } : {}) }))
  }
  return chain
}

const nine = chainOf(9)
const expiredUpper = crossed(upper, root, BAD_TIMES)
const otherRoot = foreignCa({ name: 'Other Root' })
const constrainedUpper = crossed(upper, root, { slots: permitted('elsewhere.example') })
const rolled = foreignCa({ issuer: upper, name: 'Upper', slots: keyUsage('keyCertSign', 'cRLSign') })
const a = foreignCa({ name: 'A' })
const b = foreignCa({ name: 'B' })
const typed = foreignCa({ issuer: root, name: printable('TYPED ca') })
const typedIssuer = {
  ...typed,
  certificate: { ...typed.certificate, subject: encodeName([{ type: 'CN', value: 'typed  CA' }]) },
}

const CASES: readonly Case[] = [
  // The set
  { name: 'in order', others: [lower, upper], through: ['Lower', 'Upper'] },
  { name: 'in another order', others: [upper, lower], through: ['Lower', 'Upper'] },
  { name: 'twice', others: [upper, lower, lower, upper], through: ['Lower', 'Upper'] },
  { name: 'with the root, the leaf and strangers', others: [otherRoot, root, leaf, upper, a, lower] },
  { name: 'with what is no certificate', others: [new Uint8Array(), hex('3000'), upper, lower, leaf.der.slice(0, 90)] },
  { name: 'directly below the anchor', leaf: foreignLeaf({ issuer: root }), through: [] },
  { name: 'below an anchor that is no root', others: [root, lower], anchors: [upper], through: ['Lower'] },
  { name: 'to the nearer of two anchors', others: [upper, lower], anchors: [root, upper], through: ['Lower'] },
  { name: 'a self-signed leaf that is an anchor', leaf: otherRoot, anchors: [root, otherRoot], through: [] },
  { name: 'one is missing', others: [lower], fails: 'issuer_unknown' },
  { name: 'no anchor', others: [upper, lower], anchors: [], fails: 'issuer_unknown' },
  { name: 'another anchor', others: [upper, lower], anchors: [otherRoot], fails: 'issuer_unknown' },
  { name: 'a leaf that is no certificate', leaf: { ...leaf, der: hex('3003020101') }, fails: 'der_tag_unexpected' },
  // Names
  {
    name: 'names that differ in case, spaces and string type',
    leaf: foreignLeaf({ issuer: typedIssuer }),
    others: [typed],
  },
  // Several ways
  { name: 'around an expired certificate', others: [expiredUpper, upper, lower], through: ['Lower', 'Upper'] },
  {
    name: 'around an expired anchor',
    others: [crossed(lower, otherRoot)],
    anchors: [crossed(upper, root, BAD_TIMES), otherRoot],
    through: ['Lower'],
  },
  { name: 'around name constraints', others: [constrainedUpper, upper, lower], through: ['Lower', 'Upper'] },
  { name: 'around a key of the same name', others: [foreignCa({ issuer: root, name: 'Upper' }), upper, lower] },
  { name: 'only an expired way', others: [expiredUpper, lower], fails: 'certificate_expired' },
  { name: 'only a constrained way', others: [constrainedUpper, lower], fails: 'name_not_permitted' },
  {
    name: 'only a key of the same name',
    others: [foreignCa({ issuer: root, name: 'Upper' }), lower],
    fails: 'certificate_signature_invalid',
  },
  {
    name: 'CAs that certify each other',
    leaf: foreignLeaf({ issuer: a }),
    others: [crossed(a, b), crossed(b, a)],
    fails: 'issuer_unknown',
  },
  {
    name: 'CAs that certify each other, and one the root',
    leaf: foreignLeaf({ issuer: a }),
    others: [crossed(a, b), crossed(b, a), crossed(b, root)],
    through: ['A', 'B'],
  },
  // Depth
  { name: 'eight CAs', leaf: foreignLeaf({ issuer: nine[7] ?? root }), others: nine },
  { name: 'nine CAs', leaf: foreignLeaf({ issuer: nine[8] ?? root }), others: nine, fails: 'chain_too_long' },
  {
    name: 'nine CAs where nine are allowed',
    leaf: foreignLeaf({ issuer: nine[8] ?? root }),
    others: nine,
    options: { maxDepth: 9 },
  },
  { name: 'two CAs where one is allowed', others: [upper, lower], options: { maxDepth: 1 }, fails: 'chain_too_long' },
  {
    name: 'one CA where none is allowed',
    leaf: foreignLeaf({ issuer: upper }),
    others: [upper],
    options: { maxDepth: 0 },
    fails: 'chain_too_long',
  },
  {
    name: 'a self-issued CA is no depth',
    leaf: foreignLeaf({ issuer: rolled }),
    others: [upper, rolled],
    options: { maxDepth: 1 },
    through: ['Upper', 'Upper'],
  },
  // Certificates
  {
    name: 'a broken signature',
    leaf: { ...leaf, der: leaf.der.with(leaf.der.length - 1, (leaf.der.at(-1) ?? 0) ^ 1) },
    others: [upper, lower],
    fails: 'certificate_signature_invalid',
  },
  { name: 'an expired leaf', leaf: foreignLeaf({ issuer: root, ...BAD_TIMES }), fails: 'certificate_expired' },
  {
    name: 'a leaf of tomorrow',
    leaf: foreignLeaf({ issuer: root, notBefore: new Date('2026-07-01T00:00:00Z') }),
    fails: 'certificate_not_yet_valid',
  },
  {
    name: 'a leaf of tomorrow within the tolerance',
    leaf: foreignLeaf({ issuer: root, notBefore: new Date('2026-06-01T12:05:00Z') }),
    options: { skewSeconds: 300 },
  },
  {
    name: 'a leaf that issues',
    leaf: foreignLeaf({ issuer: leaf }),
    others: [leaf, upper, lower],
    fails: 'issuer_not_a_ca',
  },
  {
    name: 'a CA that may not issue',
    leaf: foreignLeaf({ issuer: crossed(upper, root) }),
    others: [crossed(upper, root, { slots: keyUsage('cRLSign') })],
    fails: 'issuer_key_usage',
  },
  {
    name: 'a CA without keyUsage',
    leaf: foreignLeaf({ issuer: upper }),
    others: [crossed(upper, root, { slots: { keyUsage: undefined } })],
  },
  {
    name: 'a CA below one that allows none',
    others: [crossed(upper, root, { slots: basic(0) }), lower],
    fails: 'path_length_exceeded',
  },
  { name: 'a CA below one that allows one', others: [crossed(upper, root, { slots: basic(1) }), lower] },
  {
    name: 'an unknown critical extension',
    leaf: foreignLeaf({ issuer: root, slots: unknownCritical }),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'an unknown critical extension of another anchor',
    leaf: foreignLeaf({ issuer: root }),
    anchors: [foreignCa({ name: 'Odd', slots: unknownCritical }), root],
  },
  // Wanted of the leaf
  { name: 'the usage', others: [upper, lower], options: { eku: OID.serverAuth } },
  { name: 'another usage', others: [upper, lower], options: { eku: OID.clientAuth }, fails: 'eku_missing' },
  {
    name: 'no usage means every usage',
    leaf: foreignLeaf({ issuer: root, slots: { extKeyUsage: undefined } }),
    options: { eku: OID.clientAuth },
  },
  {
    name: 'any usage means every usage',
    leaf: foreignLeaf({ issuer: root, slots: eku(OID.anyExtKeyUsage) }),
    options: { eku: OID.clientAuth },
  },
  {
    name: 'a CA for another usage',
    others: [crossed(upper, root, { slots: eku(OID.clientAuth) }), lower],
    options: { eku: OID.serverAuth },
    fails: 'eku_not_granted',
  },
  {
    name: 'a CA for any usage',
    others: [crossed(upper, root, { slots: eku(OID.anyExtKeyUsage) }), lower],
    options: { eku: OID.serverAuth },
  },
  {
    name: 'around a CA for another usage',
    others: [crossed(upper, root, { slots: eku(OID.clientAuth) }), upper, lower],
    options: { eku: OID.serverAuth },
  },
  {
    name: 'a responder below a CA without the usage',
    leaf: foreignLeaf({ issuer: upper, slots: eku(OID.ocspSigning) }),
    others: [crossed(upper, root, { slots: eku(OID.serverAuth) })],
    options: { eku: OID.ocspSigning },
  },
  { name: 'the key usage', others: [upper, lower], options: { keyUsage: ['digitalSignature'] } },
  {
    name: 'another key usage',
    others: [upper, lower],
    options: { keyUsage: ['keyAgreement'] },
    fails: 'leaf_key_usage',
  },
  {
    name: 'no key usage means every one',
    leaf: foreignLeaf({ issuer: root, slots: { keyUsage: undefined } }),
    options: { keyUsage: ['keyAgreement'] },
  },
  { name: 'a peer', others: [upper, lower], options: { peers: [{ type: 'dns', value: 'server.example.com' }] } },
  {
    name: 'two peers, one of them another',
    others: [upper, lower],
    options: {
      peers: [
        { type: 'dns', value: 'server.example.com' },
        { type: 'dns', value: 'example.org' },
      ],
    },
    fails: 'peer_name_mismatch',
  },
  {
    name: 'a policy that is not there',
    others: [upper, lower],
    options: { policies: { requireExplicitPolicy: true } },
    fails: 'policy_not_valid',
  },
  // Bounds
  { name: '513 intermediates', others: Array.from({ length: 513 }, () => upper), fails: 'path_budget_exceeded' },
  { name: '257 anchors', anchors: Array.from({ length: 257 }, () => root), fails: 'path_budget_exceeded' },
]

const der = (item: Foreign | Uint8Array): Uint8Array => (item instanceof Uint8Array ? item : item.der)
const find = ({ leaf: target = leaf, others = [], anchors = [root], options = {} }: Omit<Case, 'name'>) =>
  findPath(target.der, {
    profile: 'rfc5280',
    anchors: anchors.map(({ certificate }) => certificate),
    intermediates: others.map(der),
    at: AT,
    ...options,
  })

describe('paths', () => {
  test.each(CASES)('$name', (row) => {
    expect(refusalOf(() => find(row))).toBe(row.fails)
    if (row.through === undefined) return
    const names = find(row)
      .chain.slice(1)
      .map(({ subject }) => subject.attributes[0]?.value)
    expect(names).toEqual(row.through)
  })

  test('a path is leaf first, without its anchor, and does not change', () => {
    const path = find({ others: [upper, lower] })
    expect(path.chain.map((certificate) => certificate.der)).toEqual([leaf.der, lower.der, upper.der])
    expect(path.anchor.der).toEqual(root.der)
    expect(path.profile).toBe('rfc5280')
    expect(() => Object.assign(path, { leaf: root.certificate })).toThrow(TypeError)
  })

  test('what could not be read is the cause where nothing was found', () => {
    const broken = upper.der.slice(0, -1)
    expect(() => find({ others: [broken, lower] })).toThrow(
      expect.objectContaining({ code: 'issuer_unknown', cause: expect.objectContaining({ code: 'der_truncated' }) }),
    )
  })

  test('anyExtendedKeyUsage cannot be asked for, nor an instant that is none', () => {
    expect(() => find({ options: { eku: OID.anyExtKeyUsage } })).toThrow(TypeError)
    expect(() => find({ others: [upper, lower], options: { at: new Date(Number.NaN) } })).toThrow(TypeError)
  })
})

describe('work is bounded', () => {
  const twin = (i: number, issuer: Foreign | undefined, key = testKey()): Foreign =>
    foreignCa({
      name: 'Twin',
      key,
      serial: new Uint8Array([1, i]),
      ...(issuer === undefined ? {} : { issuer }),
      slots: { subjectKeyId: undefined, authorityKeyId: undefined },
    })

  test('a hundred and thirty keys of one name', () => {
    const twins = Array.from({ length: 130 }, (_, i) => twin(i, undefined))
    const target = foreignLeaf({
      issuer: { ...root, certificate: { subject: encodeName([{ type: 'CN', value: 'Twin' }]) } },
    })
    const row: Case = { name: '', leaf: target, others: twins, fails: 'signature_budget_exceeded' }
    expect(refusalOf(() => find(row))).toBe(row.fails)
  })

  test('eleven CAs that all certify each other', () => {
    const cas = Array.from({ length: 11 }, (_, i) => foreignCa({ name: `Mesh ${i}` }))
    const others = cas.flatMap((ca) => cas.filter((issuer) => issuer !== ca).map((issuer) => crossed(ca, issuer)))
    const row: Case = { name: '', leaf: foreignLeaf({ issuer: cas[0] ?? root }), others, fails: 'path_budget_exceeded' }
    expect(refusalOf(() => find(row))).toBe(row.fails)
  })

  test('a hundred certificates of one name and key lead nowhere at once', () => {
    const key = testKey()
    const first = twin(0, undefined, key)
    const others = Array.from({ length: 100 }, (_, i) => twin(i, first, key))
    expect(refusalOf(() => find({ leaf: foreignLeaf({ issuer: first }), others }))).toBe('issuer_unknown')
  })

  test('a hundred CAs with one key end at the depth', () => {
    const chain = chainOf(100, true)
    expect(refusalOf(() => find({ leaf: foreignLeaf({ issuer: chain.at(-1) ?? root }), others: chain }))).toBe(
      'chain_too_long',
    )
  })

  test('sixty-five ways to anchors, all of them bad', () => {
    const bad = foreignCa({ issuer: root, name: 'Bad', slots: permitted('elsewhere.example') })
    const anchors = Array.from({ length: 65 }, () => crossed(bad, root, { slots: permitted('elsewhere.example') }))
    const row: Case = { name: '', leaf: foreignLeaf({ issuer: bad }), anchors, fails: 'path_budget_exceeded' }
    expect(refusalOf(() => find(row))).toBe(row.fails)
    expect(refusalOf(() => find({ ...row, anchors: anchors.slice(1) }))).toBe('name_not_permitted')
  })

  test('two hundred names against two hundred constraints', () => {
    const bases = Array.from({ length: 200 }, (_, i) => ({ type: 'dns', value: `d${i}.example` }) as const)
    const constrained = foreignCa({
      issuer: root,
      name: 'Many',
      slots: { constraints: extension.encodeNameConstraints({ permitted: bases, excluded: [] }) },
    })
    const target = foreignLeaf({
      issuer: constrained,
      slots: { subjectAltName: extension.encodeSubjectAltName(bases, false) },
    })
    const row: Case = { name: '', leaf: target, others: [constrained], fails: 'name_budget_exceeded' }
    expect(refusalOf(() => find(row))).toBe(row.fails)
  })
})
