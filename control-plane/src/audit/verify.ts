import { CLOCK_TOLERANCE_MS } from './append.ts'
import type { JsonValue } from './entry.ts'
import { canonical, commitTo, GENESIS, type Head, hashOf, type RecordBody, segmentOf } from './record.ts'

/** One entry as it was stored or exported. */
export interface AuditRow {
  /** The number it is stored under, where it is stored under one. */
  readonly position?: number
  /** Canonical JSON. */
  readonly record: string
  /** Both or neither; neither where they were deleted or never existed. */
  readonly salt?: Uint8Array
  readonly details?: string
}

export type Verdict =
  | { readonly ok: true; readonly count: number; readonly head: Head; readonly detailsErased: number }
  /** `seq` is the number of the first entry that is missing or wrong. */
  | { readonly ok: false; readonly seq: number; readonly reason: ChainFault }

export type ChainFault =
  | 'unreadable'
  | 'gap'
  | 'duplicate'
  | 'reordered'
  | 'changed'
  | 'chain_broken'
  | 'segment_mismatch'
  | 'clock_regression'
  | 'details_mismatch'
  | 'truncated'

export interface VerifyOptions {
  /** Where the rows begin, for an export that does not start at 1. */
  readonly after?: Head
  /** A head known from elsewhere (an earlier run, a checkpoint): the chain must contain it. */
  readonly known?: Head
}

/**
 * Proves that rows form one chain, or names the first that does not fit.
 *
 * Needs the rows in order and nothing else: no database, no key, constant memory. It cannot see a tail
 * cut off without `known`, nor a chain rewritten from some entry on to its end: checkpoints are for that.
 */
export async function verifyChain(
  rows: Iterable<AuditRow> | AsyncIterable<AuditRow>,
  options: VerifyOptions = {},
): Promise<Verdict> {
  const { known } = options
  let head = options.after ?? GENESIS
  let ts: string | undefined
  let count = 0
  let detailsErased = 0
  for await (const row of rows) {
    const link = parseRecord(row.record)
    const fault = link === undefined ? 'unreadable' : faultOf(row, link, head, ts)
    if (link === undefined || fault !== undefined)
      return { ok: false, seq: head.seq + 1, reason: fault ?? 'unreadable' }
    head = { seq: link.seq, hash: link.hash }
    if (known?.seq === head.seq && known.hash !== head.hash) return { ok: false, seq: head.seq, reason: 'changed' }
    ts = link.ts
    count += 1
    if (link.detailsCommit !== undefined && row.details === undefined) detailsErased += 1
  }
  if (known !== undefined && known.seq > head.seq) return { ok: false, seq: head.seq + 1, reason: 'truncated' }
  return { ok: true, count, head, detailsErased }
}

/** What chains a record; everything else in it is covered by the hash. */
interface Link {
  readonly body: RecordBody
  readonly hash: string
  readonly seq: number
  readonly segment: string
  readonly ts: string
  readonly event: string
  readonly prevHash: string
  readonly detailsCommit: string | undefined
}

function faultOf(row: AuditRow, link: Link, head: Head, ts: string | undefined): ChainFault | undefined {
  const expected = head.seq + 1
  if (link.seq > expected) return 'gap'
  if (link.seq === head.seq) return 'duplicate'
  if (link.seq < expected || (row.position !== undefined && row.position !== link.seq)) return 'reordered'
  // The stored text must be the canonical one: another text with the same meaning is a change too.
  if (hashOf(link.body) !== link.hash || canonical({ ...link.body, hash: link.hash }) !== row.record) return 'changed'
  if (link.prevHash !== head.hash) return 'chain_broken'
  if (link.segment !== segmentOf(link.ts)) return 'segment_mismatch'
  if (ts !== undefined && link.event !== 'TIM-03' && Date.parse(ts) - Date.parse(link.ts) > CLOCK_TOLERANCE_MS) {
    return 'clock_regression'
  }
  return detailsFit(row, link.detailsCommit) ? undefined : 'details_mismatch'
}

function detailsFit(row: AuditRow, commit: string | undefined): boolean {
  if (row.details === undefined || row.salt === undefined) return row.details === undefined && row.salt === undefined
  return commitTo(row.salt, row.details) === commit
}

function parseRecord(text: string): Link | undefined {
  if (text.length > RECORD_CHARACTERS) return undefined
  const value = parseObject(text)
  if (value === undefined) return undefined
  const { hash, ...body } = value
  const { seq, segment, ts, event, prev_hash: prevHash, details_commit: detailsCommit } = body
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq)) return undefined
  if (typeof hash !== 'string' || typeof prevHash !== 'string' || typeof event !== 'string') return undefined
  if (typeof segment !== 'string' || typeof ts !== 'string' || !TIMESTAMP.test(ts)) return undefined
  if (detailsCommit !== undefined && typeof detailsCommit !== 'string') return undefined
  return { body, hash, seq, segment, ts, event, prevHash, detailsCommit }
}

function parseObject(text: string): RecordBody | undefined {
  try {
    const value = JSON.parse(text) as JsonValue // JSON.parse gives nothing else
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return value as RecordBody // neither null nor an array
  } catch {
    return undefined
  }
}

const RECORD_CHARACTERS = 16_384
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/
