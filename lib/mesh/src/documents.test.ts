import { compactVerify } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseAgentContent } from './agent-content.ts'
import { contentHash } from './canonical.ts'
import { applyDelta } from './deltas.ts'
import type { DenialEntry } from './denials.ts'
import { type AgentDocument, type FleetDocument, parseDocument, parseRefresh, type Refresh } from './documents.ts'
import {
  agentContentOf,
  at,
  fleetContentOf,
  INSTANCE,
  LIFETIMES,
  type Makers,
  makersOf,
  newPki,
  type Pki,
  SERVICE,
  signerOf,
} from './fixture.ts'
import { type FleetContent, parseFleetContent } from './fleet-content.ts'
import { isoSeconds } from './instant.ts'

const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const hex = (digit: string) => digit.repeat(64)
const denial = (id: string): DenialEntry => ({ id, kind: 'identity', value: SERVICE, until: null })
let pki: Pki
let make: Makers
let fleet: FleetDocument
let agent: AgentDocument
let refresh: Refresh

beforeAll(async () => {
  pki = await newPki()
  make = makersOf(pki)
  fleet = (await make.fleet()).payload
  agent = (await make.agent()).payload
  refresh = (await make.refresh(fleet)).payload
})

describe('made', () => {
  test('a document says what it is about, and jose verifies it', async () => {
    const { jws, payload } = await make.agent(agentContentOf(), { generation: 7 })
    const verified = await compactVerify(jws, pki.active.certificate.publicKey.keyObject, { algorithms: ['ES256'] })
    expect(JSON.parse(Buffer.from(verified.payload).toString())).toEqual(payload)
    expect(verified.protectedHeader.typ).toBe('vcc-state+jws')
    expect(payload).toMatchObject({
      kind: 'agent',
      format: 1,
      trustDomain: 'vcc.internal',
      instance: INSTANCE,
      epoch: 1,
      generation: 7,
      issuedAt: '2026-03-01T12:00:00Z',
      acceptUntil: '2026-03-01T12:10:00Z',
      enforceUntil: '2026-03-04T12:00:00Z',
      contentHash: contentHash(agentContentOf()),
    })
  })

  test('what was made is read', () => {
    expect(parseDocument(fleet)).toEqual(fleet)
    expect(parseDocument(agent)).toEqual(agent)
    expect(parseRefresh(refresh)).toEqual(refresh)
  })

  test('lists come out sorted, so equal content has one hash', async () => {
    const [a, b] = [denial('a'), denial('b')]
    const one = await make.fleet(fleetContentOf(pki, { denials: [b, a] }))
    const two = await make.fleet(fleetContentOf(pki, { denials: [a, b] }))
    expect(one.payload.contentHash).toBe(two.payload.contentHash)
    expect(one.payload.content.denials).toEqual([a, b])
  })

  test('nothing is enforced past the end of a certificate in x5c', async () => {
    const cases = [
      [73 * 3600, 600, 72 * 3600],
      [3600, 600, 3600],
      [60, 60, 60],
      [0, 0, 0],
    ] as const
    for (const [left, accept, enforce] of cases) {
      const leaf = await pki.stateLeaf('short', { notAfter: at(left) })
      const signer = signerOf(leaf, pki.controlCa)
      for (const { payload } of [await make.fleet(undefined, { signer }), await make.refresh(fleet, { signer })]) {
        expect(payload.acceptUntil).toBe(isoSeconds(at(accept)))
        expect(payload.enforceUntil).toBe(isoSeconds(at(enforce)))
      }
    }
  })

  test('an expired certificate signs nothing', async () => {
    const signer = signerOf(await pki.stateLeaf('short', { notAfter: at(-1) }), pki.controlCa)
    await expect(make.fleet(undefined, { signer })).rejects.toThrow(code('state_signer_expired'))
    await expect(make.agent(undefined, { signer })).rejects.toThrow(code('state_signer_expired'))
    await expect(make.refresh(fleet, { signer })).rejects.toThrow(code('state_signer_expired'))
  })

  test('what would be refused is not signed', async () => {
    await expect(make.fleet(fleetContentOf(pki, { denials: [denial('a'), denial('a')] }))).rejects.toThrow(
      code('state_malformed'),
    )
    await expect(make.agent(agentContentOf({ service: 'covina' }))).rejects.toThrow(code('state_malformed'))
    await expect(make.agent(agentContentOf(), { instance: 'ARGUS' })).rejects.toThrow(code('state_malformed'))
    await expect(make.fleet(undefined, { generation: 0 })).rejects.toThrow(code('state_malformed'))
    await expect(make.fleet(undefined, { epoch: 1.5 })).rejects.toThrow(code('state_malformed'))
    await expect(
      make.fleet(undefined, { lifetimes: { ...LIFETIMES, enforceSeconds: 5 * 86_400 + 1 } }),
    ).rejects.toThrow(code('state_malformed'))
    await expect(make.refresh({ ...fleet, instance: INSTANCE })).rejects.toThrow(code('state_malformed'))
  })
})

describe('documents', () => {
  const cases: readonly { name: string; change: (d: FleetDocument) => unknown; fails?: string }[] = [
    { name: 'null', change: () => null },
    { name: 'a list', change: (d) => [d] },
    { name: 'an unknown member', change: (d) => ({ ...d, prevHash: hex('0') }) },
    { name: 'no format', change: (d) => ({ ...d, format: undefined }) },
    { name: 'a format as text', change: (d) => ({ ...d, format: '1' }) },
    {
      name: 'format 2, whatever else it holds',
      change: () => ({ format: 2, brandNew: true }),
      fails: 'state_format_unknown',
    },
    { name: 'format 0', change: (d) => ({ ...d, format: 0 }), fails: 'state_format_unknown' },
    { name: 'a fleet with an instance', change: (d) => ({ ...d, instance: INSTANCE }) },
    { name: 'an agent without an instance', change: (d) => ({ ...d, kind: 'agent' }) },
    { name: 'another kind', change: (d) => ({ ...d, kind: 'node' }) },
    { name: 'generation zero', change: (d) => ({ ...d, generation: 0 }) },
    { name: 'a negative epoch', change: (d) => ({ ...d, epoch: -1 }) },
    { name: 'a generation no number can count past', change: (d) => ({ ...d, generation: 2 ** 53 }) },
    { name: 'a generation as text', change: (d) => ({ ...d, generation: '1' }) },
    { name: 'fractions of a second', change: (d) => ({ ...d, issuedAt: '2026-03-01T12:00:00.5Z' }) },
    { name: 'an instant that does not exist', change: (d) => ({ ...d, acceptUntil: '2026-02-30T12:00:00Z' }) },
    { name: 'acceptUntil before issuedAt', change: (d) => ({ ...d, acceptUntil: isoSeconds(at(-1)) }) },
    { name: 'enforceUntil before acceptUntil', change: (d) => ({ ...d, enforceUntil: isoSeconds(at(599)) }) },
    {
      name: 'enforceUntil five days and a second on',
      change: (d) => ({ ...d, enforceUntil: isoSeconds(at(5 * 86_400 + 1)) }),
    },
    { name: 'a hash in capitals', change: (d) => ({ ...d, contentHash: hex('A') }) },
    { name: 'another hash', change: (d) => ({ ...d, contentHash: hex('0') }), fails: 'state_hash_mismatch' },
    {
      name: 'other content',
      change: (d) => ({ ...d, content: { ...d.content, issuers: [] } }),
      fails: 'state_hash_mismatch',
    },
    { name: 'no content', change: (d) => ({ ...d, content: undefined }) },
  ]
  test.each(cases)('refused: $name', ({ change, fails = 'state_malformed' }) => {
    expect(() => parseDocument(change(fleet))).toThrow(code(fails))
  })

  test('refused: content of the other kind under a matching hash', () => {
    const swapped = { ...fleet, content: agent.content, contentHash: agent.contentHash }
    expect(() => parseDocument(swapped)).toThrow(code('state_malformed'))
  })
})

describe('refreshes', () => {
  const cases: readonly { name: string; change: (r: Refresh) => unknown }[] = [
    { name: 'an unknown member', change: (r) => ({ ...r, content: {} }) },
    { name: 'no hash', change: (r) => ({ ...r, contentHash: undefined }) },
    { name: 'a fleet with an instance', change: (r) => ({ ...r, instance: INSTANCE }) },
    { name: 'an agent without one', change: (r) => ({ ...r, kind: 'agent' }) },
    { name: 'ends that contradict each other', change: (r) => ({ ...r, enforceUntil: r.issuedAt }) },
    { name: 'a text', change: () => 'refresh' },
  ]
  test.each(cases)('refused: $name', ({ change }) => {
    expect(() => parseRefresh(change(refresh))).toThrow(code('state_malformed'))
  })
})

describe('fleet content', () => {
  const entry = (change: object) => ({ denials: [{ ...denial('a'), ...change }] })
  const cases: readonly { name: string; change: (c: FleetContent) => unknown }[] = [
    { name: 'an unknown member', change: (c) => ({ ...c, note: '' }) },
    { name: 'no releases', change: (c) => ({ ...c, releases: undefined }) },
    { name: 'trust that is no JWS', change: (c) => ({ ...c, trust: 'a.b' }) },
    { name: 'unsorted denials', change: (c) => ({ ...c, denials: [denial('b'), denial('a')] }) },
    { name: 'an id twice', change: (c) => ({ ...c, revocations: [denial('a'), denial('a')] }) },
    { name: 'an id denied and revoked', change: (c) => ({ ...c, denials: [denial('a')], revocations: [denial('a')] }) },
    { name: 'an id denied and released', change: (c) => ({ ...c, denials: [denial('a')], releases: [{ id: 'a' }] }) },
    { name: 'an issuer twice', change: (c) => ({ ...c, issuers: [...c.issuers, ...c.issuers] }) },
    {
      name: 'an issuer for another purpose',
      change: (c) => ({ ...c, issuers: c.issuers.map((i) => ({ ...i, purposes: ['state'] })) }),
    },
    {
      name: 'an issuer for no purpose',
      change: (c) => ({ ...c, issuers: c.issuers.map((i) => ({ ...i, purposes: [] })) }),
    },
    {
      name: 'a class by name',
      change: (c) => ({ ...c, issuers: c.issuers.map((i) => ({ ...i, classes: ['mtls_certificate'] })) }),
    },
    {
      name: 'a wildcard organisation',
      change: (c) => ({ ...c, issuers: c.issuers.map((i) => ({ ...i, organizations: ['*'] })) }),
    },
    { name: 'a denial of another kind', change: (c) => ({ ...c, ...entry({ kind: 'ip' }) }) },
    { name: 'a denial without until', change: (c) => ({ ...c, ...entry({ until: undefined }) }) },
    { name: 'an identity with an issuer', change: (c) => ({ ...c, ...entry({ issuer: hex('1') }) }) },
    { name: 'an identity that is no SPIFFE ID', change: (c) => ({ ...c, ...entry({ value: 'argus' }) }) },
    { name: 'a serial without issuer', change: (c) => ({ ...c, ...entry({ kind: 'serial', value: '4a01' }) }) },
    {
      name: 'a serial of half octets',
      change: (c) => ({ ...c, ...entry({ kind: 'serial', value: '4a0', issuer: hex('1') }) }),
    },
    {
      name: 'a serial of 21 octets',
      change: (c) => ({ ...c, ...entry({ kind: 'serial', value: '4a'.repeat(21), issuer: hex('1') }) }),
    },
    { name: 'a key in capitals', change: (c) => ({ ...c, ...entry({ kind: 'spki', value: hex('A') }) }) },
    { name: 'a release with more than an id', change: (c) => ({ ...c, releases: [{ id: 'a', by: 'me' }] }) },
    {
      name: 'too many denials',
      change: (c) => ({ ...c, denials: Array.from({ length: 4097 }, (_, i) => denial(`a${i}`)) }),
    },
  ]
  test.each(cases)('refused: $name', ({ change }) => {
    expect(() => parseFleetContent(change(fleetContentOf(pki)))).toThrow(code('state_malformed'))
  })
})

describe('agent content', () => {
  const covina = agentContentOf().upstreams[0]
  const external = (tls: unknown, host = '10.0.0.9') => ({
    upstreams: [{ ...covina, kind: 'external', addresses: [{ instance: null, host, port: 5432 }], external: { tls } }],
  })
  const cases: readonly { name: string; change: object }[] = [
    { name: 'an unknown member', change: { note: '' } },
    { name: 'a service that is no workload', change: { service: 'spiffe://vcc.internal/control' } },
    { name: 'another mode', change: { mode: 'udp' } },
    { name: 'a policy that is a list', change: { policy: [] } },
    { name: 'a policy that is a text', change: { policy: 'allow all' } },
    { name: 'an instant with an offset', change: { certificateIssuedAfter: '2026-03-01T12:00:00+00:00' } },
    { name: 'a class without OID', change: { classOids: { mtls_certificate: '' } } },
    { name: 'a class name in capitals', change: { classOids: { MTLS: '1.3.6.1' } } },
    { name: '__proto__ among the classes', change: JSON.parse('{"classOids":{"__proto__":"1.3.6.1"}}') as object },
    { name: 'an address with a space', change: { api: ['https://a b'] } },
    { name: 'an upstream twice', change: { upstreams: [covina, covina] } },
    { name: 'two upstreams of one name', change: { upstreams: [covina, { ...covina, id: `${SERVICE}-2` }] } },
    { name: 'port 0', change: { upstreams: [{ ...covina, addresses: [{ instance: null, host: 'a', port: 0 }] }] } },
    {
      name: 'a host that is a URL',
      change: { upstreams: [{ ...covina, addresses: [{ instance: null, host: 'a/b', port: 1 }] }] },
    },
    {
      name: 'a mesh target with TLS trust',
      change: { upstreams: [{ ...covina, external: { tls: { trust: 'plain' } } }] },
    },
    { name: 'an external target without', change: { upstreams: [{ ...covina, kind: 'external' }] } },
    { name: 'plain beyond loopback', change: external({ trust: 'plain' }) },
    { name: 'plain on a name', change: external({ trust: 'plain' }, 'localhost') },
    { name: 'plain on what only begins like loopback', change: external({ trust: 'plain' }, '127.0.0.1.evil.example') },
    { name: 'a CA without a name to expect', change: external({ trust: 'ca', ca: ['AAAA'] }) },
    { name: 'no CA', change: external({ trust: 'ca', ca: [], dnsName: 'db.example' }) },
    { name: 'a pin that is no hash', change: external({ trust: 'spki', spkiSha256: 'AAAA' }) },
  ]
  test.each(cases)('refused: $name', ({ change }) => {
    expect(() => parseAgentContent({ ...agentContentOf(), ...change })).toThrow(code('state_malformed'))
  })

  test.each([
    external({ trust: 'plain' }, '127.0.0.1'),
    external({ trust: 'plain' }, '::1'),
    external({ trust: 'ca', ca: ['AAAA'], dnsName: 'db.example' }),
    external({ trust: 'spki', spkiSha256: hex('1') }),
    { certificateIssuedAfter: '2026-03-01T12:00:00Z' },
    { upstreams: [] },
  ])('taken: %j', (change) => {
    expect(() => parseAgentContent({ ...agentContentOf(), ...change })).not.toThrow()
  })
})

describe('fleet deltas', () => {
  test('a delta leads from any content to any other', async () => {
    const [a, b, c] = [denial('a'), denial('b'), denial('c')]
    const before = fleetContentOf(pki, { denials: [a, b], revocations: [c] })
    const after = fleetContentOf(pki, {
      denials: [{ ...b, value: `${SERVICE}-2` }],
      issuers: [],
      releases: [{ id: 'a' }],
    })
    const { payload } = await make.delta({ generation: 1, content: before }, after, { generation: 2 })
    expect(payload.denials).toEqual({ add: after.denials, remove: ['a'] })
    expect(payload.trust).toBeNull()
    expect(applyDelta(before, payload)).toEqual(after)
  })

  test('a delta laid on other content does not reach its hash', async () => {
    const after = fleetContentOf(pki, { denials: [denial('a')] })
    const { payload } = await make.delta({ generation: 1, content: fleetContentOf(pki) }, after, { generation: 2 })
    const other = fleetContentOf(pki, { denials: [denial('z')] })
    expect(() => applyDelta(other, payload)).toThrow(code('state_hash_mismatch'))
  })

  test('a delta leads upwards', async () => {
    for (const generation of [1, 2]) {
      const made = make.delta({ generation: 2, content: fleetContentOf(pki) }, fleetContentOf(pki), { generation })
      await expect(made).rejects.toThrow(code('state_malformed'))
    }
  })
})
