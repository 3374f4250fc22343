import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'

const good: readonly [text: string, ms: number, shortest?: string][] = [
  ['1ms', 1],
  ['0s', 0],
  ['90s', 90_000, '1m30s'],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['72h', 259_200_000, '3d'],
  ['7d', 604_800_000, '1w'],
  ['2w', 1_209_600_000],
  ['1m1ms', 60_001],
]

for (const [text, ms, shortest = text] of good) {
  test(`${text} is ${ms} ms`, () => {
    expect(parseDuration(text)).toEqual({ ms })
    expect(formatDuration(ms)).toBe(shortest)
  })
}

const bad = [
  '',
  '10',
  '0',
  '1.5h',
  '-1s',
  '+1s',
  '10 m',
  ' 10m',
  '10m ',
  '10M',
  '10min',
  'm',
  'PT10M',
  '1e3s',
  '１s',
  '10m\n',
  '9999999999w',
]

for (const text of bad) {
  test(`${JSON.stringify(text)} is refused`, () => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ name: 'RuntimeError', code: 'duration_invalid' }),
    )
  })
}

test('a bare number is refused with the units it may have meant', () => {
  expect(() => parseDuration('10')).toThrow(expect.objectContaining({ hint: 'write the unit, such as "10s" or "10m"' }))
})

test('what is formatted parses back to the same', () => {
  for (let ms = 1; ms < 3e12; ms = ms * 3 + 7) expect(parseDuration(formatDuration(ms)).ms).toBe(ms)
})

for (const ms of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`formatting ${ms} is a mistake`, () => expect(() => formatDuration(ms)).toThrow(TypeError))
}
