import type { RevocationReason } from '@vcc/api'
import { sql } from 'kysely'
import type { CertificateRow } from '../certificates/store.ts'
import { compiled } from '../database/compiled.ts'
import { change, first, many, one, query, type Unit } from '../database/unit.ts'

/** What is put on record of one certificate. */
export interface RevocationRecord {
  readonly reason: RevocationReason
  readonly revokedAt: number
  readonly invalidityAt: number | null
  readonly recordedAt: number
  readonly incident: string | null
  readonly recordedBy: string
}

type Key = Pick<CertificateRow, 'issuing_ca_id' | 'serial_number'>

/**
 * The certificate's row and the journal together. O(1): whatever follows from it (CRLs, answers, signed state) follows
 * later, from these rows.
 */
export function* recordRevocation(certificate: Key, record: RevocationRecord): Unit<void> {
  const { issuing_ca_id, serial_number } = certificate
  yield* change(
    query
      .updateTable('certificates')
      .set({
        revoked_at: record.revokedAt,
        revocation_reason: record.reason,
        invalidity_at: record.invalidityAt,
      })
      .where('issuing_ca_id', '=', issuing_ca_id)
      .where('serial_number', '=', serial_number),
  )
  yield* journalRevocation(certificate, record)
}

/** The journal alone: of a row that came to be revoked. */
export function* journalRevocation(certificate: Key, record: RevocationRecord): Unit<void> {
  const { issuing_ca_id, serial_number } = certificate
  yield* change(
    query
      .insertInto('revocations')
      .columns([
        'issuing_ca_id',
        'serial_number',
        'crl_shard',
        'reason',
        'revoked_at',
        'invalidity_at',
        'recorded_at',
        'incident',
        'recorded_by',
      ])
      .expression((select) =>
        select
          .selectFrom('certificates')
          .select((value) => [
            'issuing_ca_id',
            'serial_number',
            'crl_shard',
            value.val(record.reason).as('reason'),
            value.val(record.revokedAt).as('revoked_at'),
            value.val(record.invalidityAt).as('invalidity_at'),
            value.val(record.recordedAt).as('recorded_at'),
            value.val(record.incident).as('incident'),
            value.val(record.recordedBy).as('recorded_by'),
          ])
          .where('issuing_ca_id', '=', issuing_ca_id)
          .where('serial_number', '=', serial_number),
      ),
  )
}

/** Answers false where it was blocked before. */
export function* blockKey(spkiSha256: string, by: { at: number; actor: string }): Unit<boolean> {
  const changed = yield* change(
    query
      .insertInto('blocked_keys')
      .values({ spki_sha256: spkiSha256, blocked_at: by.at, blocked_by: by.actor })
      .onConflict((conflict) => conflict.column('spki_sha256').doNothing()),
  )
  return changed === 1
}

export function* isKeyBlocked(spkiSha256: string): Unit<boolean> {
  return (yield* first(blockedKey(spkiSha256))) !== undefined
}

const blockedKey = compiled((spkiSha256: string) =>
  query.selectFrom('blocked_keys').select('id').where('spki_sha256', '=', spkiSha256),
)

export interface DenialRow {
  readonly denial_id: string
  readonly kind: 'serial' | 'spki' | 'identity' | 'issuer'
  readonly value: string
  readonly issuer: string | null
  readonly until: number | null
  readonly note: string
  readonly created_by: string
  readonly created_at: number
  readonly released_by: string | null
  readonly released_at: number | null
}

const DENIAL = [
  'denial_id',
  'kind',
  'value',
  'issuer',
  'until',
  'note',
  'created_by',
  'created_at',
  'released_by',
  'released_at',
] as const

export function* insertDenial(row: DenialRow, organization: string): Unit<void> {
  yield* change(query.insertInto('denials').values({ ...row, organization_id: organization }))
}

export function* denialById(id: string, organization: string): Unit<DenialRow | undefined> {
  return yield* first(
    query.selectFrom('denials').select(DENIAL).where('denial_id', '=', id).where('organization_id', '=', organization),
  )
}

/** Newest first. */
export function* denialsOf(organization: string, released: boolean): Unit<readonly DenialRow[]> {
  const all = query
    .selectFrom('denials')
    .select(DENIAL)
    .where('organization_id', '=', organization)
    .orderBy('id', 'desc')
    .limit(5000)
  return yield* many(released ? all : all.where('released_at', 'is', null))
}

/** Compare-and-swap; false where somebody was faster. */
export function* markReleased(id: string, by: { at: number; actor: string }): Unit<boolean> {
  const changed = yield* change(
    query
      .updateTable('denials')
      .set({ released_at: by.at, released_by: by.actor })
      .where('denial_id', '=', id)
      .where('released_at', 'is', null),
  )
  return changed === 1
}

/** Of every organisation: what signed state carries. */
export function* standingDenials(notBefore: number): Unit<readonly DenialRow[]> {
  return yield* many(
    query
      .selectFrom('denials')
      .select(DENIAL)
      .where('released_at', 'is', null)
      .where((row) => row.or([row('until', 'is', null), row('until', '>=', notBefore)]))
      .orderBy('denial_id')
      .limit(MAX_DENIALS + 1),
  )
}

/** Releases that some agent may not have heard of. */
export function* releasesSince(instant: number): Unit<readonly { readonly denial_id: string }[]> {
  return yield* many(
    query
      .selectFrom('denials')
      .select('denial_id')
      .where('released_at', '>=', instant)
      .orderBy('released_at', 'desc')
      .limit(MAX_DENIALS),
  )
}

/** A standing denial that shuts out this key, this issuer or this identity; '' names none. */
export function* standingDenial(of: {
  readonly spki: string
  readonly issuer: string
  readonly identity: string
}): Unit<Pick<DenialRow, 'kind' | 'value'> | undefined> {
  return yield* first(anyDenial(of.spki, of.issuer, of.identity))
}

/** One question, asked twice in every issuance: three searches of the index of standing denials. */
const anyDenial = compiled((spki: string, issuer: string, identity: string) => {
  const standing = (kind: DenialRow['kind'], value: string) =>
    query
      .selectFrom('denials')
      .select(['kind', 'value'])
      .where('kind', '=', sql.lit(kind))
      .where('value', '=', value)
      .where('released_at', 'is', null)
  return standing('spki', spki).unionAll(standing('issuer', issuer)).unionAll(standing('identity', identity))
})

/** Standing denials of a CA, and of single certificates it issued. `ca_id` is the first half of the SHA-256 of its SPKI. */
export function* denialsUnder(caId: string): Unit<readonly Pick<DenialRow, 'kind' | 'value' | 'issuer'>[]> {
  return yield* many(
    query
      .selectFrom('denials')
      .select(['kind', 'value', 'issuer'])
      .where('released_at', 'is', null)
      .where((row) =>
        row.or([
          row.and([row('kind', '=', 'issuer'), row('value', 'like', `${caId}%`)]),
          row.and([row('kind', '=', 'serial'), row('issuer', 'like', `${caId}%`)]),
        ]),
      )
      .limit(MAX_DENIALS),
  )
}

export interface RevokedLeaf {
  readonly cert_id: string
  readonly issuing_ca_id: string
  readonly serial_number: string
  readonly expires_at: number
}

/** What is revoked and could still be presented, of these CAs. */
export function* revokedLeaves(caIds: readonly string[], notBefore: number): Unit<readonly RevokedLeaf[]> {
  if (caIds.length === 0) return []
  return yield* many(
    query
      .selectFrom('certificates')
      .select(['cert_id', 'issuing_ca_id', 'serial_number', 'expires_at'])
      .where('issuing_ca_id', 'in', [...caIds])
      .where('state', '=', 'issued') // an orphan was seen by nobody; CRL and OCSP list it all the same
      .where('revoked_at', 'is not', null)
      .where('expires_at', '>=', notBefore)
      .orderBy('cert_id')
      .limit(MAX_REVOCATIONS + 1),
  )
}

/** How many certificates of services are revoked and could still be presented: so many entries signed state has to carry. */
export function* liveRevocations(notBefore: number): Unit<number> {
  const { count } = yield* one(
    query
      .selectFrom('certificates')
      .select((row) => row.fn.countAll<number>().as('count'))
      .where('state', '=', 'issued')
      .where('revoked_at', 'is not', null)
      .where('instance_id', 'is not', null)
      .where('expires_at', '>=', notBefore),
  )
  return count
}

/** Blocked keys that some certificate still carries, with the end of the last one. */
export function* blockedKeysInUse(
  notBefore: number,
): Unit<readonly { readonly spki_sha256: string; readonly until: number }[]> {
  return yield* many(
    query
      .selectFrom('blocked_keys')
      .innerJoin('certificates', 'certificates.spki_sha256', 'blocked_keys.spki_sha256')
      .select((row) => ['blocked_keys.spki_sha256', row.fn.max('certificates.expires_at').as('until')])
      .where('certificates.state', '=', 'issued')
      .where('certificates.expires_at', '>=', notBefore)
      .groupBy('blocked_keys.spki_sha256')
      .orderBy('blocked_keys.spki_sha256')
      .limit(MAX_REVOCATIONS + 1),
  )
}

/** As many as a fleet document takes: `FleetContent` of @vcc/mesh, and its 4 MiB as a JWS. */
export const MAX_DENIALS = 4096
export const MAX_REVOCATIONS = 12_000
