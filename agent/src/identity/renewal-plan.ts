import { createHash } from 'node:crypto'

/** What the decision about the next certificate rests on. Instants are the agent's best knowledge of the time. */
export interface RenewalFacts {
  readonly now: Date
  /** Since when our clock has been behind what the control plane signed: nothing is renewed in a loop. */
  readonly clockBehindSince: Date | undefined
  readonly serialHex: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** From signed state: a certificate issued before this instant is to be replaced. */
  readonly issuedAfter: Date | undefined
  readonly lastSuccess: Date | undefined
  readonly lastFailure: RenewalFailureFact | undefined
}

export interface RenewalFailureFact {
  readonly at: Date
  /** In a row, from 1. */
  readonly failures: number
  /** Jittered wait before the next attempt. */
  readonly waitMs: number
  /** The problem code of the answer; `undefined` when there was no answer. */
  readonly code: string | undefined
}

export type RenewalPlan =
  | { readonly kind: 'renew'; readonly why: 'due' | 'demanded'; readonly at: Date }
  | { readonly kind: 're-enrol'; readonly why: 'expired'; readonly at: Date }
  | { readonly kind: 'stop'; readonly why: 'identity_forked' | 'expired_too_long' }

/**
 * Which certificate request comes next, and when. Pure.
 *
 * A certificate is renewed a day (±10 %, the same for each certificate every time it is asked) after its issue, or at half of
 * its life where that is shorter; at once when signed state demands a younger one; by re-enrolment once it has expired, for
 * 30 days. A failure moves the attempt by its backoff; a fork ends all attempts, as does an expiry longer ago.
 */
export function planRenewal(facts: RenewalFacts): RenewalPlan {
  if (facts.lastFailure?.code === 'identity_forked') return { kind: 'stop', why: 'identity_forked' }
  const earliest = earliestAttempt(facts)
  if (facts.now > facts.notAfter) {
    if (facts.now.getTime() > facts.notAfter.getTime() + RE_ENROLMENT_MS)
      return { kind: 'stop', why: 'expired_too_long' }
    return { kind: 're-enrol', why: 'expired', at: later(facts.now, earliest) }
  }
  if (isDemanded(facts)) {
    // The control plane signs no renewal before the instant it demands.
    return { kind: 'renew', why: 'demanded', at: later(facts.issuedAfter, earliest) }
  }
  return { kind: 'renew', why: 'due', at: later(dailyRenewal(facts), earliest) }
}

/** Whether signed state asks for a younger certificate than this. `notBefore` lies 300 s before the issue. */
export function isDemanded(
  facts: Pick<RenewalFacts, 'notBefore' | 'issuedAfter'>,
): facts is { notBefore: Date; issuedAfter: Date } {
  return facts.issuedAfter !== undefined && facts.notBefore.getTime() + BACKDATED_MS < facts.issuedAfter.getTime()
}

/** The planned instant without failures and demands. */
export function dailyRenewal(facts: Pick<RenewalFacts, 'serialHex' | 'notBefore' | 'notAfter'>): Date {
  const issued = facts.notBefore.getTime() + BACKDATED_MS
  const lifeMs = Math.max(0, facts.notAfter.getTime() - issued)
  const intervalMs = Math.min(DAY_MS, lifeMs / 2)
  return new Date(issued + Math.round(intervalMs * (0.9 + 0.2 * fractionOf(facts.serialHex))))
}

function earliestAttempt(facts: RenewalFacts): Date {
  const { lastFailure, lastSuccess } = facts
  const afterFailure = lastFailure && new Date(lastFailure.at.getTime() + lastFailure.waitMs)
  const afterSuccess = lastSuccess && new Date(lastSuccess.getTime() + FLOOR_MS)
  const quietSince = facts.clockBehindSince && later(facts.clockBehindSince, later(lastFailure?.at, lastSuccess))
  const afterClock = quietSince && new Date(quietSince.getTime() + CLOCK_BEHIND_MS)
  return later(later(afterFailure, afterSuccess), afterClock)
}

/** The same number in [0, 1) for the same certificate, so that a restart moves nothing. */
function fractionOf(serialHex: string): number {
  return createHash('sha256').update(serialHex).digest().readUInt32BE(0) / 2 ** 32
}

function later(a: Date | undefined, b: Date | undefined): Date {
  return new Date(Math.max(a?.getTime() ?? 0, b?.getTime() ?? 0))
}

const DAY_MS = 86_400_000
const BACKDATED_MS = 300_000
const RE_ENROLMENT_MS = 30 * DAY_MS
/** Between two certificates, whatever is demanded. */
const FLOOR_MS = 1000
const CLOCK_BEHIND_MS = 3_600_000
