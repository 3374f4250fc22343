import { X509Error } from '@vcc/x509'
import { beforeAll, describe, expect, test } from 'vitest'
import { acceptAgent, acceptDelta, acceptFleet, acceptRefresh } from './accept.ts'
import { canonicalJson } from './canonical.ts'
import { type DenialEntry, isDenied } from './denials.ts'
import { MeshError } from './errors.ts'
import {
  acceptanceOf,
  agentContentOf,
  at,
  fleetContentOf,
  INSTANCE,
  LIFETIMES,
  type Makers,
  makersOf,
  NOW,
  newPki,
  OTHER_INSTANCE,
  type Party,
  type Pki,
  SERVICE,
  signerOf,
  usagesOf,
  withExtKeyUsage,
} from './fixture.ts'
import { enforcement, type HeldAgent, type HeldFleet, isYoungerThan } from './held.ts'
import { type JwsSigner, type JwsType, signJws } from './jws.ts'
import { signTrustStatement, type TrustStatement } from './trust.ts'

const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const DENIAL: DenialEntry = { id: 'd1', kind: 'identity', value: SERVICE, until: null }
const DAY = 86_400
let pki: Pki
let foreign: Pki
let make: Makers
let fleet: HeldFleet
let agent: HeldAgent

beforeAll(async () => {
  ;[pki, foreign] = await Promise.all([newPki(), newPki({ trustDomain: 'other.internal' })])
  make = makersOf(pki)
  fleet = acceptFleet(undefined, (await make.fleet()).jws, acceptanceOf(pki))
  agent = acceptAgent(undefined, (await make.agent()).jws, acceptanceOf(pki))
})

const fleetWith = (entries: readonly DenialEntry[]) => fleetContentOf(pki, { denials: [...entries] })

describe('taken', () => {
  test('the first document, with what it says', () => {
    expect(fleet).toMatchObject({
      kind: 'fleet',
      instance: null,
      epoch: 1,
      generation: 1,
      trust: pki.trust,
      deltas: [],
    })
    expect(fleet.content).toEqual(fleetContentOf(pki))
    expect([fleet.issuedAt, fleet.acceptUntil, fleet.enforceUntil]).toEqual([NOW, at(600), at(72 * 3600)])
    expect(agent).toMatchObject({ kind: 'agent', instance: INSTANCE, content: agentContentOf() })
  })

  test('a document signed by the spare key', async () => {
    const { jws } = await make.agent(undefined, { signer: pki.spareSigner })
    expect(acceptAgent(undefined, jws, acceptanceOf(pki)).generation).toBe(1)
  })

  test('a higher generation, also with gaps between', async () => {
    const { jws } = await make.agent(agentContentOf({ upstreams: [] }), { generation: 9 })
    expect(acceptAgent(agent, jws, acceptanceOf(pki)).content.upstreams).toEqual([])
  })

  test('a higher epoch with a lower generation', async () => {
    const held = acceptAgent(agent, (await make.agent(undefined, { generation: 9 })).jws, acceptanceOf(pki))
    const { jws } = await make.agent(undefined, { epoch: 2 })
    expect(acceptAgent(held, jws, acceptanceOf(pki))).toMatchObject({ epoch: 2, generation: 1 })
  })

  test('the same generation and hash with a newer issuedAt', async () => {
    const { jws } = await make.agent(undefined, { now: at(60) })
    expect(acceptAgent(agent, jws, acceptanceOf(pki, 60))).toMatchObject({
      issuedAt: at(60),
      enforceUntil: at(60 + 72 * 3600),
    })
  })

  test('the same text once more, as QoS 1 may deliver it, changes nothing, however late', () => {
    for (const seconds of [0, 601, 10 * DAY]) {
      expect(acceptAgent(agent, agent.document, acceptanceOf(pki, seconds))).toBe(agent)
      expect(acceptFleet(fleet, fleet.document, acceptanceOf(pki, seconds))).toBe(fleet)
    }
  })

  test('on a clock behind the signer’s, the certificate of this minute', async () => {
    const leaf = await pki.stateLeaf('new', { notBefore: NOW })
    const trust = {
      ...pki.trust,
      stateSigners: { ...pki.trust.stateSigners, active: leaf.certificate.publicKey.spkiSha256Hex },
    }
    const { jws } = await make.agent(undefined, { signer: signerOf(leaf, pki.controlCa) })
    expect(acceptAgent(undefined, jws, acceptanceOf(pki, -200, { trust })).issuedAt).toEqual(NOW)
  })
})

/** Documents that somebody else than a state signer of this trust domain signed. */
describe('signers', () => {
  const sign = async (party: Party, ...issuers: Party[]) => {
    const signer = signerOf(party, ...issuers)
    return (await make.agent(undefined, { signer: { ...signer, notAfter: at(100 * DAY) } })).jws
  }
  /** Names the key in the trust statement, so that only the certificate is at fault. */
  const trusting = (party: Party): { trust: TrustStatement } => ({
    trust: {
      ...pki.trust,
      stateSigners: { ...pki.trust.stateSigners, active: party.certificate.publicKey.spkiSha256Hex },
    },
  })
  const cases: readonly { name: string; make: () => Promise<{ party: Party; issuers: Party[] }>; cause?: string }[] = [
    { name: 'a service', make: async () => ({ party: pki.agent, issuers: [pki.servicesCa] }) },
    { name: 'the control plane’s API', make: async () => ({ party: pki.control, issuers: [pki.controlCa] }) },
    { name: 'the Control CA itself', make: async () => ({ party: pki.controlCa, issuers: [] }) },
    { name: 'the Services CA itself', make: async () => ({ party: pki.servicesCa, issuers: [] }) },
    { name: 'the mesh root itself', make: async () => ({ party: pki.root, issuers: [] }) },
    {
      name: 'a state signer of the Services CA',
      make: async () => ({ party: await pki.stateLeaf('state', {}, pki.servicesCa), issuers: [pki.servicesCa] }),
    },
    {
      name: 'a state signer of another mesh',
      make: async () => ({ party: foreign.active, issuers: [foreign.controlCa] }),
    },
    {
      name: 'a state signer under another arc',
      make: async () => ({
        party: await pki.stateLeaf('state', { oidArc: '1.3.6.1.4.1.1' }),
        issuers: [pki.controlCa],
      }),
    },
    { name: 'a state signer without its chain', make: async () => ({ party: pki.active, issuers: [] }) },
    {
      name: 'a state signer under a foreign chain',
      make: async () => ({ party: pki.active, issuers: [foreign.controlCa] }),
    },
    {
      name: 'a state signer that expired a second ago',
      make: async () => ({ party: await pki.stateLeaf('state', { notAfter: at(-1) }), issuers: [pki.controlCa] }),
    },
    {
      name: 'a state signer of tomorrow',
      make: async () => ({ party: await pki.stateLeaf('state', { notBefore: at(DAY) }), issuers: [pki.controlCa] }),
    },
    {
      name: 'a state signer whose EKU is not critical',
      make: async () => {
        const leaf = await pki.stateLeaf('state')
        return { party: await withExtKeyUsage(leaf, pki.controlCa, usagesOf(leaf), false), issuers: [pki.controlCa] }
      },
    },
    {
      name: 'a state signer that may do more',
      make: async () => {
        const leaf = await pki.stateLeaf('state')
        const usages = [...usagesOf(leaf), ...usagesOf(pki.agent)]
        return { party: await withExtKeyUsage(leaf, pki.controlCa, usages, true), issuers: [pki.controlCa] }
      },
    },
  ]

  test.each(cases)('refused: $name', async ({ make: parties }) => {
    const { party, issuers } = await parties()
    const jws = await sign(party, ...issuers)
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki, 0, trusting(party)))).toThrow(
      code('state_signer_refused'),
    )
  })

  test('the copy of a genuine certificate that `withExtKeyUsage` makes is taken', async () => {
    const leaf = await pki.stateLeaf('state')
    const copy = await withExtKeyUsage(leaf, pki.controlCa, usagesOf(leaf), true)
    const jws = await sign(copy, pki.controlCa)
    expect(acceptAgent(undefined, jws, acceptanceOf(pki, 0, trusting(copy))).generation).toBe(1)
  })

  test('refused: a genuine state signer that the trust statement does not name, or has retired', async () => {
    const jws = await sign(await pki.stateLeaf('third'), pki.controlCa)
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki))).toThrow(code('state_signer_refused'))
    const trust = { ...pki.trust, retired: [pki.trust.stateSigners.active] }
    expect(() => acceptAgent(undefined, agent.document, acceptanceOf(pki, 0, { trust }))).toThrow(
      code('state_signer_refused'),
    )
  })

  test('refused: enforced past the end of its certificate', async () => {
    const leaf = await pki.stateLeaf('short', { notAfter: at(72 * 3600 - 1) })
    const jws = await sign(leaf, pki.controlCa)
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki, 0, trusting(leaf)))).toThrow(
      code('state_signer_refused'),
    )
  })

  test('the reason of the path is in the cause', async () => {
    const jws = await sign(pki.agent, pki.servicesCa)
    try {
      acceptAgent(undefined, jws, acceptanceOf(pki, 0, trusting(pki.agent)))
      expect.unreachable()
    } catch (error) {
      expect(error instanceof MeshError && error.cause).toBeInstanceOf(X509Error)
    }
  })

  test('refused: a signature by another key than that of the certificate', async () => {
    const impostor: JwsSigner = { ...pki.stateSigner, sign: pki.agentSigner.sign }
    const { jws } = await make.agent(undefined, { signer: impostor })
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki))).toThrow(code('state_signature_invalid'))
  })

  test('refused: certificates that cannot be read', async () => {
    const { jws } = await make.agent(undefined, { signer: { ...pki.stateSigner, x5c: ['AAAA'] } })
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki))).toThrow(code('jws_certificate_malformed'))
  })
})

describe('documents', () => {
  /** Signed by the genuine state signer, so that only the text is at fault. */
  const signedText = async (typ: JwsType, text: string) => {
    const header = canonicalJson({ alg: 'ES256', typ, x5c: pki.stateSigner.x5c })
    const input = [header, text].map((part) => Buffer.from(part).toString('base64url')).join('.')
    return `${input}.${Buffer.from(await pki.stateSigner.sign(Buffer.from(input))).toString('base64url')}`
  }
  const payload = () => Buffer.from(agent.document.split('.')[1] ?? '', 'base64url').toString()

  test('the forger of these tests makes what is taken when nothing is wrong', async () => {
    const jws = await signedText('vcc-state+jws', payload())
    expect(acceptAgent(undefined, jws, acceptanceOf(pki)).contentHash).toBe(agent.contentHash)
  })

  const texts: readonly { name: string; text: () => string; fails?: string }[] = [
    { name: 'not JSON', text: () => payload().slice(1) },
    { name: 'truncated', text: () => payload().slice(0, -1) },
    { name: 'followed by something', text: () => `${payload()} ` },
    { name: 'with white space', text: () => payload().replace(',', ', ') },
    { name: 'a member twice, equal', text: () => payload().replace('"epoch":1,', '"epoch":1,"epoch":1,') },
    { name: 'a member twice, different', text: () => payload().replace('"epoch":1,', '"epoch":9,"epoch":1,') },
    {
      name: 'a member of the content twice',
      text: () => payload().replace('"mode":"http",', '"mode":"tcp","mode":"http",'),
    },
    { name: 'an escaped member name', text: () => payload().replace('"epoch"', String.raw`"\u0065poch"`) },
    { name: 'a number in another spelling', text: () => payload().replace('"epoch":1,', '"epoch":1.0,') },
    {
      name: 'members in another order',
      text: () => payload().replace(/^\{("acceptUntil":"[^"]*"),(.*)\}$/u, '{$2,$1}'),
    },
    { name: 'a lone surrogate', text: () => payload().replace('covina', String.raw`\ud800`) },
    {
      name: 'another generation under the old hash of other content',
      text: () => payload().replace('10.0.0.2', '10.6.6.6'),
      fails: 'state_hash_mismatch',
    },
  ]
  test.each(texts)('refused: $name', async ({ text, fails = 'state_malformed' }) => {
    const jws = await signedText('vcc-state+jws', text())
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki))).toThrow(code(fails))
  })

  test('refused: tampered, one character at any place', () => {
    const { document } = agent
    const attempt = (jws: string) => {
      try {
        acceptAgent(undefined, jws, acceptanceOf(pki))
        return 'taken'
      } catch (error) {
        return error instanceof MeshError ? 'refused' : error
      }
    }
    for (let i = 0; i < document.length; i += 7) {
      const swapped = document[i] === 'A' ? 'B' : 'A'
      expect(attempt(document.slice(0, i) + swapped + document.slice(i + 1))).toBe('refused')
    }
  })

  test('refused: an unknown format', async () => {
    const jws = await signedText(
      'vcc-state+jws',
      payload().replace('"format":1,"generation"', '"format":2,"generation"'),
    )
    expect(() => acceptAgent(undefined, jws, acceptanceOf(pki))).toThrow(code('state_format_unknown'))
    expect(() => acceptFleet(undefined, jws, acceptanceOf(pki))).toThrow(code('state_format_unknown'))
  })

  test('refused: a type in the place of another', async () => {
    const { jws: refresh } = await make.refresh(agent, { now: at(1) })
    const delta = (await make.delta(fleet, fleetWith([DENIAL]), { generation: 2 })).jws
    const asType = (typ: JwsType) => signJws(pki.stateSigner, typ, JSON.parse(payload()))
    for (const jws of [refresh, delta, pki.trustJws, await asType('vcc-reply+jws'), await asType('vcc-up+jws')]) {
      expect(() => acceptAgent(agent, jws, acceptanceOf(pki))).toThrow(code('jws_type_refused'))
      expect(() => acceptFleet(fleet, jws, acceptanceOf(pki))).toThrow(code('jws_type_refused'))
    }
    expect(() => acceptRefresh(agent, agent.document, acceptanceOf(pki))).toThrow(code('jws_type_refused'))
    expect(() => acceptDelta(fleet, fleet.document, acceptanceOf(pki))).toThrow(code('jws_type_refused'))
    const relabelled = await signJws(pki.stateSigner, 'vcc-refresh+jws', JSON.parse(payload()))
    expect(() => acceptRefresh(agent, relabelled, acceptanceOf(pki))).toThrow(code('state_malformed'))
  })

  test('refused: another instance, another service, another kind, another trust domain', async () => {
    const others = [
      (await make.agent(undefined, { instance: OTHER_INSTANCE })).jws,
      (await make.agent(agentContentOf({ service: `${SERVICE}-2` }))).jws,
      fleet.document,
      (await makersOf({ ...pki, trustDomain: 'other.internal' }).agent()).jws,
      (await makersOf(foreign).agent()).jws,
    ]
    for (const jws of others) expect(() => acceptAgent(agent, jws, acceptanceOf(pki))).toThrow(code('state_foreign'))
    const fleets = [
      agent.document,
      (await makersOf(foreign).fleet()).jws,
      (await makersOf({ ...pki, trustDomain: 'other.internal' }).fleet()).jws,
    ]
    for (const jws of fleets) expect(() => acceptFleet(fleet, jws, acceptanceOf(pki))).toThrow(code('state_foreign'))
  })

  test('refused: rollback of the generation and of the epoch, however fresh', async () => {
    const held = acceptAgent(agent, (await make.agent(undefined, { epoch: 2, generation: 5 })).jws, acceptanceOf(pki))
    for (const place of [
      { epoch: 2, generation: 4 },
      { epoch: 1, generation: 9 },
      { epoch: 1, generation: 5 },
    ]) {
      const { jws } = await make.agent(undefined, { ...place, now: at(60) })
      expect(() => acceptAgent(held, jws, acceptanceOf(pki, 60))).toThrow(code('state_stale'))
    }
  })

  test('refused: other content of the same generation', async () => {
    const { jws } = await make.agent(agentContentOf({ upstreams: [] }), { now: at(60) })
    expect(() => acceptAgent(agent, jws, acceptanceOf(pki, 60))).toThrow(code('state_conflict'))
    const other = (await make.fleet(fleetWith([DENIAL]), { now: at(60) })).jws
    expect(() => acceptFleet(fleet, other, acceptanceOf(pki, 60))).toThrow(code('state_conflict'))
  })

  test('taken in the last second of acceptUntil, refused one second later', async () => {
    const { jws } = await make.agent(undefined, { generation: 2 })
    expect(acceptAgent(agent, jws, { ...acceptanceOf(pki), now: new Date(at(600).getTime() + 999) }).generation).toBe(2)
    expect(() => acceptAgent(agent, jws, acceptanceOf(pki, 601))).toThrow(code('state_expired'))
  })

  test('a clock set back takes nothing that is past by the floor', async () => {
    const { jws } = await make.agent(undefined, { generation: 2 })
    expect(() => acceptAgent(agent, jws, acceptanceOf(pki, 0, { floor: at(601) }))).toThrow(code('state_expired'))
    expect(acceptAgent(agent, jws, acceptanceOf(pki, -5 * DAY, { floor: at(600) })).generation).toBe(2)
  })
})

describe('documents with a refresh', () => {
  test('past acceptUntil a document is taken with a live refresh, and lives as long as that', async () => {
    const { jws, payload } = await make.agent(undefined, { generation: 2 })
    const refresh = (await make.refresh(payload, { now: at(DAY) })).jws
    const held = acceptAgent(agent, jws, acceptanceOf(pki, DAY + 600, { refresh }))
    expect(held).toMatchObject({ generation: 2, refresh, issuedAt: at(DAY), enforceUntil: at(DAY + 72 * 3600) })
    expect(() => acceptAgent(agent, jws, acceptanceOf(pki, DAY + 601, { refresh }))).toThrow(code('state_expired'))
  })

  test('a refresh of something else does not help', async () => {
    const { jws, payload } = await make.agent(undefined, { generation: 2 })
    const others = [
      (await make.refresh({ ...payload, generation: 3 }, { now: at(DAY) })).jws,
      (await make.refresh({ ...payload, epoch: 2 }, { now: at(DAY) })).jws,
      (await make.refresh({ ...payload, contentHash: '0'.repeat(64) }, { now: at(DAY) })).jws,
      (await make.refresh({ ...payload, instance: OTHER_INSTANCE }, { now: at(DAY) })).jws,
      (await make.refresh(fleet, { now: at(DAY) })).jws,
      (await make.refresh(payload, { now: at(DAY), signer: pki.agentSigner })).jws,
      (await make.refresh(payload)).jws,
      'x',
    ]
    for (const refresh of others) {
      expect(() => acceptAgent(agent, jws, acceptanceOf(pki, DAY, { refresh }))).toThrow(code('state_expired'))
      expect(acceptAgent(agent, jws, acceptanceOf(pki, 600, { refresh })).generation).toBe(2)
    }
  })

  test('the held document with a newer refresh is extended', async () => {
    const refresh = (await make.refresh(fleet, { now: at(DAY) })).jws
    expect(acceptFleet(fleet, fleet.document, acceptanceOf(pki, DAY, { refresh })).enforceUntil).toEqual(
      at(DAY + 72 * 3600),
    )
  })
})

describe('refreshes', () => {
  test('a refresh extends what it names; once more it changes nothing', async () => {
    const { jws } = await make.refresh(fleet, { now: at(60) })
    const held = acceptRefresh(fleet, jws, acceptanceOf(pki, 60))
    expect(held).toMatchObject({
      issuedAt: at(60),
      acceptUntil: at(660),
      enforceUntil: at(60 + 72 * 3600),
      refresh: jws,
    })
    expect(held.content).toBe(fleet.content)
    expect(acceptRefresh(held, jws, acceptanceOf(pki, 60))).toBe(held)
    const older = (await make.refresh(fleet, { now: at(30) })).jws
    expect(acceptRefresh(held, older, acceptanceOf(pki, 60))).toBe(held)
  })

  test('a newer refresh may also shorten: the operator has lowered the outage budget', async () => {
    const { jws } = await make.refresh(fleet, { now: at(60), lifetimes: { acceptSeconds: 60, enforceSeconds: 3600 } })
    expect(acceptRefresh(fleet, jws, acceptanceOf(pki, 60)).enforceUntil).toEqual(at(3660))
  })

  test('refused: for other content', async () => {
    const target = { kind: fleet.kind, instance: null, epoch: 1, generation: 1, contentHash: fleet.contentHash }
    const cases = [
      [{ ...target, contentHash: agent.contentHash }, 'state_conflict'],
      [{ ...target, generation: 2 }, 'state_gap'],
      [{ ...target, epoch: 2 }, 'state_gap'],
      [{ ...target, kind: 'agent', instance: INSTANCE }, 'state_foreign'],
    ] as const
    for (const [named, fails] of cases) {
      const { jws } = await make.refresh(named, { now: at(60) })
      expect(() => acceptRefresh(fleet, jws, acceptanceOf(pki, 60))).toThrow(code(fails))
    }
    const { jws } = await make.refresh({ ...target, kind: 'agent', instance: OTHER_INSTANCE }, { now: at(60) })
    expect(() => acceptRefresh(agent, jws, acceptanceOf(pki, 60))).toThrow(code('state_foreign'))
    const second = acceptFleet(fleet, (await make.fleet(undefined, { generation: 2 })).jws, acceptanceOf(pki))
    const late = (await make.refresh(target, { now: at(60) })).jws
    expect(() => acceptRefresh(second, late, acceptanceOf(pki, 60))).toThrow(code('state_stale'))
  })

  test('refused: signed by a service, by another mesh, by nobody', async () => {
    const by = async (signer: JwsSigner) => (await make.refresh(fleet, { now: at(60), signer })).jws
    const serviceSigned = await by(pki.agentSigner)
    expect(() => acceptRefresh(fleet, serviceSigned, acceptanceOf(pki, 60))).toThrow(code('state_signer_refused'))
    const foreignSigned = await by(foreign.stateSigner)
    expect(() => acceptRefresh(fleet, foreignSigned, acceptanceOf(pki, 60))).toThrow(code('state_signer_refused'))
    const unsigned = await by({ ...pki.stateSigner, sign: () => Promise.resolve(new Uint8Array(64)) })
    expect(() => acceptRefresh(fleet, unsigned, acceptanceOf(pki, 60))).toThrow(code('state_signature_invalid'))
  })

  test('refused: one second past acceptUntil', async () => {
    const { jws } = await make.refresh(fleet, { now: at(60) })
    expect(acceptRefresh(fleet, jws, acceptanceOf(pki, 660)).issuedAt).toEqual(at(60))
    expect(() => acceptRefresh(fleet, jws, acceptanceOf(pki, 661))).toThrow(code('state_expired'))
  })
})

describe('deltas', () => {
  const step = (
    from: HeldFleet,
    entries: readonly DenialEntry[],
    options: { generation: number; epoch?: number; signer?: JwsSigner },
  ) => make.delta(from, fleetWith(entries), options)

  test('a delta leads to the next content and carries what is denied', async () => {
    const { jws } = await step(fleet, [DENIAL], { generation: 2 })
    const held = acceptDelta(fleet, jws, acceptanceOf(pki))
    expect(held).toMatchObject({ generation: 2, deltas: [jws], document: fleet.document, refresh: undefined })
    expect(held.content.denials).toEqual([DENIAL])
    expect(isDenied(held.denied, { serialHex: '01', issuerSpkiSha256: '', spkiSha256: '', id: SERVICE })).toEqual(
      DENIAL,
    )
    expect(acceptDelta(held, jws, acceptanceOf(pki))).toBe(held)
    const lifted = acceptDelta(held, (await step(held, [], { generation: 3 })).jws, acceptanceOf(pki))
    expect([lifted.content.denials, lifted.denied.entries]).toEqual([[], [DENIAL]])
  })

  test('refused: a gap', async () => {
    const second = acceptFleet(fleet, (await make.fleet(fleetWith([DENIAL]), { generation: 2 })).jws, acceptanceOf(pki))
    const gaps = [
      (await step(second, [], { generation: 3 })).jws,
      (await step({ ...fleet, generation: 2 }, [DENIAL], { generation: 3 })).jws,
      (await step(second, [], { generation: 3, epoch: 2 })).jws,
      (await step({ ...fleet, content: fleetWith([DENIAL]) }, [], { generation: 2 })).jws,
    ]
    for (const jws of gaps) expect(() => acceptDelta(fleet, jws, acceptanceOf(pki))).toThrow(code('state_gap'))
    for (const jws of gaps) expect(() => acceptDelta(undefined, jws, acceptanceOf(pki))).toThrow(code('state_gap'))
  })

  test('refused: older, conflicting, expired, signed by a service, for another trust domain', async () => {
    const two = (await step(fleet, [DENIAL], { generation: 2 })).jws
    const three = acceptFleet(fleet, (await make.fleet(undefined, { generation: 3 })).jws, acceptanceOf(pki))
    expect(() => acceptDelta(three, two, acceptanceOf(pki))).toThrow(code('state_stale'))
    const held = acceptDelta(fleet, two, acceptanceOf(pki))
    const other = (await step(fleet, [], { generation: 2 })).jws
    expect(() => acceptDelta(held, other, acceptanceOf(pki))).toThrow(code('state_conflict'))
    expect(() => acceptDelta(fleet, two, acceptanceOf(pki, 601))).toThrow(code('state_expired'))
    const serviceSigned = (await step(fleet, [DENIAL], { generation: 2, signer: pki.agentSigner })).jws
    expect(() => acceptDelta(fleet, serviceSigned, acceptanceOf(pki))).toThrow(code('state_signer_refused'))
    const foreignDelta = (
      await makersOf({ ...pki, trustDomain: 'other.internal' }).delta(fleet, fleetWith([DENIAL]), { generation: 2 })
    ).jws
    expect(() => acceptDelta(fleet, foreignDelta, acceptanceOf(pki))).toThrow(code('state_foreign'))
  })

  test('refused: a delta that does not lead where it says', async () => {
    const { payload } = await step(fleet, [DENIAL], { generation: 2 })
    const jws = await signJws(pki.stateSigner, 'vcc-delta+jws', { ...payload, contentHash: '0'.repeat(64) })
    expect(() => acceptDelta(fleet, jws, acceptanceOf(pki))).toThrow(code('state_hash_mismatch'))
    const unknown = await signJws(pki.stateSigner, 'vcc-delta+jws', { ...payload, format: 2 })
    expect(() => acceptDelta(fleet, unknown, acceptanceOf(pki))).toThrow(code('state_format_unknown'))
    const more = await signJws(pki.stateSigner, 'vcc-delta+jws', { ...payload, move: [] })
    expect(() => acceptDelta(fleet, more, acceptanceOf(pki))).toThrow(code('state_malformed'))
  })

  test('after 64 deltas it is time for a document', async () => {
    let held = fleet
    for (let generation = 2; generation <= 65; generation++) {
      held = acceptDelta(
        held,
        (await step(held, generation % 2 === 0 ? [DENIAL] : [], { generation })).jws,
        acceptanceOf(pki),
      )
    }
    const { jws } = await step(held, [DENIAL], { generation: 66 })
    expect(() => acceptDelta(held, jws, acceptanceOf(pki))).toThrow(code('state_gap'))
  })
})

describe('the trust statement that a fleet carries', () => {
  const successor = async (change: Partial<TrustStatement> = {}) => {
    const third = await pki.stateLeaf('state 3')
    const { spare, active } = pki.trust.stateSigners
    const trust: TrustStatement = {
      ...pki.trust,
      version: 2,
      stateSigners: { active: spare, spare: third.certificate.publicKey.spkiSha256Hex },
      retired: [active],
      ...change,
    }
    return { trust, jws: await signTrustStatement(trust, pki.rootSigner) }
  }

  test('a new statement comes into force with the document, and the retired signer is out', async () => {
    const next = await successor()
    const content = fleetContentOf(pki, { trust: next.jws })
    const bySpare = (await make.fleet(content, { generation: 2, signer: pki.spareSigner })).jws
    const held = acceptFleet(fleet, bySpare, acceptanceOf(pki))
    expect(held.trust).toEqual(next.trust)
    const byRetired = (await make.fleet(content, { generation: 3 })).jws
    expect(() => acceptFleet(held, byRetired, acceptanceOf(pki))).toThrow(code('state_signer_refused'))
    const retiredRefresh = (await make.refresh(held, { now: at(60) })).jws
    expect(() => acceptRefresh(held, retiredRefresh, acceptanceOf(pki, 60))).toThrow(code('state_signer_refused'))
    const first = (await make.fleet(content, { generation: 2 })).jws
    expect(() => acceptFleet(fleet, first, acceptanceOf(pki))).toThrow(code('state_signer_refused'))
  })

  test('a delta replaces it too', async () => {
    const next = await successor()
    const content = fleetContentOf(pki, { trust: next.jws })
    const jws = (await make.delta(fleet, content, { generation: 2, signer: pki.spareSigner })).jws
    expect(acceptDelta(fleet, jws, acceptanceOf(pki)).trust).toEqual(next.trust)
    const byRetired = (await make.delta(fleet, content, { generation: 2 })).jws
    expect(() => acceptDelta(fleet, byRetired, acceptanceOf(pki))).toThrow(code('state_signer_refused'))
  })

  test('refused: going back, forgetting a retired key, a second one of the same version, another root’s', async () => {
    const next = await successor()
    const content = fleetContentOf(pki, { trust: next.jws })
    const held = acceptFleet(
      fleet,
      (await make.fleet(content, { generation: 2, signer: pki.spareSigner })).jws,
      acceptanceOf(pki),
    )
    const conflicting = await successor({ retired: [pki.trust.stateSigners.active, '9'.repeat(64)] })
    const forgetful = await successor({ version: 3, retired: [] })
    const cases = [
      [pki.trustJws, 'trust_stale'],
      [forgetful.jws, 'trust_retired_dropped'],
      [conflicting.jws, 'trust_conflict'],
      [foreign.trustJws, 'trust_signature_invalid'],
    ] as const
    for (const [trust, fails] of cases) {
      const { jws } = await make.fleet(fleetContentOf(pki, { trust }), { generation: 3, signer: pki.spareSigner })
      expect(() => acceptFleet(held, jws, acceptanceOf(pki))).toThrow(code(fails))
    }
    const malformed = await signJws(pki.rootSigner, 'vcc-trust+jws', { ...next.trust, version: 9, retired: 'none' })
    const { jws } = await make.fleet(fleetContentOf(pki, { trust: malformed }), {
      generation: 3,
      signer: pki.spareSigner,
    })
    expect(() => acceptFleet(held, jws, acceptanceOf(pki))).toThrow(code('trust_malformed'))
  })

  test('a late document under the old statement is only stale', async () => {
    const content = fleetContentOf(pki, { trust: (await successor()).jws })
    const held = acceptFleet(
      fleet,
      (await make.fleet(content, { generation: 2, signer: pki.spareSigner })).jws,
      acceptanceOf(pki),
    )
    expect(() => acceptFleet(held, fleet.document, acceptanceOf(pki))).toThrow(code('state_stale'))
  })

  test('a statement given from outside that is newer than the held one decides', async () => {
    const next = await successor()
    const { jws } = await make.fleet(undefined, { generation: 2 })
    expect(() => acceptFleet(fleet, jws, acceptanceOf(pki, 0, { trust: next.trust }))).toThrow(code('trust_stale'))
  })
})

describe('denials over documents', () => {
  test('a document that lacks a denial, also of a new epoch, does not lift it; a release does', async () => {
    const denied = acceptFleet(fleet, (await make.fleet(fleetWith([DENIAL]), { generation: 2 })).jws, acceptanceOf(pki))
    const restored = acceptFleet(denied, (await make.fleet(undefined, { epoch: 2 })).jws, acceptanceOf(pki))
    expect([restored.content.denials, restored.denied.entries]).toEqual([[], [DENIAL]])
    const release = fleetContentOf(pki, { releases: [{ id: 'd1' }] })
    const released = acceptFleet(
      restored,
      (await make.fleet(release, { epoch: 2, generation: 2 })).jws,
      acceptanceOf(pki),
    )
    expect(released.denied.entries).toEqual([])
  })

  test('refused: a denial that changes its target', async () => {
    const denied = acceptFleet(fleet, (await make.fleet(fleetWith([DENIAL]), { generation: 2 })).jws, acceptanceOf(pki))
    const moved = (await make.fleet(fleetWith([{ ...DENIAL, value: `${SERVICE}-2` }]), { generation: 3 })).jws
    expect(() => acceptFleet(denied, moved, acceptanceOf(pki))).toThrow(code('denial_conflict'))
  })
})

describe('enforcement', () => {
  test.each([
    [0, 'fresh'],
    [600, 'fresh'],
    [601, 'stale'],
    [72 * 3600, 'stale'],
    [72 * 3600 + 1, 'expired'],
    [-DAY, 'fresh'],
  ] as const)('%i s after signing it is %s', (seconds, state) => {
    expect(enforcement(agent, at(seconds), undefined)).toEqual({ state, until: at(72 * 3600) })
  })

  test('by the floor, when the clock lies behind', () => {
    expect(enforcement(agent, at(-DAY), at(601)).state).toBe('stale')
    expect(enforcement(agent, at(0), at(72 * 3600 + 1)).state).toBe('expired')
  })

  test('what is younger than 300 s', () => {
    expect([300, 301].map((seconds) => isYoungerThan(fleet, 300, at(seconds), undefined))).toEqual([true, false])
    expect(isYoungerThan(fleet, 300, at(0), at(301))).toBe(false)
    expect(LIFETIMES.acceptSeconds).toBe(600)
  })
})
