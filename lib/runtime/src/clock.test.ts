import { expect, test } from 'vitest'
import { formatMicroseconds, nowMicroseconds, wholeSecond } from './clock.ts'
import { assertNodeVersion } from './node-version.ts'

test('microseconds agree with the clock of milliseconds', () => {
  expect(Math.abs(Number(nowMicroseconds() / 1000n) - Date.now())).toBeLessThan(1000)
})

const instants: readonly [micros: bigint, text: string][] = [
  [0n, '1970-01-01T00:00:00.000000Z'],
  [1n, '1970-01-01T00:00:00.000001Z'],
  [1_795_426_469_123_456n, '2026-11-23T09:34:29.123456Z'],
]
for (const [micros, text] of instants)
  test(`${micros} µs is ${text}`, () => expect(formatMicroseconds(micros)).toBe(text))

test('a whole second is never after its instant', () => {
  expect(wholeSecond(new Date('2026-11-23T09:34:29.999Z'))).toEqual(new Date('2026-11-23T09:34:29Z'))
  expect(wholeSecond(new Date(-1))).toEqual(new Date(-1000))
})

for (const version of ['26.0.0', '26.10.0', '27.0.0-nightly']) {
  test(`Node.js ${version} is accepted`, () => assertNodeVersion(26, version))
}
for (const version of ['20.20.2', '24.1.0', '25.9.9', '2.6.0', 'x']) {
  test(`Node.js ${version} is refused`, () => {
    expect(() => assertNodeVersion(26, version)).toThrow(
      expect.objectContaining({ code: 'node_too_old', hint: expect.any(String) }),
    )
  })
}
