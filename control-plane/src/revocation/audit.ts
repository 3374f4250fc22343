import type { RevocationReason } from '@vcc/api'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { CertificateRow } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'

export interface By {
  /** Actor ref. */
  readonly actor: string
  readonly organization: string
  readonly requestId: string
}

/** One row per certificate: a bulk revocation is that many decisions. */
export function* auditRevoked(
  row: Pick<CertificateRow, 'issuing_ca_id' | 'serial_number' | 'organization_id'>,
  facts: { reason: RevocationReason; incident: string | null },
  by: By,
  deps: { audit: AuditDeps },
): Unit<void> {
  yield* appendAudit(
    {
      event: 'CER-07',
      outcome: 'success',
      reasonCode: facts.reason,
      actor: { type: 'human', ref: by.actor },
      target: {
        type: 'certificate',
        id: `${row.issuing_ca_id}-${row.serial_number}`,
        ...(row.organization_id === null ? {} : { tenant: row.organization_id }),
      },
      requestId: by.requestId,
      ...(facts.incident === null ? {} : { details: { incident: facts.incident } }),
    },
    deps.audit,
  )
}

export function* auditKeyBlocked(spkiSha256: string, by: By, deps: { audit: AuditDeps }): Unit<void> {
  yield* appendAudit(
    {
      event: 'CER-10',
      outcome: 'success',
      reasonCode: 'key_compromise',
      actor: { type: 'human', ref: by.actor },
      target: { type: 'key', id: spkiSha256 },
      requestId: by.requestId,
    },
    deps.audit,
  )
}

export function* auditDenial(
  denial: { denial_id: string; kind: string; value: string },
  what: 'shut_out' | 'released',
  by: By,
  deps: { audit: AuditDeps },
): Unit<void> {
  yield* appendAudit(
    {
      event: 'MSH-09',
      outcome: 'success',
      reasonCode: what,
      actor: { type: 'human', ref: by.actor },
      target: { type: 'state', id: denial.denial_id, tenant: by.organization },
      requestId: by.requestId,
      details: { kind: denial.kind, value: denial.value },
    },
    deps.audit,
  )
}
