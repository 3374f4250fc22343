import { RuntimeError } from './error.ts'

/** A length of time that was written with its unit. */
export interface Duration {
  readonly ms: number
}

/**
 * Reads `90s`, `1h30m`, `7d`. The units are ms, s, m, h, d and w; a bare number is refused, since nobody
 * can tell its unit. At most 100 years, so that a sum with any instant remains one.
 *
 * @throws {RuntimeError} `duration_invalid`
 */
export function parseDuration(text: string): Duration {
  if (!DURATION.test(text)) {
    const hint = /^\d+$/.test(text)
      ? `write the unit, such as "${text}s" or "${text}m"`
      : 'write it as "90s", "10m", "12h" or "7d"'
    throw new RuntimeError('duration_invalid', `"${text.slice(0, 40)}" is not a duration`, { hint })
  }
  let ms = 0
  for (const [, count, unit] of text.matchAll(PART))
    ms += Number(count) * (UNITS.find(([name]) => name === unit)?.[1] ?? Number.NaN)
  if (!(ms <= MAX_MS)) throw new RuntimeError('duration_invalid', `"${text.slice(0, 40)}" is longer than 100 years`)
  return { ms }
}

/** The shortest text that `parseDuration` reads back to the same value: `90000` → `1m30s`. */
export function formatDuration(ms: number): string {
  if (!Number.isInteger(ms) || ms < 0) throw new TypeError('a duration is a whole number of milliseconds, not negative')
  let text = ''
  let rest = ms
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text === '' ? '0s' : text
}

const DURATION = /^(\d+(ms|s|m|h|d|w))+$/
const PART = /(\d+)(ms|s|m|h|d|w)/g
const UNITS: readonly (readonly [string, number])[] = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]
const MAX_MS = 36_525 * 86_400_000
