import type { Permit } from '@vcc/policy'
import type { CloseRecord, Party } from './close-record.ts'
import type { Refusal } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'

export type Direction = 'inbound' | 'outbound'

/** What is decided about a unit under one snapshot. `Proof` is what the next stage demands. */
export type Verdict<Proof = Permit> =
  | { readonly allowed: true; readonly rule: string; readonly proof: Proof }
  | { readonly allowed: false; readonly refusal: Refusal }

/** A connection or a request while it lives. Owned by whoever carries the bytes; the registry only reads it. */
export interface Unit {
  connection: string
  readonly unit: CloseRecord['unit']
  readonly direction: Direction
  readonly openedAt: Date
  source: Party
  target: Party
  http?: { readonly method: string; status: number | null }
  bytesIn(): number
  bytesOut(): number
  /** Decides as if the unit came now. Must not wait. */
  judge(snapshot: Snapshot, now: Date): Verdict<unknown>
  /** When it must be over, whatever the matrix says: the earlier end of both certificates. */
  validUntil(): Date | undefined
  /** Cuts it: the owner destroys what carries it and then calls `release`. */
  cut(why: Refusal): void
}
