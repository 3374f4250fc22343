import type { ReadableDatabase } from '../database/open.ts'
import { many, query, type Unit } from '../database/unit.ts'
import type { JsonValue } from './entry.ts'
import { canonical } from './record.ts'
import type { AuditRow } from './verify.ts'

/**
 * All rows of the chain in order, page by page.
 *
 * Each page is a snapshot of its own, so that a long run holds up no checkpoint; entries appended
 * meanwhile are included, which a chain does not mind.
 */
export async function* auditRows(database: Pick<ReadableDatabase, 'read'>, afterSeq = 0): AsyncGenerator<AuditRow> {
  for (let seq = afterSeq; ; ) {
    const after = seq
    const rows = await database.read(() => page(after))
    for (const { seq: position, record, salt, details } of rows) {
      seq = position
      yield salt === null || details === null ? { position, record } : { position, record, salt, details }
    }
    if (rows.length < PAGE_ROWS) return
  }
}

interface StoredRow {
  readonly seq: number
  readonly record: string
  readonly salt: Uint8Array | null
  readonly details: string | null
}

function page(after: number): Unit<readonly StoredRow[]> {
  return many(
    query
      .selectFrom('audit_entries')
      .leftJoin('audit_details', 'audit_details.seq', 'audit_entries.seq')
      .select(['audit_entries.seq', 'audit_entries.record', 'audit_details.salt', 'audit_details.details'])
      .where('audit_entries.seq', '>', after)
      .orderBy('audit_entries.seq')
      .limit(PAGE_ROWS),
  )
}

/** One line of JSON Lines, without the newline: `{"details":…,"record":{…},"salt":"hex"}`. */
export function exportLine(row: AuditRow): string {
  const record = `"record":${row.record}`
  if (row.salt === undefined || row.details === undefined) return `{${record}}`
  return `{"details":${row.details},${record},"salt":"${Buffer.from(row.salt).toString('hex')}"}`
}

/** Reads a line back. A line that is none becomes a row that `verifyChain` calls unreadable. */
export function parseExportLine(line: string): AuditRow {
  const parsed = line.length > LINE_CHARACTERS ? undefined : parse(line)
  if (parsed === undefined || parsed.record === undefined) return { record: '' }
  const record = canonical(parsed.record)
  const { salt, details } = parsed
  if (salt === undefined && details === undefined) return { record }
  return {
    record,
    salt: Buffer.from(typeof salt === 'string' ? salt : '', 'hex'),
    details: details === undefined ? '' : canonical(details),
  }
}

function parse(line: string): { record?: JsonValue; salt?: JsonValue; details?: JsonValue } | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const PAGE_ROWS = 500
const LINE_CHARACTERS = 65_536
