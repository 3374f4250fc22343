/** Where time comes from. Tests pass their own. */
export interface Clock {
  readonly now: () => Date
}

export const systemClock: Clock = { now }

export function now(): Date {
  return new Date()
}

/** Microseconds since 1970-01-01T00:00:00Z, from a clock that has them. */
export function nowMicroseconds(): bigint {
  return Temporal.Now.instant().epochNanoseconds / 1000n
}

/** `2026-11-23T09:34:29.123456Z`, always six digits. */
export function formatMicroseconds(epochMicroseconds: bigint): string {
  return new Temporal.Instant(epochMicroseconds * 1000n).toString({ smallestUnit: 'microsecond' })
}

/** The last whole second that is not after `at`: X.509 and signed state know no fractions. */
export function wholeSecond(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 1000) * 1000)
}
