import { expect, test } from 'vitest'
import { clockReading, raisedFloor } from './clock.ts'
import { at, NOW } from './fixture.ts'
import { instantOf, isInstant, isoSeconds } from './instant.ts'

test('without a floor the clock is taken as it is, in whole seconds', () => {
  expect(clockReading(new Date('2026-03-01T12:00:00.999Z'), undefined)).toEqual({ state: 'ok', at: NOW })
})

test.each([
  ['ahead of the floor', 60, 'ok'],
  ['at the floor', 0, 'ok'],
  ['300 s behind', -300, 'ok'],
  ['301 s behind', -301, 'behind'],
  ['in 1970', -NOW.getTime() / 1000, 'behind'],
] as const)('a clock %s is %s', (_, seconds, state) => {
  const reading = clockReading(at(seconds), NOW)
  expect(reading.state).toBe(state)
  expect(reading.at).toEqual(at(Math.max(seconds, 0)))
  if (reading.state === 'behind') expect([reading.code, reading.bySeconds]).toEqual(['clock_behind', -seconds])
})

test('a floor rises and never falls', () => {
  expect(raisedFloor(undefined, NOW)).toEqual(NOW)
  expect(raisedFloor(NOW, at(1))).toEqual(at(1))
  expect(raisedFloor(NOW, at(-1))).toEqual(NOW)
})

test.each([
  '',
  '2026-03-01',
  '2026-03-01T12:00:00',
  '2026-03-01T12:00:00+00:00',
  '2026-03-01T12:00:00.000Z',
  '2026-03-01t12:00:00z',
  '2026-3-01T12:00:00Z',
  '2026-02-29T12:00:00Z',
  '2026-02-31T12:00:00Z',
  '2026-13-01T12:00:00Z',
  '2026-03-01T24:00:00Z',
  '2026-03-01T12:60:00Z',
  '2026-12-31T23:59:60Z',
  '+002026-03-01T12:00:00Z',
  ' 2026-03-01T12:00:00Z',
  '2026-03-01T12:00:00Z\n',
  '٢٠٢٦-03-01T12:00:00Z',
])('%j is not an instant', (text) => {
  expect(isInstant(text)).toBe(false)
  expect(() => instantOf(text)).toThrow(TypeError)
})

test('instants are written back as they were read', () => {
  for (const text of ['2026-03-01T12:00:00Z', '2028-02-29T23:59:59Z', '1970-01-01T00:00:00Z']) {
    expect(isoSeconds(instantOf(text))).toBe(text)
  }
})
