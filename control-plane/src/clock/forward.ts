import type { Unit } from '../database/unit.ts'
import { CLOCK_HINT, DomainError } from '../errors.ts'
import { clockStep } from './acknowledge.ts'

/**
 * State is not signed by a clock that went back behind what is on record: agents would take it for old. The audit
 * chain refuses likewise, so that what acknowledges the step there lifts this too.
 *
 * @throws {DomainError} `clock_behind`
 */
export function* assertClockForward(now: Date): Unit<void> {
  const step = yield* clockStep(now.toTemporalInstant())
  if (step === undefined) return
  throw new DomainError('clock_behind', `the clock stands behind the last audit entry, which is of ${step.recorded}`, {
    hint: CLOCK_HINT,
  })
}
