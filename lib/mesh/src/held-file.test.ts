import { beforeAll, describe, expect, test } from 'vitest'
import { acceptAgent, acceptDelta, acceptFleet, acceptRefresh } from './accept.ts'
import { canonicalJson, contentHash } from './canonical.ts'
import type { DenialEntry } from './denials.ts'
import {
  acceptanceOf,
  at,
  fleetContentOf,
  type Makers,
  makersOf,
  newPki,
  OTHER_INSTANCE,
  type Pki,
  SERVICE,
} from './fixture.ts'
import { enforcement, type HeldAgent, type HeldFleet } from './held.ts'
import { decodeHeldAgent, decodeHeldFleet, encodeHeld, trustOfStoredFleet } from './held-file.ts'

const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const denial = (id: string): DenialEntry => ({ id, kind: 'identity', value: SERVICE, until: null })
let pki: Pki
let make: Makers
let fleet: HeldFleet
let agent: HeldAgent

beforeAll(async () => {
  pki = await newPki()
  make = makersOf(pki)
  const denied = fleetContentOf(pki, { denials: [denial('a')] })
  const first = acceptFleet(undefined, (await make.fleet(denied)).jws, acceptanceOf(pki))
  const second = acceptFleet(first, (await make.fleet(undefined, { generation: 2 })).jws, acceptanceOf(pki))
  const content = fleetContentOf(pki, { denials: [denial('b')] })
  const third = acceptDelta(second, (await make.delta(second, content, { generation: 3 })).jws, acceptanceOf(pki))
  const fourth = acceptDelta(
    third,
    (await make.delta(third, fleetContentOf(pki), { generation: 4 })).jws,
    acceptanceOf(pki),
  )
  fleet = acceptRefresh(fourth, (await make.refresh(fourth, { now: at(60) })).jws, acceptanceOf(pki, 60))
  agent = acceptAgent(undefined, (await make.agent()).jws, acceptanceOf(pki))
})

const by = () => acceptanceOf(pki)

describe('read back', () => {
  test('a fleet with deltas, a refresh, and denials that its content no longer lists', () => {
    const read = decodeHeldFleet(encodeHeld(fleet), by())
    expect(read).toEqual(fleet)
    expect(read.denied.entries.map(({ id }) => id)).toEqual(['a', 'b'])
    expect([read.content.denials, read.deltas.length, read.generation]).toEqual([[], 2, 4])
  })

  test('an agent, with and without a refresh', async () => {
    expect(decodeHeldAgent(encodeHeld(agent), by())).toEqual(agent)
    const refreshed = acceptRefresh(agent, (await make.refresh(agent, { now: at(60) })).jws, acceptanceOf(pki, 60))
    expect(decodeHeldAgent(encodeHeld(refreshed), by())).toEqual(refreshed)
  })

  test('the trust statement inside, before anything else is believed, and under its own root only', async () => {
    expect(trustOfStoredFleet(encodeHeld(fleet), pki.root.certificate)).toEqual(pki.trust)
    const other = (await newPki()).root.certificate
    expect(() => trustOfStoredFleet(encodeHeld(fleet), other)).toThrow(code('trust_signature_invalid'))
    expect(() => trustOfStoredFleet(encodeHeld(agent), pki.root.certificate)).toThrow(code('held_malformed'))
    expect(() => trustOfStoredFleet('{', pki.root.certificate)).toThrow(code('held_malformed'))
  })

  test('a document that was taken past acceptUntil', async () => {
    const { jws, payload } = await make.agent()
    const refresh = (await make.refresh(payload, { now: at(86_400) })).jws
    const held = acceptAgent(undefined, jws, acceptanceOf(pki, 86_400, { refresh }))
    expect(decodeHeldAgent(encodeHeld(held), by())).toEqual(held)
  })

  test('past every end it is still read, and says itself that it has expired', () => {
    const read = decodeHeldAgent(encodeHeld(agent), by())
    expect(enforcement(read, at(400 * 86_400), undefined)).toEqual({ state: 'expired', until: agent.enforceUntil })
  })
})

describe('refused', () => {
  const text = () => encodeHeld(agent)
  const damaged: readonly [string, () => string][] = [
    ['empty', () => ''],
    ['not JSON', () => 'state'],
    ['half', () => text().slice(0, text().length / 2)],
    ['one character short', () => text().slice(0, -1)],
    ['zeros, as after a power failure', () => '\0'.repeat(4096)],
    ['followed by a line end', () => `${text()}\n`],
    ['a list', () => '[]'],
    ['another digest', () => text().replace(/"sha256":"./u, '"sha256":"x')],
    ['without a digest', () => text().replace(/"sha256":"[0-9a-f]*",/u, '')],
    ['changed under the digest', () => text().replace('"refresh":null', '"refresh":"a.b.c"')],
    ['another format', () => text().replace('"format":1', '"format":2')],
    ['a fleet', () => encodeHeld(fleet)],
    ['larger than anything of ours', () => ' '.repeat(16 * 1024 * 1024 + 1)],
  ]
  test.each(damaged)('%s', (_, damage) => {
    expect(() => decodeHeldAgent(damage(), by())).toThrow(code('held_malformed'))
  })

  /** A file as somebody would write it who knows how the digest is made. */
  const forged = (state: object) => canonicalJson({ format: 1, sha256: contentHash(state), state })
  const agentFile = (change: object) => forged({ kind: 'agent', document: agent.document, refresh: null, ...change })
  const fleetFile = (change: object) =>
    forged({
      kind: 'fleet',
      document: fleet.document,
      deltas: fleet.deltas,
      refresh: null,
      denied: fleet.denied.entries,
      ...change,
    })

  test('what the forger of these tests makes is read when nothing is wrong', () => {
    expect(decodeHeldAgent(agentFile({}), by()).generation).toBe(1)
    expect(decodeHeldFleet(fleetFile({}), by()).generation).toBe(4)
  })

  test('the document of another instance', async () => {
    const { jws } = await make.agent(undefined, { instance: OTHER_INSTANCE })
    expect(() => decodeHeldAgent(agentFile({ document: jws }), by())).toThrow(code('state_foreign'))
  })

  test('a document by a service, a tampered one, one of another mesh', async () => {
    const { jws } = await make.agent(undefined, { signer: pki.agentSigner })
    expect(() => decodeHeldAgent(agentFile({ document: jws }), by())).toThrow(code('state_signer_refused'))
    const [header, payload = '', signature] = agent.document.split('.')
    const raised = Buffer.from(payload, 'base64url').toString().replace('"generation":1', '"generation":9')
    const tampered = [header, Buffer.from(raised).toString('base64url'), signature].join('.')
    expect(() => decodeHeldAgent(agentFile({ document: tampered }), by())).toThrow(code('state_signature_invalid'))
    const other = await newPki()
    expect(() => decodeHeldAgent(encodeHeld(agent), acceptanceOf(other))).toThrow(code('state_signer_refused'))
    expect(() => decodeHeldFleet(encodeHeld(fleet), acceptanceOf(other))).toThrow(code('trust_signature_invalid'))
  })

  test('a document whose signer was retired since', () => {
    const trust = { ...pki.trust, version: 2, retired: [pki.trust.stateSigners.active] }
    expect(() => decodeHeldAgent(encodeHeld(agent), { ...by(), trust })).toThrow(code('state_signer_refused'))
  })

  test('a refresh of something else, deltas out of order, denials out of order', async () => {
    const refresh = (await make.refresh({ ...agent, generation: 2 }, { now: at(60) })).jws
    expect(() => decodeHeldAgent(agentFile({ refresh }), by())).toThrow(code('state_gap'))
    expect(() => decodeHeldFleet(fleetFile({ deltas: fleet.deltas.toReversed() }), by())).toThrow(code('state_gap'))
    const denied = fleet.denied.entries.toReversed()
    expect(() => decodeHeldFleet(fleetFile({ denied }), by())).toThrow(code('held_malformed'))
  })

  test('texts that are no JWS', () => {
    for (const document of ['', 'x', 'a.b', 'a.b.c']) {
      expect(() => decodeHeldAgent(agentFile({ document }), by())).toThrow(
        expect.objectContaining({ name: 'MeshError' }),
      )
    }
  })
})

test('a denial erased from the file comes back from the signed texts, one that no text names does not', () => {
  const erased = canonicalJson(
    ((state) => ({ format: 1, sha256: contentHash(state), state }))({
      kind: 'fleet',
      document: fleet.document,
      deltas: fleet.deltas,
      refresh: null,
      denied: [],
    }),
  )
  expect(decodeHeldFleet(erased, by()).denied.entries.map(({ id }) => id)).toEqual(['b'])
})
