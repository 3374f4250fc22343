import { describe, expect, test } from 'vitest'
import { decodeTbsCertificate } from '../certificate.ts'
import type { X509Failure } from '../errors.ts'
import { NO_EXTENSIONS } from '../extension/decode.ts'
import * as extension from '../extension/encode.ts'
import type { NameConstraints } from '../extension/model.ts'
import type { GeneralName } from '../general-name.ts'
import { encodeName, type Name } from '../name.ts'
import { OID } from '../oid.ts'
import { buildTbs, meshNameConstraints } from '../profile/tbs.ts'
import { AT, mintCa, mintLeaf } from '../testing/mint.ts'
import { profileInput } from '../testing/profile-input.ts'
import { hex, refusalOf } from '../testing/refusal.ts'
import { freshBudget } from './budget.ts'
import { assertNamesPermitted, checkNames } from './name-constraints.ts'
import { validateChain } from './validate.ts'

const dns = (value: string): GeneralName => ({ type: 'dns', value })
const uri = (value: string): GeneralName => ({ type: 'uri', value })
const email = (value: string): GeneralName => ({ type: 'email', value })
const ip = (text: string): GeneralName => ({ type: 'ip', octets: hex(text) })
const directory = (...attributes: Parameters<typeof encodeName>[0]): GeneralName => ({
  type: 'directory',
  name: encodeName(attributes),
})
const O = (value: string) => ({ type: 'O', value }) as const
const CN = (value: string) => ({ type: 'CN', value }) as const
const registeredId: GeneralName = { type: 'other', tag: 0x88, der: hex('88022a03') }
const upn: GeneralName = { type: 'other', tag: 0xa0, der: hex('a008 06022a03 a0020500') }

interface Row {
  readonly name: string
  readonly permitted?: readonly GeneralName[]
  readonly excluded?: readonly GeneralName[]
  readonly names?: readonly GeneralName[]
  readonly subject?: Name
  readonly fails?: X509Failure
}

/** Short for the tables below; the first one names them in full. */
const NOT = 'name_not_permitted'
const OUT = 'name_excluded'

const ROWS: readonly Row[] = [
  // dNSName
  { name: 'dns: the domain itself', permitted: [dns('a.b')], names: [dns('a.b')] },
  { name: 'dns: a label more', permitted: [dns('a.b')], names: [dns('x.a.b')] },
  { name: 'dns: three labels more', permitted: [dns('a.b')], names: [dns('x.y.z.a.b')] },
  { name: 'dns: in capitals', permitted: [dns('A.b')], names: [dns('X.a.B')] },
  {
    name: 'dns: a suffix that is no label',
    permitted: [dns('a.b')],
    names: [dns('xa.b')],
    fails: 'name_not_permitted',
  },
  { name: 'dns: the parent', permitted: [dns('a.b')], names: [dns('b')], fails: 'name_not_permitted' },
  { name: 'dns: a prefix', permitted: [dns('a.b')], names: [dns('a.b.c')], fails: 'name_not_permitted' },
  { name: 'dns: one of two', permitted: [dns('a.b'), dns('c.d')], names: [dns('c.d')] },
  {
    name: 'dns: one name of two',
    permitted: [dns('a.b')],
    names: [dns('a.b'), dns('c.d')],
    fails: 'name_not_permitted',
  },
  { name: 'dns: everything', permitted: [dns('')], names: [dns('a.b')] },
  { name: 'dns: nothing', excluded: [dns('')], names: [dns('a.b')], fails: 'name_excluded' },
  {
    name: 'dns: excluded below permitted',
    permitted: [dns('a.b')],
    excluded: [dns('x.a.b')],
    names: [dns('y.x.a.b')],
    fails: 'name_excluded',
  },
  {
    name: 'dns: excluded and permitted alike',
    permitted: [dns('a.b')],
    excluded: [dns('a.b')],
    names: [dns('a.b')],
    fails: 'name_excluded',
  },
  { name: 'dns: beside what is excluded', permitted: [dns('a.b')], excluded: [dns('x.a.b')], names: [dns('y.a.b')] },
  { name: 'dns: a permitted wildcard', permitted: [dns('a.b')], names: [dns('*.a.b')] },
  {
    name: 'dns: a wildcard above what is permitted',
    permitted: [dns('x.a.b')],
    names: [dns('*.a.b')],
    fails: 'name_not_permitted',
  },
  {
    name: 'dns: a wildcard that covers what is excluded',
    excluded: [dns('x.a.b')],
    names: [dns('*.a.b')],
    fails: 'name_excluded',
  },
  {
    name: 'dns: a constraint with a leading dot',
    permitted: [dns('.a.b')],
    names: [dns('x.a.b')],
    fails: 'name_constraint_unsupported',
  },
  {
    name: 'dns: an excluded constraint with a leading dot',
    excluded: [dns('.a.b')],
    names: [dns('c.d')],
    fails: 'name_constraint_unsupported',
  },
  {
    name: 'dns: a wildcard as constraint',
    excluded: [dns('*.a.b')],
    names: [dns('c.d')],
    fails: 'name_constraint_unsupported',
  },
  { name: 'dns: a name with a trailing dot', excluded: [dns('a.b')], names: [dns('a.b.')], fails: 'name_unsupported' },
  {
    name: 'dns: a name with an empty label',
    permitted: [dns('a.b')],
    names: [dns('x..a.b')],
    fails: 'name_unsupported',
  },
  { name: 'dns: a name with a NUL', permitted: [dns('a.b')], names: [dns('evil\0.a.b')], fails: 'name_unsupported' },
  { name: 'dns: an empty name', permitted: [dns('a.b')], names: [dns('')], fails: 'name_unsupported' },
  { name: 'dns: an address as name', excluded: [dns('b')], names: [dns('127.0.0.1')], fails: 'name_unsupported' },
  { name: 'dns: not constrained', permitted: [uri('a.b')], names: [dns('anything.example')] },
  // uniformResourceIdentifier
  { name: 'uri: the host', permitted: [uri('a.b')], names: [uri('spiffe://a.b/org/x')] },
  { name: 'uri: the host in capitals', permitted: [uri('A.B')], names: [uri('spiffe://a.B/org/x')] },
  { name: 'uri: a host below', permitted: [uri('a.b')], names: [uri('spiffe://x.a.b/')], fails: 'name_not_permitted' },
  { name: 'uri: a domain takes hosts below', permitted: [uri('.a.b')], names: [uri('spiffe://x.y.a.b/')] },
  {
    name: 'uri: a domain does not take itself',
    permitted: [uri('.a.b')],
    names: [uri('spiffe://a.b/')],
    fails: 'name_not_permitted',
  },
  { name: 'uri: another host', permitted: [uri('a.b')], names: [uri('spiffe://c.d/')], fails: 'name_not_permitted' },
  {
    name: 'uri: the host behind user information',
    permitted: [uri('a.b')],
    names: [uri('https://a.b@c.d/')],
    fails: 'name_not_permitted',
  },
  {
    name: 'uri: the host in the path',
    permitted: [uri('a.b')],
    names: [uri('https://c.d/@a.b')],
    fails: 'name_not_permitted',
  },
  {
    name: 'uri: the host in the query',
    permitted: [uri('a.b')],
    names: [uri('https://c.d?x://a.b/')],
    fails: 'name_not_permitted',
  },
  { name: 'uri: a port does not count', permitted: [uri('a.b')], names: [uri('https://a.b:8443/')] },
  { name: 'uri: no authority', permitted: [uri('a.b')], names: [uri('urn:a.b')], fails: 'name_unsupported' },
  { name: 'uri: no scheme', permitted: [uri('a.b')], names: [uri('//a.b/')], fails: 'name_unsupported' },
  { name: 'uri: an empty host', permitted: [uri('a.b')], names: [uri('spiffe:///x')], fails: 'name_unsupported' },
  { name: 'uri: an IPv4 host', excluded: [uri('a.b')], names: [uri('https://127.0.0.1/')], fails: 'name_unsupported' },
  { name: 'uri: an IPv6 host', excluded: [uri('a.b')], names: [uri('https://[::1]/')], fails: 'name_unsupported' },
  {
    name: 'uri: a backslash in front of the host',
    permitted: [uri('a.b')],
    names: [uri('https://c.d\\@a.b/')],
    fails: 'name_unsupported',
  },
  {
    name: 'uri: a URI as constraint',
    permitted: [uri('spiffe://a.b')],
    names: [uri('spiffe://a.b/')],
    fails: 'name_constraint_unsupported',
  },
  {
    name: 'uri: an empty constraint',
    excluded: [uri('')],
    names: [uri('spiffe://a.b/')],
    fails: 'name_constraint_unsupported',
  },
  {
    name: 'uri: excluded',
    permitted: [uri('a.b')],
    excluded: [uri('a.b')],
    names: [uri('spiffe://a.b/')],
    fails: 'name_excluded',
  },
  // rfc822Name
  { name: 'email: a host', permitted: [email('a.b')], names: [email('x@a.b')] },
  { name: 'email: a host below', permitted: [email('a.b')], names: [email('x@c.a.b')], fails: 'name_not_permitted' },
  { name: 'email: a domain', permitted: [email('.a.b')], names: [email('x@c.a.b')] },
  {
    name: 'email: a domain without itself',
    permitted: [email('.a.b')],
    names: [email('x@a.b')],
    fails: 'name_not_permitted',
  },
  { name: 'email: a mailbox', permitted: [email('x@a.b')], names: [email('x@A.b')] },
  {
    name: 'email: a mailbox in other letters',
    permitted: [email('x@a.b')],
    names: [email('X@a.b')],
    fails: 'name_not_permitted',
  },
  { name: 'email: another mailbox', permitted: [email('x@a.b')], names: [email('y@a.b')], fails: 'name_not_permitted' },
  { name: 'email: two at signs', permitted: [email('a.b')], names: [email('x@a.b@c.d')], fails: 'name_unsupported' },
  { name: 'email: no mailbox', permitted: [email('a.b')], names: [email('a.b')], fails: 'name_unsupported' },
  { name: 'email: no host', permitted: [email('a.b')], names: [email('x@')], fails: 'name_unsupported' },
  {
    name: 'email: in the subject',
    permitted: [email('a.b')],
    subject: encodeName([{ type: 'emailAddress', value: 'x@c.d' }]),
    fails: 'name_not_permitted',
  },
  {
    name: 'email: excluded in the subject',
    excluded: [email('c.d')],
    subject: encodeName([{ type: 'emailAddress', value: 'x@c.d' }]),
    fails: 'name_excluded',
  },
  // iPAddress
  { name: 'ip: in the range', permitted: [ip('0a000000 ff000000')], names: [ip('0affffff')] },
  { name: 'ip: outside', permitted: [ip('0a000000 ff000000')], names: [ip('0b000000')], fails: 'name_not_permitted' },
  { name: 'ip: one address', permitted: [ip('0a000001 ffffffff')], names: [ip('0a000001')] },
  { name: 'ip: base bits below the mask do not count', permitted: [ip('0a0000ff ffffff00')], names: [ip('0a000001')] },
  { name: 'ip: all excluded', excluded: [ip('00000000 00000000')], names: [ip('7f000001')], fails: 'name_excluded' },
  {
    name: 'ip: IPv6 in the range',
    permitted: [ip(`fd00${'00'.repeat(14)} ff00${'00'.repeat(14)}`)],
    names: [ip(`fd${'01'.repeat(15)}`)],
  },
  { name: 'ip: IPv6 excluded', excluded: [ip('00'.repeat(32))], names: [ip('01'.repeat(16))], fails: 'name_excluded' },
  {
    name: 'ip: IPv6 where only IPv4 is permitted',
    permitted: [ip('00000000 00000000')],
    names: [ip('01'.repeat(16))],
    fails: 'name_not_permitted',
  },
  { name: 'ip: IPv6 where only IPv4 is excluded', excluded: [ip('00000000 00000000')], names: [ip('01'.repeat(16))] },
  {
    name: 'ip: a mapped address is IPv6',
    excluded: [ip('7f000000 ff000000')],
    names: [ip('00000000000000000000ffff7f000001')],
  },
  {
    name: 'ip: a mask with a hole',
    permitted: [ip('0a000000 ff00ff00')],
    names: [ip('0a000000')],
    fails: 'name_constraint_unsupported',
  },
  // directoryName
  { name: 'directory: the subject', permitted: [directory(O('VCC'))], subject: encodeName([O('VCC'), CN('x')]) },
  {
    name: 'directory: another subject',
    permitted: [directory(O('VCC'))],
    subject: encodeName([O('VC'), CN('x')]),
    fails: 'name_not_permitted',
  },
  {
    name: 'directory: another order',
    permitted: [directory(O('VCC'))],
    subject: encodeName([CN('x'), O('VCC')]),
    fails: 'name_not_permitted',
  },
  {
    name: 'directory: shorter',
    permitted: [directory(O('VCC'), CN('x'))],
    subject: encodeName([O('VCC')]),
    fails: 'name_not_permitted',
  },
  { name: 'directory: an empty subject is none', permitted: [directory(O('VCC'))], subject: encodeName([]) },
  {
    name: 'directory: among the alternative names',
    permitted: [directory(O('VCC'))],
    subject: encodeName([]),
    names: [directory(O('X'))],
    fails: 'name_not_permitted',
  },
  {
    name: 'directory: excluded in other letters and spaces',
    excluded: [directory(O('Evil Corp'))],
    subject: encodeName([O(' evil  CORP '), CN('x')]),
    fails: 'name_excluded',
  },
  {
    name: 'directory: excluded in full width',
    excluded: [directory(O('Evil'))],
    subject: encodeName([O('Ｅｖｉｌ')]),
    fails: 'name_excluded',
  },
  {
    name: 'directory: excluded in another string type',
    excluded: [
      {
        type: 'directory',
        name: {
          ...encodeName([]),
          der: hex('300d 310b 3009 060355040a 1302 5643'),
          rdns: [hex('310b 3009 060355040a 1302 5643')],
        },
      },
    ],
    subject: encodeName([O('vc')]),
    fails: 'name_excluded',
  },
  {
    name: 'directory: the empty name is everybody',
    excluded: [directory()],
    subject: encodeName([CN('x')]),
    fails: 'name_excluded',
  },
  // What is not supported
  {
    name: 'other: a form that is constrained',
    permitted: [registeredId],
    names: [dns('a.b')],
    fails: 'name_constraint_unsupported',
  },
  { name: 'other: a form that is excluded', excluded: [upn], names: [], fails: 'name_constraint_unsupported' },
  { name: 'other: a name that nobody constrains', permitted: [dns('a.b')], names: [registeredId, dns('a.b')] },
]

const root = mintCa()

function validate(constraints: readonly NameConstraints[], names: readonly GeneralName[], subject: Name): void {
  let issuer = root
  const chain: Uint8Array[] = []
  for (const [i, constraint] of constraints.entries()) {
    issuer = mintCa({
      issuer,
      name: encodeName([O('VCC'), CN(`CA ${i}`)]),
      slots: { constraint: extension.encodeNameConstraints(constraint) },
    })
    chain.unshift(issuer.der)
  }
  const slots = { subjectAltName: names.length === 0 ? undefined : extension.encodeSubjectAltName(names, false) }
  const leaf = mintLeaf({ issuer, name: subject, slots })
  validateChain([leaf.der, ...chain], { anchors: [root.certificate], at: AT, eku: OID.clientAuth })
}

describe('name constraints', () => {
  test.each(ROWS)('$name', ({ permitted = [], excluded = [], names = [], subject = encodeName([CN('x')]), fails }) => {
    expect(refusalOf(() => validate([{ permitted, excluded }], names, subject))).toBe(fails)
  })

  const ours = meshNameConstraints({ permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] })

  test.each<[string, GeneralName, X509Failure | undefined]>([
    ['a name of ours', dns('argus.vcc.internal'), undefined],
    ['a URI of ours', uri('spiffe://vcc.internal/control'), undefined],
    ['a foreign name', dns('argus.example'), NOT],
    ['a foreign trust domain', uri('spiffe://vcc.internal.example/control'), NOT],
    ['an e-mail address', email('a@vcc.internal'), NOT],
    ['an e-mail address at invalid', email('a@invalid'), OUT],
    ['an IPv4 address', ip('7f000001'), OUT],
    ['an IPv6 address', ip('00000000000000000000000000000001'), OUT],
  ])('a mesh CA and %s', (_, name, fails) => {
    expect(refusalOf(() => validate([ours], [name], encodeName([CN('x')])))).toBe(fails)
  })

  test('a CA cannot permit what the one above does not', () => {
    const wide = { permitted: [dns('c.d'), dns('a.b')], excluded: [] }
    const narrow = { permitted: [dns('a.b')], excluded: [] }
    expect(refusalOf(() => validate([narrow, wide], [dns('c.d')], encodeName([CN('x')])))).toBe(NOT)
    expect(refusalOf(() => validate([wide, narrow], [dns('c.d')], encodeName([CN('x')])))).toBe(NOT)
    expect(refusalOf(() => validate([narrow, wide], [dns('a.b')], encodeName([CN('x')])))).toBeUndefined()
  })

  test('constraints of the anchor hold', () => {
    const anchor = mintCa({
      slots: { constraint: extension.encodeNameConstraints({ permitted: [dns('a.b')], excluded: [] }) },
    })
    const leaf = mintLeaf({
      issuer: anchor,
      slots: { subjectAltName: extension.encodeSubjectAltName([dns('c.d')], false) },
    })
    const options = { anchors: [anchor.certificate], at: AT, eku: OID.clientAuth }
    expect(refusalOf(() => validateChain([leaf.der], options))).toBe(NOT)
  })

  test('constraints hold for the subject of a CA too', () => {
    const anchor = mintCa({
      slots: { constraint: extension.encodeNameConstraints({ permitted: [directory(O('VCC'))], excluded: [] }) },
    })
    const ca = mintCa({ issuer: anchor, name: 'not of VCC' })
    const leaf = mintLeaf({ issuer: ca, name: encodeName([O('VCC'), CN('x')]) })
    const options = { anchors: [anchor.certificate], at: AT, eku: OID.clientAuth }
    expect(refusalOf(() => validateChain([leaf.der, ca.der], options))).toBe(NOT)
  })

  test('hundreds of names against hundreds of constraints are too much work', () => {
    const many = Array.from({ length: 300 }, (_, i) => dns(`a${i}.b`))
    expect({
      fails: refusalOf(() => validate([{ permitted: many, excluded: [] }], many, encodeName([CN('x')]))),
    }).toEqual({
      fails: 'name_budget_exceeded',
    })
  })
})

test('a long name is prepared once, whatever it is compared with, and paid for by its size', () => {
  const subject = encodeName(Array.from({ length: 200 }, () => O('x'.repeat(64))))
  const spent = (bases: number): number => {
    const budget = freshBudget()
    const excluded = Array.from({ length: bases }, (_, i) => directory(O(`o${i}`)))
    checkNames({ subject, extensions: NO_EXTENSIONS }, { permitted: [], excluded }, 'forms-in-use', budget)
    return freshBudget().names - budget.names
  }
  expect(spent(1)).toBeGreaterThan(subject.der.length / 64)
  expect(spent(101) - spent(1)).toBe(200)
})

describe('before signing', () => {
  const ca = mintCa({
    name: 'VCC Services CA',
    slots: {
      constraint: extension.encodeNameConstraints(
        meshNameConstraints({ permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] }),
      ),
    },
  })

  test.each<[string, Parameters<typeof profileInput>[1], X509Failure | undefined]>([
    ['a service of ours', {}, undefined],
    ['a foreign trust domain', { uris: ['spiffe://elsewhere/org/brandenburg/svc/argus'] }, NOT],
    ['a foreign domain', { dnsNames: ['argus.elsewhere'] }, NOT],
  ])('%s', (_, changes, fails) => {
    const tbs = decodeTbsCertificate(buildTbs(profileInput('service', changes)).der)
    expect(refusalOf(() => assertNamesPermitted([root.certificate, ca.certificate], tbs))).toBe(fails)
  })
})
