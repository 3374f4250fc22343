import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { Unit } from '../database/unit.ts'
import type { Caller } from '../http/caller.ts'

/** That the audit function runs, and when it ended: a chain that stops without the second was cut off. */
export function* auditLifecycle(what: 'started' | 'stopped', audit: AuditDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'SYS-01',
      outcome: 'success',
      reasonCode: what,
      actor: { type: 'system', ref: 'vcc-control' },
      target: { type: 'component', id: 'vcc-control' },
    },
    audit,
  )
}

export interface DeniedFact {
  readonly route: string
  readonly caller: Caller
  readonly code: string
  readonly requestId: string
}

/** A caller that is known and may not. Who shows no certificate leaves no row: nobody can fill the chain from outside. */
export function* auditDenied(fact: DeniedFact, audit: AuditDeps): Unit<void> {
  const { caller } = fact
  if (caller.kind === 'anonymous') return
  yield* appendAudit(
    {
      event: 'IAM-05',
      outcome: 'denied',
      reasonCode: fact.code,
      actor: caller.kind === 'admin' ? { type: 'human', ref: caller.ref } : { type: 'service', ref: caller.instance },
      target: { type: 'route', id: fact.route },
      requestId: fact.requestId,
    },
    audit,
  )
}
