import { createHash } from 'node:crypto'
import type { Tbs } from '@vcc/x509'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { AuditActor } from '../audit/entry.ts'
import type { Unit } from '../database/unit.ts'
import type { CertificateOrder, IssueDeps, Requester } from './issue.ts'
import type { CertificateRow, Intent } from './store.ts'

type Event = 'CA-01' | 'CER-04' | 'CER-05'

/** On record with the intent: what is about to be signed, by its hash. */
export function* auditAttempt(order: CertificateOrder, intent: Intent, tbs: Tbs, deps: IssueDeps): Unit<void> {
  const afterHash = createHash('sha256').update(tbs.der).digest('hex')
  yield* appendAudit({ ...factsOf(order, intent), phase: 'attempt', afterHash }, deps.audit)
}

/** On record with the certificate, or with the orphan. */
export function* auditOutcome(
  order: CertificateOrder,
  intent: Intent,
  result: { outcome: 'success'; certificateSha256: string } | { outcome: 'failure'; reason: string },
  deps: IssueDeps,
): Unit<void> {
  const more = result.outcome === 'success' ? { afterHash: result.certificateSha256 } : { reasonCode: result.reason }
  yield* appendAudit({ ...factsOf(order, intent), outcome: result.outcome, ...more }, deps.audit)
}

/** An intent of a process that ended in between: the certificate may exist, so it is on record and revoked. */
export function* auditAbandoned(intentId: string, row: CertificateRow, deps: { audit: AuditDeps }): Unit<void> {
  yield* appendAudit(
    {
      event: eventOf(row.cause, row.purpose),
      outcome: 'failure',
      reasonCode: 'intent_abandoned',
      actor: { type: 'system', ref: 'issuance' },
      target: targetOf(row.issuing_ca_id, row.serial_number, row.organization_id),
      requestId: intentId,
    },
    deps.audit,
  )
}

function auditActor(requester: Requester): AuditActor {
  return { type: requester.type, ref: requester.ref }
}

function factsOf(order: CertificateOrder, intent: Intent) {
  return {
    event: eventOf(order.record.cause, order.record.purpose),
    actor: auditActor(order.requester),
    target: targetOf(intent.issuingCaId, intent.serialHex, order.record.organization),
    requestId: intent.intentId,
    details: { request: order.requestId, subject: order.record.serviceId ?? order.profile },
  }
}

function eventOf(cause: string, purpose: string): Event {
  if (purpose === 'ca') return 'CA-01'
  return cause === 'renewal' || cause === 're-enrolment' ? 'CER-05' : 'CER-04'
}

function targetOf(caId: string, serialHex: string, organization: string | null) {
  const target = { type: 'certificate', id: `${caId}-${serialHex}` } as const
  return organization === null ? target : { ...target, tenant: organization }
}
