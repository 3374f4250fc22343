import { parseWorkloadId } from '@vcc/policy'
import type { Authorities } from '../authority/authority.ts'
import type { CertificateRow } from '../certificates/store.ts'
import type { ReadAccess } from '../database/access.ts'
import type { InstanceRow } from '../registry/instances-store.ts'
import { serviceByName } from '../registry/store.ts'
import type { DenialRow } from './store.ts'

/** Whether an instance is shut out itself, and its acknowledgement worth nothing. */
export type IsTarget = (instance: InstanceRow) => boolean

/** Those whose latest certificate is among them; a predecessor's revocation shuts out nobody. */
export function holdersOf(rows: readonly CertificateRow[]): IsTarget {
  const serials = new Set(rows.map((row) => `${row.issuing_ca_id} ${row.serial_number}`))
  const issuers = new Set(rows.flatMap((row) => (row.purpose === 'ca' ? [row.spki_sha256.slice(0, 32)] : [])))
  return ({ latest_issuing_ca_id: caId, latest_serial: serial }) =>
    caId !== null && (issuers.has(caId) || serials.has(`${caId} ${serial ?? ''}`))
}

/** Those that a denial is about. */
export async function deniedBy(
  denial: DenialRow,
  deps: { database: ReadAccess; authorities: Authorities },
): Promise<IsTarget> {
  const { kind, value } = denial
  if (kind === 'spki') return (one) => one.latest_spki_sha256 === value
  if (kind === 'serial') return (one) => one.latest_serial === value
  if (kind === 'issuer') return (one) => one.latest_issuing_ca_id === value.slice(0, 32)
  const { organization, service } = parseWorkloadId(value)
  const row = await deps.database.read(() => serviceByName(organization, service))
  return (one) => one.service_id === row?.service_id
}
