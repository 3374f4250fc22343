import { beforeAll, expect, test } from 'vitest'
import { acceptDelta, acceptFleet, acceptRefresh } from './accept.ts'
import type { DenialEntry } from './denials.ts'
import { MESH_FAILURES, MeshError } from './errors.ts'
import { acceptanceOf, at, fleetContentOf, makersOf, newPki, type Pki, SERVICE, seeded } from './fixture.ts'
import type { HeldFleet } from './held.ts'
import { decodeHeldFleet, encodeHeld } from './held-file.ts'

interface Message {
  readonly type: 'document' | 'delta' | 'refresh'
  readonly jws: string
}

/** A control plane's history: ten generations, one of them in a new epoch, each as document, delta and refreshes. */
const STEPS = 10
let pki: Pki
let messages: Message[]
let pulled: { document: string; refresh: string }
let newest: { epoch: number; generation: number; contentHash: string }

beforeAll(async () => {
  pki = await newPki({ root: 'RSA-3072' }) // verifies twenty times faster than P-384
  const make = makersOf(pki)
  messages = []
  let base: { epoch: number; generation: number; content: HeldFleet['content'] } | undefined
  for (let i = 1; i <= STEPS; i++) {
    const epoch = i <= 5 ? 1 : 2
    const generation = i <= 5 ? i : i - 4
    const entry: DenialEntry = { id: `d${i}`, kind: 'identity', value: SERVICE, until: null }
    const releases = i % 3 === 0 ? [{ id: `d${i - 1}` }] : []
    const content = fleetContentOf(pki, { denials: [entry], releases })
    const options = { epoch, generation, now: at(i * 10) }
    const { jws, payload } = await make.fleet(content, options)
    messages.push({ type: 'document', jws })
    if (base?.epoch === epoch) messages.push({ type: 'delta', jws: (await make.delta(base, content, options)).jws })
    const refreshes = [
      await make.refresh(payload, { now: at(i * 10 + 3) }),
      await make.refresh(payload, { now: at(i * 10 + 6) }),
    ]
    messages.push(...refreshes.map(({ jws: refresh }): Message => ({ type: 'refresh', jws: refresh })))
    base = { epoch, generation, content: payload.content }
    newest = payload
    pulled = { document: jws, refresh: refreshes[1]?.jws ?? '' }
  }
})

const by = () => acceptanceOf(pki, 200)

function receive(held: HeldFleet | undefined, { type, jws }: Message): HeldFleet | undefined {
  switch (type) {
    case 'document':
      return acceptFleet(held, jws, by())
    case 'delta':
      return acceptDelta(held, jws, by())
    case 'refresh':
      return held && acceptRefresh(held, jws, by())
  }
}

function isNotBefore(after: HeldFleet, before: HeldFleet): boolean {
  if (after.epoch !== before.epoch) return after.epoch > before.epoch
  if (after.generation !== before.generation) return after.generation > before.generation
  return after.contentHash === before.contentHash && after.issuedAt >= before.issuedAt
}

test('over 60 lossy, doubled and reordered deliveries state never goes back, and a pull ends at the newest', () => {
  let deltasTaken = 0
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed)
    let held: HeldFleet | undefined
    for (const message of deliveries(random)) {
      const before = held
      try {
        held = receive(held, message)
      } catch (error) {
        if (!(error instanceof MeshError)) throw error
        // Nothing here is forged: late and early is all that a message can be.
        expect(['state_stale', 'state_gap']).toContain(error.code)
        expect(MESH_FAILURES[error.code].receiver).not.toBe('alarm')
        held = before
      }
      if (before !== undefined && held !== undefined) expect(isNotBefore(held, before)).toBe(true)
      if (held !== before && message.type === 'delta') deltasTaken++
      if (held !== undefined && random.int(40) === 0) held = decodeHeldFleet(encodeHeld(held), by()) // a restart
    }
    const ended = acceptFleet(held, pulled.document, { ...by(), refresh: pulled.refresh })
    expect(ended).toMatchObject({ epoch: newest.epoch, generation: newest.generation, contentHash: newest.contentHash })
    expect([ended.issuedAt, ended.enforceUntil]).toEqual([at(STEPS * 10 + 6), at(STEPS * 10 + 6 + 72 * 3600)])
    expect(ended.denied.entries.map(({ id }) => id)).toContain(`d${STEPS}`)
  }
  expect(deltasTaken).toBeGreaterThan(30)
})

test('in order and without loss every message is taken', () => {
  let held: HeldFleet | undefined
  for (const message of messages) {
    const next = receive(held, message)
    if (message.type === 'refresh') expect(next).not.toBe(held)
    held = next
  }
  expect(held?.contentHash).toBe(newest.contentHash)
  expect(held?.denied.entries.map(({ id }) => id)).toEqual(['d1', 'd10', 'd3', 'd4', 'd6', 'd7', 'd9'])
})

/** Nearly in order, as a network reorders; every fifth lost, every fifth doubled. */
function deliveries(random: ReturnType<typeof seeded>): Message[] {
  return messages
    .flatMap((message, i) => {
      const copies = [1, 1, 1, 0, 2][random.int(5)] ?? 1
      return Array.from({ length: copies }, () => ({ message, position: i + random.int(8) }))
    })
    .toSorted((a, b) => a.position - b.position)
    .map(({ message }) => message)
}
