import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { JsonValue } from '../audit/entry.ts'
import type { Unit } from '../database/unit.ts'

/** Who changes which key, in one request. The key has no id before it is made. */
export interface KeyAct {
  readonly event: 'KEY-01' | 'KEY-06'
  readonly key: string
  readonly actor: string
  readonly requestId: string
}

/** What is kept of a key beside its id. */
export type KeyDetails = { readonly [name: string]: JsonValue }

/** Before it is done: what cannot be put on record is not done. */
export function* auditKeyAttempt(act: KeyAct, audit: AuditDeps): Unit<void> {
  yield* appendAudit({ ...factsOf(act), phase: 'attempt' }, audit)
}

export function* auditKeyOutcome(
  act: KeyAct,
  result: { outcome: 'success'; details: KeyDetails } | { outcome: 'failure'; reasonCode: string },
  audit: AuditDeps,
): Unit<void> {
  yield* appendAudit({ ...factsOf(act), phase: 'outcome', ...result }, audit)
}

/** It was asked for and may not be: one row, without an attempt. */
export function* auditKeyDenied(act: KeyAct, reasonCode: string, audit: AuditDeps): Unit<void> {
  yield* appendAudit({ ...factsOf(act), outcome: 'denied', reasonCode }, audit)
}

/** A token that refuses its PIN is an incident: somebody changed one of the two. */
export function* auditLoginRefused(code: string, audit: AuditDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'HSM-02',
      outcome: 'failure',
      reasonCode: code,
      actor: { type: 'system', ref: 'vcc-control' },
      target: { type: 'component', id: 'hsm' },
    },
    audit,
  )
}

function factsOf({ event, key, actor, requestId }: KeyAct) {
  return { event, actor: { type: 'human', ref: actor }, target: { type: 'key', id: key }, requestId } as const
}
