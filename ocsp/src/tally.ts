import type { Outcome } from './answer.ts'
import { REFUSALS, type Refusal } from './refusal.ts'

/**
 * Where an answer came from: a kept one `repeated` as it is, or after its status was `confirmed`; one signed because it was
 * `new`, `aged` past half its life, `changed` in status or `rekeyed`; one signed `live`, for a nonce or several certificates.
 */
export const CAUSES = ['repeated', 'confirmed', 'new', 'aged', 'changed', 'rekeyed', 'live'] as const
export type SigningCause = (typeof CAUSES)[number]

/** Counts of one responder, kept as plain numbers: they are on the way of every answer, and read once in a while. */
export interface Tally {
  requests: number
  requestOctets: number
  /** Seconds from thisUpdate to sending, over the answers that came from the cache. */
  ageSeconds: number
  /** By issuer, `''` where none was found. */
  readonly outcomes: Map<string, Record<Outcome, number>>
  readonly refusals: Record<Refusal, number>
  readonly causes: Record<SigningCause, number>
}

export function newTally(): Tally {
  return {
    requests: 0,
    requestOctets: 0,
    ageSeconds: 0,
    outcomes: new Map(),
    refusals: Object.fromEntries(Object.keys(REFUSALS).map((code) => [code, 0])) as Record<Refusal, number>, // all keys
    causes: { repeated: 0, confirmed: 0, new: 0, aged: 0, changed: 0, rekeyed: 0, live: 0 },
  }
}

/** The outcomes of one issuer, made when first asked for. */
export function outcomesOf(tally: Tally, issuerId: string): Record<Outcome, number> {
  let outcomes = tally.outcomes.get(issuerId)
  if (outcomes === undefined) {
    outcomes = { ...NO_OUTCOMES }
    tally.outcomes.set(issuerId, outcomes)
  }
  return outcomes
}

const NO_OUTCOMES: Readonly<Record<Outcome, number>> = {
  good: 0,
  revoked: 0,
  unknown: 0,
  malformedRequest: 0,
  internalError: 0,
  tryLater: 0,
  sigRequired: 0,
  unauthorized: 0,
}

export const OUTCOMES = Object.keys(NO_OUTCOMES) as readonly Outcome[] // all of them, as its type says
