import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { type AuditEntry, AuditError, addressPrefix, type JsonValue } from './entry.ts'
import { AUDIT_EVENTS } from './events.ts'

/** The place of an entry in the chain. */
export interface Head {
  /** 0 before the first entry. */
  readonly seq: number
  /** SHA-384, hex. */
  readonly hash: string
}

/** What the first entry follows. */
export const GENESIS: Head = { seq: 0, hash: '0'.repeat(96) }

/** What a chained record holds beside its hash; absent facts are absent keys. */
export type RecordBody = { readonly [name: string]: JsonValue }

export interface RecordContext {
  readonly head: Head
  readonly at: Temporal.Instant
  readonly source: AuditSource
  /** 32 random bytes; keeps low-entropy details from being guessed out of the commitment. */
  readonly salt: Uint8Array
}

/** Where entries come from: `vcc-control`, `vcc-tsa`, and its build. */
export interface AuditSource {
  readonly component: string
  readonly build: string
  readonly node?: string
}

export interface MadeRecord {
  readonly seq: number
  /** Canonical JSON with `hash`. */
  readonly record: string
  /** Canonical JSON, or undefined when there is nothing to keep apart from the chain. */
  readonly details: string | undefined
}

/**
 * Makes the next record: `hash = SHA-384(canonical(record without hash))`, `prev_hash` the head's.
 *
 * @throws {AuditError} `audit_entry_invalid` for details that are not JSON or exceed 16 KiB.
 */
export function makeRecord(entry: AuditEntry, context: RecordContext): MadeRecord {
  const { head, at, source, salt } = context
  const event = AUDIT_EVENTS[entry.event]
  const refInChain = event.class !== 'A' || entry.actor.type !== 'human'
  const details = detailsOf(entry, refInChain)
  const ts = at.toString({ smallestUnit: 'microsecond' })
  const body = present({
    seq: head.seq + 1,
    segment: segmentOf(ts),
    ts,
    // The clock's state is unknown as long as nothing disciplines and watches it.
    ts_source: { state: 'UNKNOWN' },
    event: entry.event,
    version: event.version,
    phase: entry.phase,
    outcome: entry.outcome,
    reason_code: entry.reasonCode,
    severity:
      entry.outcome === 'failure' || entry.outcome === 'denied' ? Math.min(event.severity, WARNING) : event.severity,
    actor: present({
      type: entry.actor.type,
      ref: refInChain ? entry.actor.ref : undefined,
      role: entry.actor.role,
      auth_method: entry.actor.authMethod,
      session_ref: refInChain ? entry.actor.sessionRef : undefined,
    }),
    source: present({ component: source.component, build: source.build, node: source.node }),
    target: present({ type: entry.target.type, id: entry.target.id, tenant: entry.target.tenant }),
    request_id: entry.requestId,
    policy: entry.policy,
    before_hash: entry.beforeHash,
    after_hash: entry.afterHash,
    details_commit: details === undefined ? undefined : commitTo(salt, details),
    prev_hash: head.hash,
  })
  return { seq: head.seq + 1, record: sealed(body), details }
}

/** The record with its hash, `canonical({ ...body, hash: hashOf(body) })`, where each member is written once. */
function sealed(body: RecordBody): string {
  const members = Object.entries(body).map(([name, value]) => ({
    name,
    text: `${JSON.stringify(name)}:${canonical(value)}`,
  }))
  const text = (all: typeof members) =>
    `{${all
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((member) => member.text)
      .join(',')}}`
  const hash = createHash('sha384').update(text(members)).digest('hex')
  return text([...members, { name: 'hash', text: `"hash":"${hash}"` }])
}

/** SHA-384 of the canonical form; `body` is the record without its `hash`. */
export function hashOf(body: RecordBody): string {
  return createHash('sha384').update(canonical(body)).digest('hex')
}

/** `SHA-256(salt ‖ details)`, hex. */
export function commitTo(salt: Uint8Array, details: string): string {
  return createHash('sha256').update(salt).update(details).digest('hex')
}

/** The month of a timestamp in UTC. */
export function segmentOf(ts: string): string {
  return ts.slice(0, 'YYYY-MM'.length)
}

/** RFC 8785. @throws {AuditError} `audit_entry_invalid` for what has no such form. */
export function canonical(value: JsonValue): string {
  try {
    const text = canonicalize(value)
    if (text !== undefined) return text
  } catch (cause) {
    throw new AuditError('audit_entry_invalid', 'the entry has no canonical JSON form', { cause })
  }
  throw new AuditError('audit_entry_invalid', 'the entry has no canonical JSON form')
}

/** Addresses always stand here, and what names a person in an entry of class A. */
function detailsOf(entry: AuditEntry, refInChain: boolean): string | undefined {
  const ipPrefix = entry.ip === undefined ? undefined : addressPrefix(entry.ip)
  const parts = present({
    actor: refInChain ? undefined : present({ ref: entry.actor.ref, session_ref: entry.actor.sessionRef }),
    source: ipPrefix === undefined ? undefined : { ip_prefix: ipPrefix },
    event: entry.details,
  })
  if (Object.keys(parts).length === 0) return undefined
  const text = canonical(parts)
  if (Buffer.byteLength(text) > DETAILS_BYTES) {
    throw new AuditError('audit_entry_invalid', `details exceed ${DETAILS_BYTES} bytes`)
  }
  return text
}

function present(fields: { readonly [name: string]: JsonValue | undefined }): RecordBody {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, JsonValue] => field[1] !== undefined),
  )
}

const DETAILS_BYTES = 16_384
const WARNING = 4
