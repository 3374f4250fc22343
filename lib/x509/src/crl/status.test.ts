import { describe, expect, test } from 'vitest'
import { oid } from '../der/oid.ts'
import type { X509Failure } from '../errors.ts'
import * as extension from '../extension/encode.ts'
import { encodeName } from '../name.ts'
import { OID } from '../oid.ts'
import { findPath } from '../path/find.ts'
import { dnsNames, type Foreign, foreignCa, foreignLeaf } from '../testing/foreign.ts'
import { AT, type Slots, testKey } from '../testing/mint.ts'
import { type CrlSpec, crlScope, distributionPoints, mintCrl, relativeCn } from '../testing/mint-crl.ts'
import { refusalOf } from '../testing/refusal.ts'

const SERIAL = '4a0102030405060708090a0b0c0d0e0f10111213'
const uri = (value: string) => ({ type: 'uri', value }) as const
const directory = (cn: string) => ({ type: 'directory', name: encodeName([{ type: 'CN', value: cn }]) }) as const
const A = [uri('http://status.example/a.crl')]
const B = [uri('http://status.example/b.crl')]
const keyUsage = (...usages: Parameters<typeof extension.encodeKeyUsage>[0]): Slots => ({
  keyUsage: extension.encodeKeyUsage(usages),
})

const root = foreignCa()
const ca = foreignCa({ issuer: root })
const leafWith = (slots: Slots = {}, issuer: Foreign = ca): Foreign =>
  foreignLeaf({ issuer, serial: Uint8Array.fromHex(SERIAL), slots })
const leaf = leafWith()

/** The same CA's second certificate, for a key that signs its CRLs. */
const crlKey = foreignCa({
  issuer: ca,
  name: ca.certificate.subject,
  slots: { basicConstraints: undefined, ...keyUsage('cRLSign') },
})
/** That with a point of its own, whose list the CA's first key signs. */
const crlKeyAtB = foreignCa({
  issuer: ca,
  name: ca.certificate.subject,
  slots: { basicConstraints: undefined, ...keyUsage('cRLSign'), points: distributionPoints({ names: B }) },
})
/** Another authority below the root that signs CRLs for others. */
const authority = foreignCa({
  issuer: root,
  name: 'CRL Authority',
  slots: { basicConstraints: undefined, ...keyUsage('cRLSign') },
})
const strangerRoot = foreignCa({ name: 'Stranger' })
const strangerCa = foreignCa({ issuer: strangerRoot, name: ca.certificate.subject })

const revoked = [{ serialHex: SERIAL }]
const of =
  (issuer: CrlSpec['issuer']) =>
  (spec: Omit<CrlSpec, 'issuer'> = {}): Uint8Array =>
    mintCrl({ issuer, ...spec })
const [byRoot, byCa, byAuthority] = [of(root), of(ca), of(authority)]
const clean = byRoot()
const is = { fails: 'certificate_revoked' } as const
const unknown = { fails: 'revocation_unknown' } as const

interface Case {
  readonly name: string
  readonly leaf?: Foreign
  readonly others?: readonly Foreign[]
  readonly anchors?: readonly Foreign[]
  /** Beside a clean one of the root. */
  readonly crls: readonly Uint8Array[]
  readonly fails?: X509Failure
}

const pointA = distributionPoints({ names: A })
const some = (...reasons: number[]) => crlScope({ reasons })
const indirect = leafWith({ points: distributionPoints({ names: A, crlIssuer: authority.certificate.subject }) })
const stated = (who: string) => [directory(who)]
const caName = [{ type: 'directory', name: ca.certificate.subject } as const]
const delta = (spec: Omit<CrlSpec, 'issuer'>): Uint8Array => byCa({ number: 12, base: 10, ...spec })
const old = { nextUpdate: new Date('2026-05-01T00:00:00Z') }
const removed = [{ serialHex: SERIAL, reason: 'removeFromCRL' } as const]

const CASES: readonly Case[] = [
  { name: 'not on the list', crls: [byCa()] },
  { name: 'on the list', crls: [byCa({ revoked })], ...is },
  { name: 'another serial on the list', crls: [byCa({ revoked: [{ serialHex: '01' }] })] },
  { name: 'no list', crls: [], ...unknown },
  { name: 'a list that is none', crls: [byCa().slice(0, -1)], ...unknown },
  { name: 'a list beside one that is none', crls: [new Uint8Array([1]), byCa().slice(0, -1), byCa()] },
  { name: 'the list of another CA', crls: [of(foreignCa({ issuer: root, name: 'Other' }))()], ...unknown },
  {
    name: 'a revoked CA',
    crls: [byCa(), byRoot({ number: 11, revoked: [{ serialHex: ca.certificate.serialHex }] })],
    ...is,
  },
  {
    name: 'a list with an unknown critical extension',
    crls: [byCa({ slots: { x: extension.encodeExtension('1.2.3.4', true, oid('1.2')) } })],
    fails: 'extension_critical_unknown',
  },
  // Time
  { name: 'a list past its nextUpdate', crls: [byCa(old)], fails: 'crl_expired' },
  {
    name: 'a list of tomorrow',
    crls: [byCa({ thisUpdate: new Date('2026-06-02T00:00:00Z') })],
    fails: 'crl_not_yet_valid',
  },
  {
    name: 'of two lists the newer one, which revokes',
    crls: [byCa({ number: 1 }), byCa({ number: 2, revoked })],
    ...is,
  },
  { name: 'of two lists the newer one, which does not', crls: [byCa({ number: 2 }), byCa({ number: 1, revoked })] },
  { name: 'of two lists the one that can be used', crls: [byCa({ number: 2, ...old }), byCa({ number: 1 })] },
  // Signers
  { name: 'a list signed by somebody else', crls: [byCa({ signer: testKey() })], fails: 'crl_signature_invalid' },
  { name: 'a list signed with another key of the CA', others: [crlKey], crls: [byCa({ signer: crlKey.key })] },
  { name: 'that key without its certificate', crls: [byCa({ signer: crlKey.key })], fails: 'crl_signature_invalid' },
  { name: 'that key, and it revokes', others: [crlKey], crls: [byCa({ signer: crlKey.key, revoked })], ...is },
  {
    name: 'that key with a point of its own',
    others: [crlKeyAtB],
    crls: [byCa({ signer: crlKeyAtB.key }), byCa({ number: 11, scope: crlScope({ names: B }) })],
  },
  {
    name: 'that key with a point of its own, revoked',
    others: [crlKeyAtB],
    crls: [
      byCa({ signer: crlKeyAtB.key }),
      byCa({ number: 11, scope: crlScope({ names: B }), revoked: [{ serialHex: crlKeyAtB.certificate.serialHex }] }),
    ],
    fails: 'crl_signer_unknown',
  },
  {
    name: 'a CA that may not sign lists',
    ...withCa(foreignCa({ issuer: root, name: 'No CRLs', slots: keyUsage('keyCertSign') })),
    fails: 'crl_signer_key_usage',
  },
  {
    name: 'a CA without keyUsage',
    ...withCa(foreignCa({ issuer: root, name: 'Free', slots: { keyUsage: undefined } })),
  },
  {
    name: 'a CA of the same name below another anchor',
    others: [strangerCa],
    anchors: [root, strangerRoot],
    crls: [of(strangerCa)()],
    fails: 'crl_signer_unknown',
  },
  // Distribution points
  { name: 'a list for everything at a point', leaf: leafWith({ pointA }), crls: [byCa()] },
  { name: 'a list of this point', leaf: leafWith({ pointA }), crls: [byCa({ scope: crlScope({ names: A }) })] },
  {
    name: 'a list of this point, which revokes',
    leaf: leafWith({ pointA }),
    crls: [byCa({ scope: crlScope({ names: A }), revoked })],
    ...is,
  },
  {
    name: 'a list of another point',
    leaf: leafWith({ pointA }),
    crls: [byCa({ scope: crlScope({ names: B }) })],
    ...unknown,
  },
  { name: 'a list of a point, and a certificate without', crls: [byCa({ scope: crlScope({ names: A }) })], ...unknown },
  { name: 'a list of a point that is the name of the issuer', crls: [byCa({ scope: crlScope({ names: caName }) })] },
  {
    name: 'one of two points',
    leaf: leafWith({ points: distributionPoints({ names: B }, { names: A }) }),
    crls: [byCa({ scope: crlScope({ names: A }) })],
  },
  {
    name: 'one of two names of a point',
    leaf: leafWith({ points: distributionPoints({ names: [...B, ...A] }) }),
    crls: [byCa({ scope: crlScope({ names: [...A, uri('ldap://x')] }) })],
  },
  {
    name: 'a point relative to the issuer',
    leaf: leafWith({ points: distributionPoints({ relativeName: relativeCn('CRL1') }) }),
    crls: [byCa({ scope: crlScope({ relativeName: relativeCn('crl1') }) })],
  },
  {
    name: 'a point relative to the issuer, and its whole name',
    leaf: leafWith({ points: distributionPoints({ relativeName: relativeCn('CRL1') }) }),
    crls: [byCa({ scope: crlScope({ names: [below('CRL1')] }) })],
  },
  {
    name: 'another point relative to the issuer',
    leaf: leafWith({ points: distributionPoints({ relativeName: relativeCn('CRL1') }) }),
    crls: [byCa({ scope: crlScope({ relativeName: relativeCn('CRL2') }) })],
    ...unknown,
  },
  // Kinds of certificates
  { name: 'a list of users', crls: [byCa({ scope: crlScope({ only: 'user' }) })] },
  { name: 'a list of CAs', crls: [byCa({ scope: crlScope({ only: 'ca' }) })], ...unknown },
  { name: 'a list of attribute certificates', crls: [byCa({ scope: crlScope({ only: 'attribute' }) })], ...unknown },
  { name: 'a CA on a list of CAs', ...onlyFor('ca') },
  { name: 'a CA on a list of users', ...onlyFor('user'), ...unknown },
  // Reasons
  { name: 'some reasons', crls: [byCa({ scope: some(1, 2) })], ...unknown },
  { name: 'all reasons in two lists', crls: [byCa({ scope: some(1, 2) }), byCa({ scope: some(3, 4, 5, 6, 7, 8) })] },
  {
    name: 'all reasons but one',
    crls: [byCa({ scope: some(1, 2) }), byCa({ scope: some(3, 4, 5, 6, 7) })],
    ...unknown,
  },
  {
    name: 'all reasons, and the second list revokes',
    crls: [byCa({ scope: some(1, 2) }), byCa({ scope: some(3, 4, 5, 6, 7, 8), revoked })],
    ...is,
  },
  {
    name: 'two points, each for some reasons',
    leaf: leafWith({
      points: distributionPoints({ names: A, reasons: [1, 2] }, { names: B, reasons: [3, 4, 5, 6, 7, 8] }),
    }),
    crls: [byCa({ scope: crlScope({ names: A }) }), byCa({ scope: crlScope({ names: B }) })],
  },
  {
    name: 'two points, and one list for both',
    leaf: leafWith({
      points: distributionPoints({ names: A, reasons: [1, 2] }, { names: B, reasons: [3, 4, 5, 6, 7, 8] }),
    }),
    crls: [byCa({ scope: crlScope({ names: A }) })],
    ...unknown,
  },
  // Indirect lists
  {
    name: 'a list of another authority',
    leaf: indirect,
    others: [authority],
    crls: [byAuthority({ scope: crlScope({ names: A, isIndirect: true }) })],
  },
  {
    name: 'a list of another authority, which revokes',
    leaf: indirect,
    others: [authority],
    crls: [
      byAuthority({
        scope: crlScope({ names: A, isIndirect: true }),
        revoked: [{ serialHex: SERIAL, certificateIssuer: caName }],
      }),
    ],
    ...is,
  },
  {
    name: 'that serial of another issuer',
    leaf: indirect,
    others: [authority],
    crls: [
      byAuthority({
        scope: crlScope({ names: A, isIndirect: true }),
        revoked: [{ serialHex: SERIAL, certificateIssuer: stated('Other') }],
      }),
    ],
  },
  {
    name: 'that serial of the authority itself',
    leaf: indirect,
    others: [authority],
    crls: [byAuthority({ scope: crlScope({ names: A, isIndirect: true }), revoked })],
  },
  {
    name: 'that serial after another of the issuer',
    leaf: indirect,
    others: [authority],
    crls: [
      byAuthority({
        scope: crlScope({ names: A, isIndirect: true }),
        revoked: [{ serialHex: '01', certificateIssuer: caName }, { serialHex: SERIAL }],
      }),
    ],
    ...is,
  },
  {
    name: 'a list of another authority that is not indirect',
    leaf: indirect,
    others: [authority],
    crls: [byAuthority({ scope: crlScope({ names: A }) })],
    ...unknown,
  },
  {
    name: 'a list of another authority without its certificate',
    leaf: indirect,
    crls: [byAuthority({ scope: crlScope({ names: A, isIndirect: true }) })],
    fails: 'crl_signer_unknown',
  },
  {
    name: 'a list of an authority that the certificate does not name',
    others: [authority],
    crls: [byAuthority({ scope: crlScope({ isIndirect: true }) })],
    ...unknown,
  },
  {
    name: 'a list of an authority that is revoked',
    leaf: indirect,
    others: [authority],
    crls: [
      byRoot({ number: 11, revoked: [{ serialHex: authority.certificate.serialHex }] }),
      byAuthority({ scope: crlScope({ names: A, isIndirect: true }) }),
    ],
    fails: 'crl_signer_unknown',
  },
  // Deltas
  { name: 'a delta that revokes', crls: [byCa(), delta({ revoked })], ...is },
  { name: 'a delta that takes off', crls: [byCa({ revoked }), delta({ revoked: removed })] },
  { name: 'a delta that says nothing of it', crls: [byCa({ revoked }), delta({})], ...is },
  { name: 'a delta alone', crls: [delta({})], ...unknown },
  { name: 'a delta for a later base', crls: [byCa({ revoked, number: 9 }), delta({ revoked: removed })], ...is },
  { name: 'a delta older than the list', crls: [byCa({ revoked, number: 12 }), delta({ revoked: removed })], ...is },
  {
    name: 'a delta of another scope',
    crls: [byCa({ revoked }), delta({ revoked: removed, scope: crlScope({ only: 'user' }) })],
    ...is,
  },
  {
    name: 'a delta of another key',
    others: [crlKey],
    crls: [byCa({ revoked }), delta({ revoked: removed, signer: crlKey.key })],
    ...is,
  },
  {
    name: 'a delta that names another key',
    crls: [
      byCa({ revoked }),
      delta({
        revoked: removed,
        slots: { [OID.authorityKeyId]: extension.encodeAuthorityKeyId(crlKey.key.publicKey.subjectKeyId) },
      }),
    ],
    ...is,
  },
  { name: 'a delta past its nextUpdate', crls: [byCa({ revoked }), delta({ revoked: removed, ...old })], ...is },
  { name: 'of two deltas the newer one', crls: [byCa(), delta({ revoked }), delta({ number: 13, revoked: removed })] },
  { name: 'a list past its nextUpdate with a delta that is current', crls: [byCa(old), delta({})] },
  {
    name: 'a list past its nextUpdate with a delta of another key',
    others: [crlKey],
    crls: [byCa(old), delta({ signer: crlKey.key })],
    fails: 'crl_expired',
  },
]

/** A leaf of this CA and the CA's clean list. */
function withCa(issuer: Foreign): Pick<Case, 'leaf' | 'others' | 'crls'> {
  return { leaf: leafWith({}, issuer), others: [issuer], crls: [of(issuer)()] }
}

/** A CA as leaf, and a list of its issuer for one kind only. */
function onlyFor(only: 'ca' | 'user'): Pick<Case, 'leaf' | 'crls'> {
  return {
    leaf: foreignCa({ issuer: ca, name: 'Sub', slots: { san: dnsNames('sub.example') } }),
    crls: [byCa({ scope: crlScope({ only }) })],
  }
}

/** `CN=…` below the name of the CA. */
function below(cn: string): { type: 'directory'; name: typeof ca.certificate.subject } {
  const { subject } = ca.certificate
  const name = encodeName([
    { type: 'CN', value: subject.attributes[0]?.value ?? '' },
    { type: 'CN', value: cn },
  ])
  return { type: 'directory', name }
}

describe('revocation', () => {
  test.each(CASES)('$name', ({ leaf: target = leaf, others = [], anchors = [root], crls, fails }) => {
    const options = {
      profile: 'rfc5280-path',
      anchors: anchors.map(({ certificate }) => certificate),
      intermediates: [ca, ...others].map(({ der }) => der),
      at: AT,
      crls: [...crls, clean],
    } as const
    expect(refusalOf(() => findPath(target.der, options))).toBe(fails)
  })

  test('the tolerance holds for the beginning of a list and not for its end', () => {
    const early = { thisUpdate: new Date('2026-06-01T12:04:00Z') }
    const late = { nextUpdate: new Date('2026-06-01T11:59:59Z') }
    const judge = (spec: Omit<CrlSpec, 'issuer'>) =>
      refusalOf(() =>
        findPath(leaf.der, {
          profile: 'rfc5280',
          anchors: [root.certificate],
          intermediates: [ca.der],
          at: AT,
          skewSeconds: 300,
          crls: [clean, byCa(spec)],
        }),
      )
    expect([judge({}), judge(early), judge(late)]).toEqual([undefined, undefined, 'crl_expired'])
  })

  test('without lists nobody asks', () => {
    const options = { profile: 'rfc5280', anchors: [root.certificate], intermediates: [ca.der], at: AT } as const
    expect(() => findPath(leaf.der, options)).not.toThrow()
    expect(refusalOf(() => findPath(leaf.der, { ...options, crls: [] }))).toBe('revocation_unknown')
  })

  test('a critical distribution point is processed with lists, and not without', () => {
    const critical = leafWith({
      point: extension.encodeExtension(
        OID.crlDistributionPoints,
        true,
        Uint8Array.fromHex('300d300ba009a0078605687474703a'),
      ),
    })
    const options = { profile: 'rfc5280', anchors: [root.certificate], intermediates: [ca.der], at: AT } as const
    expect(refusalOf(() => findPath(critical.der, options))).toBe('extension_critical_unknown')
    expect(refusalOf(() => findPath(critical.der, { ...options, crls: [clean, byCa()] }))).toBeUndefined()
  })

  test('thousands of points against thousands of names', () => {
    const many = Array.from({ length: 200 }, (_, i) => uri(`http://status.example/${i}`))
    const point = leafWith({ points: distributionPoints({ names: many }) })
    const options = { profile: 'rfc5280', anchors: [root.certificate], intermediates: [ca.der], at: AT } as const
    const row = { fails: 'name_budget_exceeded' }
    const crls = [clean, byCa({ scope: crlScope({ names: many.map(({ value }) => uri(`${value}/x`)) }) })]
    expect(refusalOf(() => findPath(point.der, { ...options, crls }))).toBe(row.fails)
  })

  test('257 lists, or 16 MiB of them, are too much', () => {
    const options = { profile: 'rfc5280', anchors: [root.certificate], intermediates: [ca.der], at: AT } as const
    const row = { fails: 'path_budget_exceeded' }
    expect(refusalOf(() => findPath(leaf.der, { ...options, crls: Array.from({ length: 257 }, () => clean) }))).toBe(
      row.fails,
    )
    expect(refusalOf(() => findPath(leaf.der, { ...options, crls: [new Uint8Array(16 * 1024 * 1024 + 1)] }))).toBe(
      row.fails,
    )
  })
})
