import type { HeldAgent, HeldFleet } from '@vcc/mesh'
import { expect, test } from 'vitest'
import { alarmWarnings, refusedWarnings, stateInForce } from './state-in-force.ts'

const at = (minutes: number) => new Date(Date.UTC(2026, 10, 23, 12, minutes))
const common = { epoch: 1, issuedAt: at(0), acceptUntil: at(10) }
// As much of accepted documents as is read here.
const fleet = { ...common, kind: 'fleet', generation: 4, enforceUntil: at(40), content: {} } as unknown as HeldFleet
const agent = {
  ...common,
  kind: 'agent',
  generation: 7,
  enforceUntil: at(30),
  content: { policy: { version: 3 } },
} as unknown as HeldAgent
const newer = { ...agent, generation: 8, content: { policy: { format: 2 } } } as unknown as HeldAgent

const cases: readonly { name: string; minutes: number; floor?: Date; enforcement: string }[] = [
  { name: 'a young document', minutes: 10, enforcement: 'fresh' },
  { name: 'an older one', minutes: 11, enforcement: 'stale' },
  { name: 'in its last second', minutes: 30, enforcement: 'stale' },
  { name: 'past its end', minutes: 31, enforcement: 'expired' },
  { name: 'past its end by what was signed', minutes: -60, floor: at(31), enforcement: 'expired' },
]
for (const { name, minutes, floor, enforcement } of cases) {
  test(`${name} is ${enforcement}, until the first of both ends`, () => {
    expect(stateInForce({ fleet, agent }, { now: at(minutes), floor })).toEqual({
      fleet: '1.4',
      agent: '1.7',
      policy_version: 3,
      signed_at: '2026-11-23T12:00:00Z',
      enforcement,
      enforce_until: '2026-11-23T12:30:00Z',
    })
  })
}

test('before the first state nothing is', () => {
  expect(stateInForce(undefined, { now: at(0), floor: undefined })).toMatchObject({ enforcement: 'none', agent: null })
})

test('a document that cannot be put in force is told, with what is instead', () => {
  const code = 'compiled_format_unknown'
  expect(refusedWarnings({ fleet, agent }, [{ held: newer, code }])).toEqual([
    'the agent document 1.8 cannot be put in force (compiled_format_unknown); 1.7 is instead',
  ])
  expect(refusedWarnings(undefined, [{ held: newer, code }])).toEqual([
    'the agent document 1.8 cannot be put in force (compiled_format_unknown); nothing is instead',
  ])
  expect(refusedWarnings({ fleet, agent }, [])).toEqual([])
})

test('tampering is told for an hour', () => {
  const alarm = { code: 'state_foreign', at: at(0) }
  expect(alarmWarnings(alarm, at(60))).toEqual([
    'signed state was refused (state_foreign) at 2026-11-23T12:00:00Z: something between tampers with it',
  ])
  expect(alarmWarnings(alarm, at(61))).toEqual([])
  expect(alarmWarnings(undefined, at(0))).toEqual([])
})
