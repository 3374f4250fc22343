import { randomBytes } from 'node:crypto'
import { compiled } from '../database/compiled.ts'
import { change, first, query, type Unit } from '../database/unit.ts'
import { type AuditEntry, AuditError, assertEntry } from './entry.ts'
import { type AuditSource, GENESIS, type Head, makeRecord } from './record.ts'

export interface AuditDeps {
  readonly now: () => Temporal.Instant
  readonly source: AuditSource
}

/**
 * Appends to the chain inside the caller's unit: the act and its record are committed together or not at all.
 *
 * The head is read in the unit, so that units that share a commit, and a rolled-back neighbour, keep one
 * chain without a gap.
 *
 * @returns the entry's number.
 * @throws {AuditError} `audit_entry_invalid`; `audit_clock_behind` when the clock stands more than five
 *   minutes behind the head (a TIM-03 entry acknowledges that and is let through); `audit_head_unreadable`.
 */
export function* appendAudit(entry: AuditEntry, deps: AuditDeps): Unit<number> {
  assertEntry(entry)
  const head = yield* readHead()
  const at = deps.now()
  if (entry.event !== 'TIM-03') assertNotBehind(head.ts, at)
  const salt = randomBytes(SALT_BYTES)
  const { seq, record, details } = makeRecord(entry, { head, at, source: deps.source, salt })
  yield* change(insertEntry({ seq, record }))
  if (details !== undefined) yield* change(insertDetails({ seq, salt, details }))
  return seq
}

/** How far a timestamp may stand before its predecessor's. */
export const CLOCK_TOLERANCE_MS = 300_000

function* readHead(): Unit<Head & { ts: string | undefined }> {
  const last = yield* first(newestEntry())
  if (last === undefined) return { ...GENESIS, ts: undefined }
  const { hash, ts } = readRecord(last.record)
  if (typeof hash !== 'string' || typeof ts !== 'string') {
    throw new AuditError('audit_head_unreadable', `entry ${last.seq} at the head of the audit chain is damaged`)
  }
  return { seq: last.seq, hash, ts }
}

/** Here rather than by the derived columns, which parse the record once each. */
function readRecord(record: string): { readonly hash?: unknown; readonly ts?: unknown } {
  try {
    const value: unknown = JSON.parse(record)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function assertNotBehind(head: string | undefined, at: Temporal.Instant): void {
  if (head === undefined || Date.parse(head) - at.epochMilliseconds <= CLOCK_TOLERANCE_MS) return
  throw new AuditError('audit_clock_behind', `the clock stands behind the last audit entry, which is of ${head}`)
}

const newestEntry = compiled(() =>
  query.selectFrom('audit_entries').select(['seq', 'record']).orderBy('seq', 'desc').limit(1),
)
const insertEntry = compiled((row: { seq: number; record: string }) => query.insertInto('audit_entries').values(row))
const insertDetails = compiled((row: { seq: number; salt: Uint8Array; details: string }) =>
  query.insertInto('audit_details').values(row),
)

const SALT_BYTES = 32
