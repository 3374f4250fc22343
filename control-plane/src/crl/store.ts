import { change, first, many, one, query, type Unit } from '../database/unit.ts'
import type { Scope } from './scope.ts'

export type CrlKind = 'full' | 'delta'

/** A CRL without its bytes. Instants are epoch seconds. */
export interface CrlMark {
  readonly issuing_ca_id: string
  readonly shard: number
  readonly kind: CrlKind
  readonly number: number
  readonly base_number: number | null
  readonly this_update: number
  readonly next_update: number
  readonly journal_id: number
  readonly entries: number
  readonly sha256: string
}

export interface CrlRow extends CrlMark {
  readonly der: Uint8Array
}

const MARK = [
  'issuing_ca_id',
  'shard',
  'kind',
  'number',
  'base_number',
  'this_update',
  'next_update',
  'journal_id',
  'entries',
  'sha256',
] as const

export function* crlRow({ caId, shard }: Scope, kind: CrlKind): Unit<CrlRow | undefined> {
  return yield* first(
    query
      .selectFrom('crls')
      .select([...MARK, 'der'])
      .where('issuing_ca_id', '=', caId)
      .where('shard', '=', shard)
      .where('kind', '=', kind),
  )
}

/** All that are served. A few dozen, or as many as there are shards. */
export function* crlMarks(): Unit<readonly CrlMark[]> {
  return yield* many(query.selectFrom('crls').select(MARK).orderBy('id').limit(20_000))
}

export interface ScopeState {
  readonly full: CrlMark | undefined
  readonly delta: CrlMark | undefined
  /** Of the newest revocation in the scope; 0 without one. */
  readonly journalId: number
}

export function* scopeState({ caId, shard }: Scope): Unit<ScopeState> {
  const marks = yield* many(
    query.selectFrom('crls').select(MARK).where('issuing_ca_id', '=', caId).where('shard', '=', shard).limit(2),
  )
  const newest = yield* first(
    query
      .selectFrom('revocations')
      .select('id')
      .where('issuing_ca_id', '=', caId)
      .where('crl_shard', '=', shard)
      .orderBy('id', 'desc')
      .limit(1),
  )
  return {
    full: marks.find((mark) => mark.kind === 'full'),
    delta: marks.find((mark) => mark.kind === 'delta'),
    journalId: newest?.id ?? 0,
  }
}

/** Shards that certificates of a CA are in: those of now, and those of before. */
export function* shardsOf(caId: string): Unit<readonly number[]> {
  const { crl_shards: now } = yield* one(
    query.selectFrom('certificate_authorities').select('crl_shards').where('ca_id', '=', caId),
  )
  const before = yield* first(
    query.selectFrom('crls').select('shard').where('issuing_ca_id', '=', caId).orderBy('shard', 'desc').limit(1),
  )
  return Array.from({ length: Math.max(now, (before?.shard ?? 0) + 1) }, (_, shard) => shard)
}

export interface RevokedEntry {
  readonly serial_number: string
  readonly revoked_at: number
  readonly revocation_reason: string
  readonly invalidity_at: number | null
}

/** What a complete CRL lists. `endedSince`: what expired before is left out; undefined keeps everything. */
export function* revokedIn({ caId, shard }: Scope, endedSince: number | undefined): Unit<readonly RevokedEntry[]> {
  const all = query
    .selectFrom('certificates')
    .select(['serial_number', 'revoked_at', 'revocation_reason', 'invalidity_at'])
    .where('issuing_ca_id', '=', caId)
    .where('crl_shard', '=', shard)
    .where('revoked_at', 'is not', null)
    .orderBy('serial_number')
    .limit(MAX_ENTRIES + 1)
  const rows = yield* many(endedSince === undefined ? all : all.where('expires_at', '>=', endedSince))
  return rows.map((row) => ({
    ...row,
    revoked_at: row.revoked_at ?? 0, // both are there: the query and a constraint of the table say so
    revocation_reason: row.revocation_reason ?? 'unspecified',
  }))
}

/** What a delta lists: whatever changed since a row of the journal, each certificate as it is now. */
export function* changedIn({ caId, shard }: Scope, sinceJournalId: number): Unit<readonly RevokedEntry[]> {
  const rows = yield* many(
    query
      .selectFrom('revocations')
      .select(['serial_number', 'revoked_at', 'reason', 'invalidity_at'])
      .where('issuing_ca_id', '=', caId)
      .where('crl_shard', '=', shard)
      .where('id', '>', sinceJournalId)
      .orderBy('id')
      .limit(MAX_ENTRIES + 1),
  )
  const latest = new Map(rows.map(({ reason, ...row }) => [row.serial_number, { ...row, revocation_reason: reason }]))
  return [...latest.values()]
}

/**
 * Puts a CRL in the place of the one it was built after, by compare-and-swap on the number. False when another job was
 * faster: what this one signed is thrown away.
 */
export function* replaceCrl(row: CrlRow, after: CrlMark | undefined): Unit<boolean> {
  const { issuing_ca_id, shard, kind, ...fields } = row
  if (after === undefined) {
    const inserted = yield* change(
      query
        .insertInto('crls')
        .values(row)
        .onConflict((conflict) => conflict.columns(['issuing_ca_id', 'shard', 'kind']).doNothing()),
    )
    return inserted === 1
  }
  const updated = yield* change(
    query
      .updateTable('crls')
      .set(fields)
      .where('issuing_ca_id', '=', issuing_ca_id)
      .where('shard', '=', shard)
      .where('kind', '=', kind)
      .where('number', '=', after.number),
  )
  return updated === 1
}

/** Some 6 MiB, signed in a second. A CA that revokes more needs more shards before it issues more. */
export const MAX_ENTRIES = 100_000
