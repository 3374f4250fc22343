import { expect, test } from 'vitest'
import {
  type DenialEntry,
  type Denied,
  type DeniedChange,
  deniedOf,
  isDenied,
  mergeDenied,
  NOTHING_DENIED,
} from './denials.ts'
import { at, NOW, SERVICE, seeded } from './fixture.ts'
import { isoSeconds } from './instant.ts'

const hex = (digit: string) => digit.repeat(64)
const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const until = (seconds: number) => isoSeconds(at(seconds))
const change = (part: Partial<DeniedChange>): DeniedChange => ({ denials: [], revocations: [], releases: [], ...part })
const serial = (id: string, seconds: number): DenialEntry => ({
  id,
  kind: 'serial',
  value: '4a01',
  issuer: hex('1'),
  until: until(seconds),
})
const identity: DenialEntry = { id: 'd1', kind: 'identity', value: SERVICE, until: null }
const ids = (denied: Denied) => denied.entries.map(({ id }) => id)
const peer = { serialHex: '4a01', issuerSpkiSha256: hex('1'), spkiSha256: hex('2'), id: SERVICE }

test.each<[string, DenialEntry]>([
  ['serial', serial('x', 60)],
  ['key', { id: 'x', kind: 'spki', value: hex('2'), until: null }],
  ['identity', identity],
  ['issuer', { id: 'x', kind: 'issuer', value: hex('1'), until: null }],
])('a peer is denied by its %s', (_, entry) => {
  expect(isDenied(deniedOf([entry]), peer)).toBe(entry)
})

test.each<[string, DenialEntry]>([
  ['the serial of another issuer', { ...serial('x', 60), issuer: hex('3') } as DenialEntry],
  ['another serial of its issuer', { id: 'x', kind: 'serial', value: '4a02', issuer: hex('1'), until: null }],
  ['a longer serial', { id: 'x', kind: 'serial', value: '4a0100', issuer: hex('1'), until: null }],
  ['another key', { id: 'x', kind: 'spki', value: hex('1'), until: null }],
  ['its key as an issuer', { id: 'x', kind: 'issuer', value: hex('2'), until: null }],
  ['an identity that its own begins with', { id: 'x', kind: 'identity', value: `${SERVICE}-2`, until: null }],
])('a peer is not denied by %s', (_, entry) => {
  expect(isDenied(deniedOf([entry]), peer)).toBeUndefined()
})

test('an entry decides past its `until` for as long as it is held', () => {
  expect(isDenied(deniedOf([serial('x', -86_400)]), peer)?.id).toBe('x')
})

test('nothing is denied at first', () => {
  expect(isDenied(NOTHING_DENIED, peer)).toBeUndefined()
})

test('a newer document that lacks an entry does not lift it', () => {
  const first = mergeDenied(NOTHING_DENIED, change({ denials: [identity], revocations: [serial('r1', 60)] }), NOW)
  expect(ids(mergeDenied(first, change({}), at(1)))).toEqual(['d1', 'r1'])
})

test('a release lifts exactly the entry it names, also in the document that still lists it', () => {
  const held = deniedOf([identity, { ...identity, id: 'd2' }])
  expect(ids(mergeDenied(held, change({ releases: [{ id: 'd1' }] }), NOW))).toEqual(['d2'])
  expect(ids(mergeDenied(held, change({ denials: [identity], releases: [{ id: 'd1' }] }), NOW))).toEqual(['d2'])
  expect(isDenied(mergeDenied(held, change({ releases: [{ id: 'd1' }, { id: 'unknown' }] }), NOW), peer)?.id).toBe('d2')
})

test('an entry expires 300 s after its target, by the time signed in the document', () => {
  const held = deniedOf([serial('r1', 0)])
  expect(ids(mergeDenied(held, change({}), at(300)))).toEqual(['r1'])
  expect(ids(mergeDenied(held, change({}), at(301)))).toEqual([])
})

test('`until` grows and never shrinks', () => {
  const untilAfter = (before: DenialEntry, now: DenialEntry) =>
    mergeDenied(deniedOf([before]), change({ revocations: [now] }), NOW).entries[0]?.until
  expect(untilAfter(serial('r1', 60), serial('r1', 90))).toBe(until(90))
  expect(untilAfter(serial('r1', 90), serial('r1', 60))).toBe(until(90))
  expect(untilAfter(identity, { ...identity, until: until(60) })).toBeNull()
  expect(untilAfter({ ...identity, until: until(60) }, identity)).toBeNull()
})

test('an id that changes its target is refused', () => {
  const held = deniedOf([identity])
  for (const entry of [serial('d1', 60), { ...identity, value: `${SERVICE}-2` }]) {
    expect(() => mergeDenied(held, change({ denials: [entry] }), NOW)).toThrow(code('denial_conflict'))
  }
})

test('more than can be held is refused, not forgotten', () => {
  const many = (prefix: string, n: number) =>
    Array.from({ length: n }, (_, i): DenialEntry => ({ ...identity, id: `${prefix}${i}` }))
  const full = deniedOf(many('a', 65_536))
  expect(mergeDenied(full, change({ denials: many('a', 10) }), NOW).entries).toHaveLength(65_536)
  expect(() => mergeDenied(full, change({ denials: many('b', 1) }), NOW)).toThrow(code('denial_overflow'))
})

test('over 300 random histories an entry is held exactly until released or expired', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seeded(seed)
    let held = NOTHING_DENIED
    const expected = new Map<string, number>()
    for (let step = 0; step < 20; step++) {
      const second = step * 400
      const added = random.int(2) === 0 ? [serial(`r${step}`, second + random.int(3000))] : []
      const released = [...expected.keys()].filter(() => random.int(5) === 0)
      held = mergeDenied(held, change({ revocations: added, releases: released.map((id) => ({ id })) }), at(second))
      for (const { id, until: end } of added) expected.set(id, Date.parse(end ?? ''))
      for (const id of released) expected.delete(id)
      for (const [id, end] of expected) if (end < at(second - 300).getTime()) expected.delete(id)
      expect(ids(held)).toEqual([...expected.keys()].toSorted())
    }
  }
})
