import { type AuditDeps, appendAudit, CLOCK_TOLERANCE_MS } from '../audit/append.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { lastRecorded } from '../state/store.ts'

/** How far the clock went back, where it did. */
export interface ClockStep {
  /** Of the newest audit entry. */
  readonly recorded: string
  readonly now: string
}

/**
 * Puts on record that the newest audit entry was made by a clock that went wrong, and that the clock of now is right:
 * from then on entries, certificates and state are made by it. Answers nothing, and writes nothing, where the clock is
 * not behind. What agents hold of the wrong time they keep until this clock has passed it.
 */
export function acknowledgeClock(database: UnitAccess, audit: AuditDeps): Promise<ClockStep | undefined> {
  return database.runUnit(function* (): Unit<ClockStep | undefined> {
    const step = yield* clockStep(audit.now())
    if (step !== undefined) {
      yield* appendAudit(
        {
          event: 'TIM-03',
          outcome: 'success',
          reasonCode: 'clock_acknowledged',
          actor: { type: 'system', ref: 'vcc-control' },
          target: { type: 'clock', id: 'system' },
          details: { ...step },
        },
        audit,
      )
    }
    return step
  })
}

export function* clockStep(now: Temporal.Instant): Unit<ClockStep | undefined> {
  const recorded = yield* lastRecorded()
  if (recorded === undefined || Date.parse(recorded) - now.epochMilliseconds <= CLOCK_TOLERANCE_MS) return undefined
  return { recorded, now: now.toString({ smallestUnit: 'second' }) }
}
