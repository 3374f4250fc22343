import { isIPv4, isIPv6 } from 'node:net'
import type { AuditEventCode } from './events.ts'

/** One thing to be put on record. Fields are codes and identifiers; words belong in `details`. */
export type AuditEntry = AuditFacts & AuditPhase

/** An operation with two rows names the same `requestId` in both; one row alone has an outcome and no phase. */
export type AuditPhase =
  | { readonly phase: 'attempt'; readonly outcome?: never }
  | { readonly phase?: 'outcome'; readonly outcome: AuditOutcome }

export type AuditOutcome = 'success' | 'failure' | 'denied'

export interface AuditFacts {
  readonly event: AuditEventCode
  /** Problem or refusal code, as the caller was told. */
  readonly reasonCode?: string
  readonly actor: AuditActor
  readonly target: AuditTarget
  /** Of the request, or the id of the issuance intent. */
  readonly requestId?: string
  readonly policy?: { readonly version: string; readonly decision: 'allow' | 'deny' }
  /** Lower-case hex, of what was there before and is there now. */
  readonly beforeHash?: string
  readonly afterHash?: string
  /** Address of the caller; only its /24 or /56 is kept, in the details. */
  readonly ip?: string
  /** May name persons: the chain holds a salted commitment to it, and it can be deleted alone. At most 16 KiB. */
  readonly details?: { readonly [name: string]: JsonValue }
}

export interface AuditActor {
  readonly type: 'human' | 'service' | 'system'
  /** Actor ref of a person (never a name), SPIFFE ID or instance id of a service, component of the system. */
  readonly ref: string
  readonly role?: string
  readonly authMethod?: string
  readonly sessionRef?: string
}

export interface AuditTarget {
  readonly type: AuditTargetType
  readonly id: string
  /** Organisation it belongs to. */
  readonly tenant?: string
}

export type AuditTargetType =
  | 'agent'
  | 'audit'
  | 'ca'
  | 'certificate'
  | 'clock'
  | 'component'
  | 'credential'
  | 'key'
  | 'organization'
  | 'person'
  | 'policy'
  | 'route'
  | 'service'
  | 'state'
  | 'template'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue }

export type AuditFailure = 'audit_entry_invalid' | 'audit_clock_behind' | 'audit_head_unreadable'

/** An entry that cannot be put on record. The operation it belongs to fails with it. */
export class AuditError extends Error {
  override readonly name = 'AuditError'
  readonly code: AuditFailure

  constructor(code: AuditFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** @throws {AuditError} `audit_entry_invalid` for a field that is not a code or an identifier. */
export function assertEntry(entry: AuditEntry): void {
  const { actor, target, policy } = entry
  for (const [field, text] of Object.entries({
    reasonCode: entry.reasonCode,
    'actor.role': actor.role,
    'actor.authMethod': actor.authMethod,
    'policy.version': policy?.version,
  })) {
    if (text !== undefined && !CODE.test(text)) throw invalid(`${field} is not a code`)
  }
  for (const [field, text] of Object.entries({
    'actor.ref': actor.ref,
    'actor.sessionRef': actor.sessionRef,
    'target.id': target.id,
    'target.tenant': target.tenant,
    requestId: entry.requestId,
  })) {
    if (text !== undefined && !IDENTIFIER.test(text)) throw invalid(`${field} is not an identifier`)
  }
  for (const [field, text] of Object.entries({ beforeHash: entry.beforeHash, afterHash: entry.afterHash })) {
    if (text !== undefined && !HASH.test(text)) throw invalid(`${field} is not a hash in hex`)
  }
  if (actor.type === 'human' && !ACTOR_REF.test(actor.ref)) throw invalid('a person is named by an actor ref')
  if (entry.phase !== 'attempt' && entry.outcome === undefined) throw invalid('only an attempt has no outcome')
}

/** The /24 of an IPv4 or /56 of an IPv6 address; undefined for anything else. */
export function addressPrefix(ip: string): string | undefined {
  const mapped = ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip
  if (isIPv4(mapped)) return `${mapped.split('.').slice(0, 3).join('.')}.0/24`
  if (!isIPv6(ip)) return undefined
  const groups = expanded(ip.replace(/%.*$/, ''))
  const fourth = (groups[3] ?? '0').padStart(4, '0')
  return `${[...groups.slice(0, 3), `${fourth.slice(0, 2)}00`].map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/56`
}

function expanded(ip: string): readonly string[] {
  const [head = '', tail = ''] = ip.split('::')
  const left = head === '' ? [] : head.split(':')
  if (!ip.includes('::')) return left
  const right = tail === '' ? [] : tail.split(':')
  return [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
}

function invalid(message: string): AuditError {
  return new AuditError('audit_entry_invalid', message)
}

const CODE = /^[A-Za-z0-9][A-Za-z0-9_.@:/-]{0,63}$/
const IDENTIFIER = /^[\x21-\x7e]{1,256}$/
const HASH = /^(?:[0-9a-f]{64}|[0-9a-f]{96})$/
const ACTOR_REF = /^[0-9a-f]{32}$/
