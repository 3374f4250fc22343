import { describe, expect, test } from 'vitest'
import type { Certificate } from '../certificate.ts'
import { octetString } from '../der/writer.ts'
import { encodeSigned } from '../encode-certificate.ts'
import type { X509Failure } from '../errors.ts'
import * as extension from '../extension/encode.ts'
import { encodeName } from '../name.ts'
import { OID } from '../oid.ts'
import { AT, FROM, type Minted, type MintSpec, mintCa, mintDer, mintLeaf, UNTIL } from '../testing/mint.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { MAX_CHAIN, type PathOptions, validateChain } from './validate.ts'

const root = mintCa()
const ca = mintCa({ issuer: root })
const leaf = mintLeaf({ issuer: ca })
const eku = OID.clientAuth
const STATE = '1.3.6.1.4.1.55555.3.1'

const ekus = (...oids: string[]): Record<string, Uint8Array> => ({
  extKeyUsage: extension.encodeExtKeyUsage(oids, false),
})
const basic = (isCa: boolean, pathLength?: number): Record<string, Uint8Array> => ({
  basicConstraints: extension.encodeBasicConstraints(pathLength === undefined ? { isCa } : { isCa, pathLength }),
})
const usage = (...usages: Parameters<typeof extension.encodeKeyUsage>[0]): Record<string, Uint8Array> => ({
  keyUsage: extension.encodeKeyUsage(usages),
})
const unknown = (critical: boolean): Record<string, Uint8Array> => ({
  unknown: extension.encodeExtension('1.2.3.4', critical, octetString(new Uint8Array())),
})
const critical = (oid: string, value: string): Record<string, Uint8Array> => ({
  [oid]: extension.encodeExtension(oid, true, hex(value)),
})

interface Case {
  readonly name: string
  /** Leaf first; ends below `root` unless `anchors` says otherwise. */
  readonly chain: readonly (Minted | Uint8Array)[]
  readonly anchors?: readonly Minted[]
  readonly options?: Partial<PathOptions>
  readonly fails?: X509Failure
}

/** A leaf under a CA that has `slots`, under the root. */
function under(slots: MintSpec['slots'], leafSlots: MintSpec['slots'] = {}): Minted[] {
  const issuer = mintCa({ issuer: root, slots: { ...slots } })
  return [mintLeaf({ issuer, slots: { ...leafSlots } }), issuer]
}

/** A leaf under the root itself, so that it alone decides. */
function leafWith(slots: MintSpec['slots'], more: Partial<MintSpec> = {}): Minted[] {
  return [mintLeaf({ issuer: ca, ...more, slots: { ...slots } }), ca]
}

const foreignRoot = mintCa()
const foreignCa = mintCa({
  issuer: foreignRoot,
  slots: { authority: extension.encodeAuthorityKeyId(foreignRoot.key.publicKey.subjectKeyId) },
})
const newKeyRoot = mintCa()
const caOfNewKey = mintCa({ issuer: newKeyRoot })
const second = mintCa({ issuer: ca, name: 'Second CA' })
const third = mintCa({ issuer: second, name: 'Third CA' })
const borrowed = mintCa({ name: 'Test Root' })

/** A root with pathLength 0 and CAs beneath it. */
function withPathLength(pathLength: number): Case['chain'] {
  const shortRoot = mintCa({ name: 'Short Root', slots: basic(true, pathLength) })
  const first = mintCa({ issuer: shortRoot, name: 'First' })
  const next = mintCa({ issuer: first, name: 'Next' })
  return [mintLeaf({ issuer: next }), next, first, shortRoot]
}
const shortZero = withPathLength(0)
const shortOne = withPathLength(1)
const lengthTwo = withPathLength(2)

function brokenSignature(certificate: Certificate): Uint8Array {
  const signature = new Uint8Array(certificate.signature)
  const last = signature.length - 1
  signature[last] = (signature[last] ?? 0) ^ 1
  return encodeSigned(certificate.tbsDer, certificate.signatureAlgorithm, signature)
}

const at = (text: string): Partial<PathOptions> => ({ at: new Date(text) })

const CASES: readonly Case[] = [
  { name: 'leaf and CA', chain: [leaf, ca] },
  { name: 'the root may be sent too', chain: [leaf, ca, root] },
  { name: 'a leaf below the root', chain: [mintLeaf({ issuer: root })] },
  { name: 'three CAs', chain: [mintLeaf({ issuer: third }), third, second, ca] },
  // The chain
  { name: 'no certificate', chain: [], fails: 'chain_empty' },
  { name: 'five certificates', chain: [mintLeaf({ issuer: third }), third, second, ca, root], fails: 'chain_too_long' },
  { name: 'no DER', chain: [hex('3080')], fails: 'der_length_indefinite' },
  { name: 'a certificate behind the root', chain: [leaf, ca, root, ca], fails: 'chain_surplus' },
  { name: 'the wrong order', chain: [leaf, root, ca], fails: 'chain_surplus' },
  { name: 'the leaf last', chain: [ca, leaf], fails: 'chain_names_broken' },
  { name: 'a CA of another leaf', chain: [leaf, second, ca], fails: 'chain_names_broken' },
  { name: 'the leaf twice', chain: [leaf, leaf, ca], fails: 'chain_names_broken' },
  { name: 'a missing CA', chain: [leaf], fails: 'issuer_unknown' },
  { name: 'no anchor', chain: [leaf, ca], anchors: [], fails: 'issuer_unknown' },
  {
    name: 'a foreign root with our name',
    chain: [mintLeaf({ issuer: foreignCa }), foreignCa, foreignRoot],
    fails: 'issuer_unknown',
  },
  {
    name: 'a foreign CA that names another key',
    chain: [mintLeaf({ issuer: foreignCa }), foreignCa],
    anchors: [rootWithIdAs('Test Root')],
    fails: 'issuer_unknown',
  },
  {
    name: 'a root with our name signed by itself',
    chain: [mintLeaf({ issuer: ca }), ca, borrowed],
    fails: 'issuer_unknown',
  },
  {
    name: 'a name that differs in string type alone',
    chain: [mintLeaf({ issuer: ca, issuerName: printableCopy() }), ca],
    fails: 'chain_names_broken',
  },
  {
    name: '17 anchors',
    chain: [leaf, ca],
    anchors: Array.from({ length: 17 }, () => root),
    fails: 'path_budget_exceeded',
  },
  {
    name: 'one of two roots with the same name',
    chain: [mintLeaf({ issuer: caOfNewKey }), caOfNewKey],
    anchors: [root, newKeyRoot],
  },
  // Signatures
  {
    name: 'a leaf with a broken signature',
    chain: [brokenSignature(leaf.certificate), ca],
    fails: 'certificate_signature_invalid',
  },
  {
    name: 'a CA with a broken signature',
    chain: [leaf, brokenSignature(ca.certificate)],
    fails: 'certificate_signature_invalid',
  },
  {
    name: 'a CA with a broken signature beside its root',
    chain: [leaf, brokenSignature(ca.certificate), root],
    fails: 'certificate_signature_invalid',
  },
  {
    name: 'a CA of another root with the same name',
    chain: [leaf, ca],
    anchors: [newKeyRoot],
    fails: 'certificate_signature_invalid',
  },
  {
    name: 'a leaf signed by its own key',
    chain: [mintDer({ issuerName: ca.certificate.subject, slots: {} }).der, ca],
    fails: 'certificate_signature_invalid',
  },
  // Validity
  { name: 'the first second', chain: [leaf, ca], options: { at: FROM } },
  { name: 'the last second', chain: [leaf, ca], options: { at: UNTIL } },
  { name: 'within the last second', chain: [leaf, ca], options: { at: new Date(UNTIL.getTime() + 999) } },
  {
    name: 'one second early',
    chain: [leaf, ca],
    options: at('2025-12-31T23:59:59Z'),
    fails: 'certificate_not_yet_valid',
  },
  { name: 'one second late', chain: [leaf, ca], options: at('2027-01-01T00:00:00Z'), fails: 'certificate_expired' },
  {
    name: 'late within the tolerance',
    chain: [leaf, ca],
    options: { ...at('2027-01-01T00:04:59Z'), skewSeconds: 300 },
  },
  {
    name: 'late beyond the tolerance',
    chain: [leaf, ca],
    options: { ...at('2027-01-01T00:05:00Z'), skewSeconds: 300 },
    fails: 'certificate_expired',
  },
  {
    name: 'early within the tolerance',
    chain: [leaf, ca],
    options: { ...at('2025-12-31T23:55:00Z'), skewSeconds: 300 },
  },
  {
    name: 'early beyond the tolerance',
    chain: [leaf, ca],
    options: { ...at('2025-12-31T23:54:59Z'), skewSeconds: 300 },
    fails: 'certificate_not_yet_valid',
  },
  {
    name: 'an expired leaf',
    chain: leafWith({}, { notAfter: new Date('2026-05-01T00:00:00Z') }),
    fails: 'certificate_expired',
  },
  { name: 'an expired CA', chain: expired('ca'), fails: 'certificate_expired' },
  { name: 'an expired root', ...expiredRoot(), fails: 'certificate_expired' },
  // CAs
  { name: 'a CA without basicConstraints', chain: under({ basicConstraints: undefined }), fails: 'issuer_not_a_ca' },
  { name: 'a CA that is none', chain: under(basic(false)), fails: 'issuer_not_a_ca' },
  { name: 'a leaf that issues', chain: [mintLeaf({ issuer: leaf }), leaf, ca], fails: 'issuer_not_a_ca' },
  { name: 'a root that is no CA', ...rootWith(basic(false)), fails: 'issuer_not_a_ca' },
  { name: 'a CA that may not sign certificates', chain: under(usage('cRLSign')), fails: 'issuer_key_usage' },
  { name: 'a CA without keyUsage', chain: under({ keyUsage: undefined }), fails: 'issuer_key_usage' },
  { name: 'a root that may not sign certificates', ...rootWith(usage('cRLSign')), fails: 'issuer_key_usage' },
  {
    name: 'two CAs below a root that allows none',
    chain: shortZero,
    anchors: lastOf(shortZero),
    fails: 'path_length_exceeded',
  },
  {
    name: 'two CAs below a root that allows one',
    chain: shortOne,
    anchors: lastOf(shortOne),
    fails: 'path_length_exceeded',
  },
  { name: 'two CAs below a root that allows two', chain: lengthTwo, anchors: lastOf(lengthTwo) },
  { name: 'a CA below one with path length 0', chain: belowZero(), fails: 'path_length_exceeded' },
  { name: 'a leaf below a CA with path length 0', chain: under(basic(true, 0)) },
  { name: 'a self-issued CA does not count', chain: selfIssuedBelow(0) },
  // Leaf
  { name: 'a CA as leaf', chain: [ca], fails: 'leaf_is_a_ca' },
  { name: 'the root as leaf', chain: [root], fails: 'leaf_is_a_ca' },
  { name: 'a leaf with the CA bit', chain: leafWith(basic(true)), fails: 'leaf_is_a_ca' },
  { name: 'a leaf without keyUsage', chain: leafWith({ keyUsage: undefined }), fails: 'leaf_key_usage' },
  { name: 'a leaf that may not sign', chain: leafWith(usage('keyEncipherment')), fails: 'leaf_key_usage' },
  {
    name: 'a leaf that may sign certificates',
    chain: leafWith(usage('digitalSignature', 'keyCertSign')),
    fails: 'leaf_key_usage',
  },
  { name: 'a leaf that may sign CRLs', chain: leafWith(usage('digitalSignature', 'cRLSign')), fails: 'leaf_key_usage' },
  { name: 'a leaf without basicConstraints', chain: leafWith({ basicConstraints: undefined }) },
  // Extended key usage
  { name: 'a leaf without the usage', chain: leafWith(ekus(OID.serverAuth)), fails: 'eku_missing' },
  { name: 'a leaf without any usage', chain: leafWith({ extKeyUsage: undefined }), fails: 'eku_missing' },
  { name: 'a leaf for every usage', chain: leafWith(ekus(OID.anyExtKeyUsage)), fails: 'eku_missing' },
  {
    name: 'a leaf with a usage its CA does not carry',
    chain: leafWith(ekus(OID.clientAuth, STATE)),
    fails: 'eku_not_granted',
  },
  {
    name: 'a leaf for this usage and every other',
    chain: leafWith(ekus(OID.clientAuth, OID.anyExtKeyUsage)),
    fails: 'eku_not_granted',
  },
  {
    name: 'our usage from a CA without it',
    chain: leafWith(ekus(STATE)),
    options: { eku: STATE },
    fails: 'eku_not_granted',
  },
  { name: 'our usage from a CA with it', chain: under(ekus(STATE), ekus(STATE)), options: { eku: STATE } },
  { name: 'a CA without extended key usage', chain: under({ extKeyUsage: undefined }), fails: 'eku_not_granted' },
  { name: 'a CA that carries more than the one above', chain: nestedUsage(), fails: 'eku_not_granted' },
  {
    name: 'a CA for every usage',
    chain: under(ekus(OID.anyExtKeyUsage, OID.clientAuth, OID.serverAuth)),
    fails: 'eku_forbidden_on_ca',
  },
  {
    name: 'a CA that is a responder for its parent',
    chain: under(ekus(OID.ocspSigning, OID.clientAuth, OID.serverAuth)),
    fails: 'eku_forbidden_on_ca',
  },
  {
    name: 'a delegated responder of a CA that does not carry the usage',
    chain: leafWith(ekus(OID.ocspSigning)),
    options: { eku: OID.ocspSigning },
  },
  {
    name: 'a responder that is more than that',
    chain: leafWith(ekus(OID.ocspSigning, OID.clientAuth)),
    fails: 'eku_not_granted',
  },
  { name: 'a root limited to another usage', ...rootWith(ekus(OID.codeSigning)), fails: 'eku_not_granted' },
  // Critical extensions
  { name: 'an unknown extension', chain: leafWith(unknown(false)) },
  {
    name: 'an unknown critical extension of the leaf',
    chain: leafWith(unknown(true)),
    fails: 'extension_critical_unknown',
  },
  { name: 'an unknown critical extension of the CA', chain: under(unknown(true)), fails: 'extension_critical_unknown' },
  {
    name: 'an unknown critical extension of the root',
    ...rootWith(unknown(true)),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'critical policyConstraints, which are not processed',
    chain: under(critical(OID.policyConstraints, '3003 800100')),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'critical policyMappings, which are not processed',
    chain: under(critical('2.5.29.33', '300a 3008 06022a03 06022a04')),
    fails: 'extension_critical_unknown',
  },
  {
    name: 'a critical CRL distribution point, which is not read',
    chain: leafWith(critical(OID.crlDistributionPoints, '300d 300b a009 a007 8605 687474703a')),
    fails: 'extension_critical_unknown',
  },
  { name: 'critical inhibitAnyPolicy', chain: under({ inhibit: extension.encodeInhibitAnyPolicy(0) }) },
]

function expired(which: 'ca'): Case['chain'] {
  const issuer = mintCa({ issuer: root, name: which, notAfter: new Date('2026-05-01T00:00:00Z') })
  return [mintLeaf({ issuer }), issuer]
}

function expiredRoot(): Pick<Case, 'chain' | 'anchors'> {
  const old = mintCa({ name: 'Old Root', notAfter: new Date('2026-05-01T00:00:00Z') })
  return { chain: [mintLeaf({ issuer: old })], anchors: [old] }
}

function rootWith(slots: MintSpec['slots']): Pick<Case, 'chain' | 'anchors'> {
  const odd = mintCa({ name: 'Odd Root', slots: { ...slots } })
  return { chain: [mintLeaf({ issuer: odd })], anchors: [odd] }
}

function belowZero(): Case['chain'] {
  const zero = mintCa({ issuer: root, name: 'Zero', slots: basic(true, 0) })
  const below = mintCa({ issuer: zero, name: 'Below' })
  return [mintLeaf({ issuer: below }), below, zero]
}

/** A CA that certifies its own next key: same name, other key. */
function selfIssuedBelow(pathLength: number): Case['chain'] {
  const old = mintCa({ issuer: root, name: 'Rolling CA', slots: basic(true, pathLength) })
  const next = mintCa({ issuer: old, name: 'Rolling CA' })
  return [mintLeaf({ issuer: next }), next, old]
}

function nestedUsage(): Case['chain'] {
  const narrow = mintCa({ issuer: root, name: 'Narrow', slots: ekus(OID.clientAuth) })
  const wide = mintCa({ issuer: narrow, name: 'Wide' })
  return [mintLeaf({ issuer: wide, slots: ekus(OID.clientAuth) }), wide, narrow]
}

function rootWithIdAs(name: string): Minted {
  return mintCa({ name, slots: { own: extension.encodeSubjectKeyId(new Uint8Array(20).fill(7)) } })
}

function printableCopy(): Certificate['subject'] {
  return {
    ...ca.certificate.subject,
    der: hex(`3012 3110 300e 0603550403 1307 ${Buffer.from('Test CA').toString('hex')}`),
  }
}

function lastOf(chain: Case['chain']): Minted[] {
  const last = chain.at(-1)
  return last === undefined || last instanceof Uint8Array ? [] : [last]
}

function ders(chain: Case['chain']): Uint8Array[] {
  return chain.map((item) => (item instanceof Uint8Array ? item : item.der))
}

describe('chains', () => {
  test.each(CASES)('$name', ({ chain, anchors = [root], options = {}, fails }) => {
    const all = { anchors: anchors.map(({ certificate }) => certificate), at: AT, eku, ...options }
    expect(refusalOf(() => validateChain(ders(chain), all))).toBe(fails)
  })

  test('a path is leaf first, without its anchor, and does not change', () => {
    const path = validateChain(ders([leaf, ca, root]), { anchors: [root.certificate], at: AT, eku })
    expect(path.leaf.der).toEqual(leaf.der)
    expect(path.chain.map(({ der }) => der)).toEqual([leaf.der, ca.der])
    expect(path.anchor.der).toEqual(root.der)
    expect(() => Object.assign(path, { leaf: ca.certificate })).toThrow(TypeError)
    expect(() => (path.chain as Certificate[]).push(ca.certificate)).toThrow(TypeError)
  })

  test('what was validated does not change with the bytes it came from', () => {
    const chain = ders([leaf, ca]).map((der) => new Uint8Array(der))
    const path = validateChain(chain, { anchors: [root.certificate], at: AT, eku })
    for (const der of chain) der.fill(0)
    expect(path.leaf.der).toEqual(leaf.der)
  })

  test('anyExtendedKeyUsage cannot be asked for', () => {
    expect(() => validateChain(ders([leaf]), { anchors: [], at: AT, eku: OID.anyExtKeyUsage })).toThrow(TypeError)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 86_401])(
    'a tolerance of %d is a mistake of the caller',
    (skewSeconds) => {
      const options = { anchors: [root.certificate], at: AT, eku, skewSeconds }
      expect(() => validateChain(ders([leaf, ca]), options)).toThrow(TypeError)
    },
  )

  test('an instant that is none is a mistake of the caller', () => {
    const options = { anchors: [root.certificate], at: new Date(Number.NaN), eku }
    expect(() => validateChain(ders([leaf, ca]), options)).toThrow(TypeError)
  })

  test('a broken bit anywhere in a chain is refused', () => {
    const options = { anchors: [root.certificate], at: AT, eku }
    for (let i = 0; i < leaf.der.length; i++) {
      const broken = new Uint8Array(leaf.der)
      broken[i] = (broken[i] ?? 0) ^ 0x04
      expect(refusalOf(() => validateChain([broken, ca.der], options))).toBeDefined()
    }
  })

  test('four certificates at most', () => {
    expect(MAX_CHAIN).toBe(4)
  })
})

test('names of anchors are compared as bytes', () => {
  const lower = mintCa({ name: encodeName([{ type: 'CN', value: 'test root' }]) })
  const options = { anchors: [lower.certificate], at: AT, eku }
  expect(refusalOf(() => validateChain(ders([leaf, ca]), options))).toBe('issuer_unknown')
})
