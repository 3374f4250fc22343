import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { Unit } from '../database/unit.ts'
import type { StateMark } from './store.ts'

/** The fleet's document, or how many agents got a new one in one update: a row each would drown the chain. */
export function* auditPublished(
  what: { fleet: StateMark } | { documents: number; policyVersion: number },
  audit: AuditDeps,
): Unit<void> {
  yield* appendAudit(
    {
      event: 'MSH-03',
      outcome: 'success',
      actor: { type: 'system', ref: 'vcc-control' },
      ...('fleet' in what
        ? {
            target: { type: 'state', id: `fleet.${what.fleet.epoch}.${what.fleet.generation}` },
            afterHash: what.fleet.content_hash,
          }
        : { target: { type: 'state', id: 'agents' }, details: { ...what } }),
    },
    audit,
  )
}
