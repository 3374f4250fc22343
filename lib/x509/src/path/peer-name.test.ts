import { expect, test } from 'vitest'
import type { X509Failure } from '../errors.ts'
import type { GeneralName } from '../general-name.ts'
import { foreignCa, foreignLeaf } from '../testing/foreign.ts'
import { refusalOf } from '../testing/refusal.ts'
import type { PeerName } from './peer-name.ts'
import { checkPeerName } from './peer-name.ts'

const { certificate } = foreignLeaf({ issuer: foreignCa() })
const dns = (value: string): PeerName & GeneralName => ({ type: 'dns', value })
const email = (value: string): PeerName & GeneralName => ({ type: 'email', value })
const ip = (...octets: number[]): PeerName & GeneralName => ({ type: 'ip', octets: new Uint8Array(octets) })
const mismatch = { fails: 'peer_name_mismatch' } as const

const CASES: readonly { name: string; san: readonly GeneralName[]; peer: PeerName; fails?: X509Failure }[] = [
  { name: 'the host', san: [dns('example.com')], peer: dns('example.com') },
  {
    name: 'one of several',
    san: [email('a@b.example'), dns('x.example'), dns('example.com')],
    peer: dns('example.com'),
  },
  { name: 'case does not count', san: [dns('EXAMPLE.com')], peer: dns('example.COM') },
  { name: 'another host', san: [dns('example.com')], peer: dns('example.org'), ...mismatch },
  { name: 'the domain of the host', san: [dns('www.example.com')], peer: dns('example.com'), ...mismatch },
  { name: 'a host below', san: [dns('example.com')], peer: dns('www.example.com'), ...mismatch },
  { name: 'a wildcard', san: [dns('*.example.com')], peer: dns('www.example.com') },
  { name: 'a wildcard over two labels', san: [dns('*.example.com')], peer: dns('a.b.example.com'), ...mismatch },
  { name: 'a wildcard and the domain itself', san: [dns('*.example.com')], peer: dns('example.com'), ...mismatch },
  { name: 'a wildcard below a single label', san: [dns('*.com')], peer: dns('example.com'), ...mismatch },
  { name: 'a wildcard alone', san: [dns('*')], peer: dns('example'), ...mismatch },
  { name: 'a wildcard in part of a label', san: [dns('w*.example.com')], peer: dns('www.example.com'), ...mismatch },
  { name: 'a wildcard in an inner label', san: [dns('www.*.com')], peer: dns('www.example.com'), ...mismatch },
  { name: 'two wildcards', san: [dns('*.*.com')], peer: dns('www.example.com'), ...mismatch },
  { name: 'a wildcard is no name to look for', san: [dns('*.example.com')], peer: dns('*.example.com'), ...mismatch },
  { name: 'a host with an underscore', san: [dns('a_b.example.com')], peer: dns('a_b.example.com'), ...mismatch },
  { name: 'an address as a host', san: [dns('192.0.2.1')], peer: dns('192.0.2.1'), ...mismatch },
  { name: 'an address', san: [ip(192, 0, 2, 1)], peer: ip(192, 0, 2, 1) },
  { name: 'another address', san: [ip(192, 0, 2, 1)], peer: ip(192, 0, 2, 2), ...mismatch },
  { name: 'an address written as a host', san: [dns('192.0.2.1')], peer: ip(192, 0, 2, 1), ...mismatch },
  { name: 'a mailbox', san: [email('a@example.com')], peer: email('a@EXAMPLE.com') },
  { name: 'the local part keeps its case', san: [email('A@example.com')], peer: email('a@example.com'), ...mismatch },
  { name: 'an asterisk in a mailbox is one', san: [email('*@example.com')], peer: email('a@example.com'), ...mismatch },
  { name: 'a mailbox without host', san: [email('a')], peer: email('a'), ...mismatch },
  {
    name: 'a URI is no host',
    san: [{ type: 'uri', value: 'https://example.com' }],
    peer: dns('example.com'),
    ...mismatch,
  },
  { name: 'no names', san: [], peer: dns('server.example.com'), ...mismatch },
]

test.each(CASES)('$name', ({ san, peer, fails }) => {
  const extensions = { ...certificate.extensions, subjectAltName: san }
  expect(refusalOf(() => checkPeerName({ ...certificate, extensions }, peer))).toBe(fails)
})
