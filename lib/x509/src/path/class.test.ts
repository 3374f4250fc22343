import { expect, test } from 'vitest'
import type { X509Failure } from '../errors.ts'
import { encodeCertificatePolicies } from '../extension/encode.ts'
import { uriIdentityOf } from '../identity.ts'
import { classOid, DEFAULT_OID_ARC, OID } from '../oid.ts'
import { AT, mintCa, mintLeaf, type Slots, uriSan } from '../testing/mint.ts'
import { refusalOf } from '../testing/refusal.ts'
import { assertedClass } from './class.ts'
import { validateChain } from './validate.ts'

const [ONE, TWO] = [classOid(DEFAULT_OID_ARC, 1), classOid(DEFAULT_OID_ARC, 2)]
const FOREIGN = '1.2.3.4'
const root = mintCa()

const policies = (oids: readonly string[]): Slots => ({
  policies: oids.length === 0 ? undefined : encodeCertificatePolicies(oids),
})

const CASES: readonly { name: string; leaf: string[]; cas: string[][]; is?: string; fails?: X509Failure }[] = [
  { name: 'the leaf and its CA agree', leaf: [ONE], cas: [[ONE, TWO]], is: ONE },
  { name: 'foreign policies beside the class', leaf: [FOREIGN, TWO], cas: [[ONE, TWO]], is: TWO },
  { name: 'a leaf of the root needs no CA', leaf: [ONE], cas: [], is: ONE },
  { name: 'two CAs agree', leaf: [ONE], cas: [[ONE], [ONE, TWO]], is: ONE },
  { name: 'no policy', leaf: [], cas: [[ONE]], fails: 'class_missing' },
  { name: 'only foreign policies', leaf: [FOREIGN], cas: [[ONE, FOREIGN]], fails: 'class_missing' },
  { name: 'anyPolicy is no class', leaf: [OID.anyPolicy], cas: [[ONE]], fails: 'class_missing' },
  { name: 'two classes', leaf: [ONE, TWO], cas: [[ONE, TWO]], fails: 'class_ambiguous' },
  { name: 'two classes, one of them granted', leaf: [ONE, TWO], cas: [[ONE]], fails: 'class_ambiguous' },
  { name: 'a CA that grants another class', leaf: [ONE], cas: [[TWO]], fails: 'class_not_granted' },
  { name: 'a CA without policies', leaf: [ONE], cas: [[]], fails: 'class_not_granted' },
  { name: 'anyPolicy on the CA grants nothing', leaf: [ONE], cas: [[OID.anyPolicy]], fails: 'class_not_granted' },
  { name: 'the upper of two CAs does not grant it', leaf: [ONE], cas: [[ONE], [TWO]], fails: 'class_not_granted' },
]

test.each(CASES)('$name', ({ leaf: asserted, cas, is, fails }) => {
  let issuer = root
  const chain: Uint8Array[] = []
  for (const [i, granted] of cas.toReversed().entries()) {
    issuer = mintCa({ issuer, name: `CA ${i}`, slots: policies(granted) })
    chain.unshift(issuer.der)
  }
  const leaf = mintLeaf({ issuer, slots: policies(asserted) })
  const path = validateChain([leaf.der, ...chain], { anchors: [root.certificate], at: AT, eku: OID.clientAuth })
  expect(refusalOf(() => assertedClass(path, [ONE, TWO]))).toBe(fails)
  if (is !== undefined) expect(assertedClass(path, [ONE, TWO])).toBe(is)
})

test.each([
  { name: 'no URI', uris: [], fails: 'uri_san_missing' },
  { name: 'two URIs', uris: ['spiffe://a/b', 'spiffe://a/c'], fails: 'uri_san_multiple' },
  { name: 'the same URI twice', uris: ['spiffe://a/b', 'spiffe://a/b'], fails: 'uri_san_multiple' },
  { name: 'a URI that prints like two is one', uris: ['spiffe://a/b, URI:spiffe://a/control'], fails: undefined },
])('identity: $name', ({ uris, fails }) => {
  const slots = { subjectAltName: uris.length === 0 ? undefined : uriSan(...uris) }
  const { certificate } = mintLeaf({ issuer: root, slots })
  expect(refusalOf(() => uriIdentityOf(certificate))).toBe(fails)
  if (fails === undefined) expect(uriIdentityOf(certificate)).toBe(uris[0])
})
