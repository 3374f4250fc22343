import type { BulkRevokeRequest, RevocationFilter } from '@vcc/api'
import { certificateNamed } from '../certificates/named.ts'
import {
  type CertificateRow,
  type CertificateSelection,
  certificatesOfIncident,
  certificatesToRevoke,
} from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { findService } from '../registry/services.ts'
import { tooLarge } from './fleet.ts'

/**
 * What a bulk revocation is about: the certificates named, what a filter finds among those that still count, or what an
 * incident revoked before.
 *
 * @throws {DomainError} `certificate_unknown`, `certificate_ambiguous`, `service_unknown`, `revocation_too_large`
 */
export function* selectCertificates(
  select: BulkRevokeRequest['select'],
  organization: string,
  now: Date,
): Unit<readonly CertificateRow[]> {
  if ('cert_ids' in select) {
    const rows: CertificateRow[] = []
    for (const name of new Set(select.cert_ids)) rows.push(yield* certificateNamed(name, organization))
    return rows
  }
  const rows =
    'incident' in select
      ? yield* certificatesOfIncident(select.incident, organization, MAX_SELECTED + 1)
      : yield* certificatesToRevoke(
          organization,
          yield* selectionOf(select.filter, organization),
          epochSeconds(now),
          MAX_SELECTED + 1,
        )
  if (rows.length > MAX_SELECTED) throw tooLarge()
  return rows
}

function* selectionOf(filter: RevocationFilter, organization: string): Unit<CertificateSelection> {
  const service = filter.service === undefined ? undefined : yield* findService(filter.service, organization)
  return {
    service_id: service?.service_id,
    instance_id: filter.instance,
    issuing_ca_id: filter.issuing_ca_id,
    purpose: filter.purpose,
    spki_sha256: filter.spki_sha256,
    issuedBefore: secondsOf(filter.issued_before),
    issuedAfter: secondsOf(filter.issued_after),
  }
}

function secondsOf(instant: string | undefined): number | undefined {
  return instant === undefined ? undefined : epochSeconds(new Date(instant))
}

/** All in one commit, each with an audit row of its own; no more new entries than one delta of the fleet takes. */
export const MAX_SELECTED = 2000
