import type { AgentContent } from './agent-content.ts'
import { clockReading } from './clock.ts'
import type { Denied } from './denials.ts'
import type { FleetContent } from './fleet-content.ts'
import { addSeconds } from './instant.ts'
import type { TrustStatement } from './trust.ts'

declare const accepted: unique symbol

interface Common {
  readonly trustDomain: string
  readonly epoch: number
  readonly generation: number
  readonly contentHash: string
  /** The latest of document, delta and refresh; so are the two ends. */
  readonly issuedAt: Date
  readonly acceptUntil: Date
  readonly enforceUntil: Date
  /** The signed document, compact. */
  readonly document: string
  /** The refresh in force, compact; undefined while the document's own term is the latest. */
  readonly refresh: string | undefined
  readonly [accepted]: true
}

/** Fleet state that was accepted. Minted in `accept.ts` only. */
export interface HeldFleet extends Common {
  readonly kind: 'fleet'
  readonly instance: null
  readonly content: FleetContent
  /** The deltas taken since `document`, compact, in order. */
  readonly deltas: readonly string[]
  readonly trust: TrustStatement
  /** All that was ever denied and neither expired nor was released; more than `content` lists. */
  readonly denied: Denied
}

/** State of one instance that was accepted. Minted in `accept.ts` only. */
export interface HeldAgent extends Common {
  readonly kind: 'agent'
  readonly instance: string
  readonly content: AgentContent
}

export type Held = HeldFleet | HeldAgent

/**
 * - `fresh`: could be taken anew at this instant
 * - `stale`: nothing newer came; its word is still law
 * - `expired`: no new connections, and live ones close
 */
export interface Enforcement {
  readonly state: 'fresh' | 'stale' | 'expired'
  readonly until: Date
}

/** How far held state may be worked on. Ends are inclusive, in whole seconds; the clock never lies before `floor`. */
export function enforcement(held: Held, now: Date, floor: Date | undefined): Enforcement {
  const { at } = clockReading(now, floor)
  const state = at <= held.acceptUntil ? 'fresh' : at <= held.enforceUntil ? 'stale' : 'expired'
  return { state, until: held.enforceUntil }
}

/** Whether anything signed for this state was issued at most `seconds` ago: `revocationMaxAge` of a fleet. */
export function isYoungerThan(held: Held, seconds: number, now: Date, floor: Date | undefined): boolean {
  return clockReading(now, floor).at <= addSeconds(held.issuedAt, seconds)
}
