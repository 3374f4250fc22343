import { latest, wholeSeconds } from './instant.ts'

/** How far the clock may lie behind the highest signed instant before that is an alarm. */
export const CLOCK_TOLERANCE_SECONDS = 300

export type ClockReading =
  | { readonly state: 'ok'; readonly at: Date }
  | { readonly state: 'behind'; readonly code: 'clock_behind'; readonly at: Date; readonly bySeconds: number }

/**
 * The instant to judge by: the clock, but never earlier than `floor`, the highest signed `issuedAt` ever seen.
 * A clock further behind than the tolerance is `clock_behind`: the holder goes on enforcing by the floor,
 * renews nothing in a loop, and alarms. The floor is kept on disk by the caller (see `raisedFloor`).
 */
export function clockReading(
  now: Date,
  floor: Date | undefined,
  toleranceSeconds: number = CLOCK_TOLERANCE_SECONDS,
): ClockReading {
  const at = latest(wholeSeconds(now), floor)
  const bySeconds = (at.getTime() - wholeSeconds(now).getTime()) / 1000
  return bySeconds > toleranceSeconds ? { state: 'behind', code: 'clock_behind', at, bySeconds } : { state: 'ok', at }
}

/** The floor after something signed was accepted. It never falls. */
export function raisedFloor(floor: Date | undefined, issuedAt: Date): Date {
  return latest(issuedAt, floor)
}
