import { compiled } from '../database/compiled.ts'
import { change, first, many, one, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'

export interface CertificateRow {
  readonly id: number
  readonly cert_id: string
  readonly issuing_ca_id: string
  readonly serial_number: string
  readonly organization_id: string | null
  readonly service_id: string | null
  readonly instance_id: string | null
  readonly subject_dn: string
  readonly dns_names: string
  readonly uri: string | null
  readonly class: string | null
  readonly template: string | null
  readonly profile: string
  readonly purpose: string
  readonly cause: 'init' | 'start' | 'join' | 'renewal' | 're-enrolment' | 'request'
  readonly spki_sha256: string
  readonly der: Uint8Array | null
  readonly not_before: number
  readonly created_at: number
  readonly expires_at: number
  readonly state: 'issued' | 'orphaned'
  readonly revoked_at: number | null
  readonly revocation_reason: string | null
  readonly invalidity_at: number | null
}

const COLUMNS = [
  'id',
  'cert_id',
  'issuing_ca_id',
  'serial_number',
  'organization_id',
  'service_id',
  'instance_id',
  'subject_dn',
  'dns_names',
  'uri',
  'class',
  'template',
  'profile',
  'purpose',
  'cause',
  'spki_sha256',
  'der',
  'not_before',
  'created_at',
  'expires_at',
  'state',
  'revoked_at',
  'revocation_reason',
  'invalidity_at',
] as const

const certificates = () => query.selectFrom('certificates').select(COLUMNS)

export function* certificateByIssuerAndSerial(caId: string, serialHex: string): Unit<CertificateRow | undefined> {
  return yield* first(byIssuerAndSerial(caId, serialHex))
}

const byIssuerAndSerial = compiled((caId: string, serialHex: string) =>
  certificates().where('issuing_ca_id', '=', caId).where('serial_number', '=', serialHex),
)

/** The newest certificate of a key that is still valid. */
export function* certificateByKey(spkiSha256: string, now: Date): Unit<CertificateRow | undefined> {
  return yield* first(
    certificates()
      .where('spki_sha256', '=', spkiSha256)
      .where('state', '=', 'issued')
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', epochSeconds(now))
      .orderBy('id', 'desc')
      .limit(1),
  )
}

/** By `<ca_id>-<serial>`, or by serial, which may be several issuers'. Tenants see their own and nobody else's. */
export function* certificatesNamed(name: string, organization: string): Unit<readonly CertificateRow[]> {
  const [caId, serialHex] = name.includes('-') ? name.split('-', 2) : [undefined, name]
  const named = visibleTo(organization).where('serial_number', '=', serialHex ?? '')
  return yield* many((caId === undefined ? named : named.where('issuing_ca_id', '=', caId)).limit(2))
}

export interface CertificateFilter {
  readonly service_id?: string | undefined
  readonly instance_id?: string | undefined
  readonly purpose?: string | undefined
  readonly issuing_ca_id?: string | undefined
  readonly serial_number?: string | undefined
  readonly spki_sha256?: string | undefined
  readonly state?: 'valid' | 'expired' | 'revoked' | 'orphaned' | undefined
  readonly expiresBefore?: number | undefined
}

/** Newest first; `before` is the row id of the last one of the page before. */
export function* certificatePage(
  organization: string,
  filter: CertificateFilter,
  before: number | undefined,
  limit: number,
  now: number,
): Unit<readonly CertificateRow[]> {
  let page = visibleTo(organization).orderBy('id', 'desc').limit(limit)
  for (const column of [
    'service_id',
    'instance_id',
    'purpose',
    'issuing_ca_id',
    'serial_number',
    'spki_sha256',
  ] as const) {
    const wanted = filter[column]
    if (wanted !== undefined) page = page.where(column, '=', wanted)
  }
  if (before !== undefined) page = page.where('id', '<', before)
  if (filter.expiresBefore !== undefined) page = page.where('expires_at', '<', filter.expiresBefore)
  if (filter.state === 'orphaned') page = page.where('state', '=', 'orphaned')
  else if (filter.state === 'revoked') page = page.where('state', '=', 'issued').where('revoked_at', 'is not', null)
  else if (filter.state !== undefined) {
    const end = filter.state === 'valid' ? '>=' : '<'
    page = page.where('state', '=', 'issued').where('revoked_at', 'is', null).where('expires_at', end, now)
  }
  return yield* many(page)
}

/** The certificates of one instance, or of one subject where there is no instance; newest first. */
export function* certificateLine(row: CertificateRow, organization: string): Unit<readonly CertificateRow[]> {
  const line = visibleTo(organization).orderBy('id', 'desc').limit(500)
  if (row.instance_id !== null) return yield* many(line.where('instance_id', '=', row.instance_id))
  return yield* many(line.where('subject_dn', '=', row.subject_dn).where('purpose', '=', row.purpose))
}

/** Every certificate of a key, whoever it was issued to. */
export function* certificatesOfKey(spkiSha256: string): Unit<readonly CertificateRow[]> {
  return yield* many(certificates().where('spki_sha256', '=', spkiSha256).orderBy('id').limit(10_000))
}

/** How many people could call the API with a certificate of theirs. */
export function* validAdminCertificates(now: number): Unit<number> {
  const { count } = yield* one(
    query
      .selectFrom('certificates')
      .select((row) => row.fn.countAll<number>().as('count'))
      .where('purpose', '=', 'admin')
      .where('state', '=', 'issued')
      .where('revoked_at', 'is', null)
      .where('expires_at', '>=', now),
  )
  return count
}

export interface CertificateSelection {
  readonly service_id: string | undefined
  readonly instance_id: string | undefined
  readonly issuing_ca_id: string | undefined
  readonly purpose: string | undefined
  readonly spki_sha256: string | undefined
  readonly issuedBefore: number | undefined
  readonly issuedAfter: number | undefined
}

/** What a bulk revocation finds: issued, not revoked, not expired, and no CA. */
export function* certificatesToRevoke(
  organization: string,
  selection: CertificateSelection,
  now: number,
  limit: number,
): Unit<readonly CertificateRow[]> {
  let found = visibleTo(organization)
    .where('state', '=', 'issued')
    .where('revoked_at', 'is', null)
    .where('expires_at', '>=', now)
    .where('purpose', '!=', 'ca')
  for (const column of ['service_id', 'instance_id', 'issuing_ca_id', 'purpose', 'spki_sha256'] as const) {
    const wanted = selection[column]
    if (wanted !== undefined) found = found.where(column, '=', wanted)
  }
  if (selection.issuedBefore !== undefined) found = found.where('created_at', '<', selection.issuedBefore)
  if (selection.issuedAfter !== undefined) found = found.where('created_at', '>=', selection.issuedAfter)
  return yield* many(found.orderBy('id').limit(limit))
}

/** What was revoked for an incident. */
export function* certificatesOfIncident(
  incident: string,
  organization: string,
  limit: number,
): Unit<readonly CertificateRow[]> {
  return yield* many(
    visibleTo(organization)
      .where((row) =>
        row.exists(
          row
            .selectFrom('revocations')
            .select('revocations.id')
            .whereRef('revocations.issuing_ca_id', '=', 'certificates.issuing_ca_id')
            .whereRef('revocations.serial_number', '=', 'certificates.serial_number')
            .where('revocations.incident', '=', incident),
        ),
      )
      .orderBy('id')
      .limit(limit),
  )
}

export function* markReplaced(caId: string, serialHex: string, by: string): Unit<void> {
  yield* change(
    query
      .updateTable('certificates')
      .set({ replaced_by: by })
      .where('issuing_ca_id', '=', caId)
      .where('serial_number', '=', serialHex),
  )
}

/** The organisation's own and those of the installation itself, which belong to nobody. */
function visibleTo(organization: string) {
  return certificates().where((row) =>
    row.or([row('organization_id', '=', organization), row('organization_id', 'is', null)]),
  )
}
