import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseCanonical } from './canonical.ts'
import { MeshError, type MeshFailure } from './errors.ts'
import { isInstant } from './instant.ts'
import { INSTANCE_PATTERN } from './topics.ts'

/** Objects have the members that are written down, and no others. */
export const CLOSED = { additionalProperties: false } as const

export const Instant = Type.Refine(
  Type.String({ maxLength: 20 }),
  (text) => typeof text === 'string' && isInstant(text),
  () => 'must be an instant of the form 2026-03-31T23:59:59Z',
)
export const Sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' })
export const SerialHex = Type.String({ pattern: '^(?:[0-9a-f]{2}){1,20}$' })
export const InstanceId = Type.String({ pattern: INSTANCE_PATTERN })
export const Oid = Type.String({ pattern: '^[0-2](?:\\.(?:0|[1-9][0-9]{0,9})){2,20}$', maxLength: 128 })
export const DomainName = Type.String({
  pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$',
  maxLength: 253,
})
export const Organization = Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' })
export const ClassName = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' })
export const SpiffeId = Type.String({
  pattern: '^spiffe://[a-z0-9.-]{1,253}(?:/[a-z0-9._-]{1,64}){1,8}$',
  maxLength: 512,
})
export const WorkloadUri = Type.String({
  pattern: '^spiffe://[a-z0-9.-]{1,253}/org/[a-z][a-z0-9-]{0,39}/svc/[a-z][a-z0-9-]{0,39}$',
  maxLength: 512,
})
export const Host = Type.String({ pattern: '^[A-Za-z0-9.:-]{1,253}$' })
export const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
export const Counter = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Epochs and generations start at one. */
export const Ordinal = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
/** A format number. Which ones are read is decided before the rest is looked at. */
export const FormatNumber = Type.Integer({ minimum: 1, maximum: 65_535 })
/** DER as base64; at most 16 KiB of it. Decoders look inside. */
export const Base64Der = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', minLength: 4, maxLength: 21_848 })
/** A compact JWS inside a document. */
export const CompactJws = Type.String({
  pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
  maxLength: 64 * 1024,
})
/** A failure or refusal code. */
export const Code = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' })
/** Text for people: bounded, one line, no control characters. */
export const Line = Type.String({ pattern: '^[^\\p{Cc}]*$', maxLength: 500 })

/** Turns `unknown` into what the schema describes, or throws. Compiled once, when the module loads. */
export function parserOf<T extends TSchema>(schema: T, code: MeshFailure, what: string): (value: unknown) => Static<T> {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return value
    const [first] = compiled.Errors(value)
    throw new MeshError(code, `${what}${first?.instancePath ?? ''} ${first?.message ?? 'is malformed'}`.slice(0, 300))
  }
}

/** Parses signed bytes; the signature must have been verified before. */
export function parsePayload(bytes: Uint8Array, code: MeshFailure, what: string): unknown {
  const parsed = parseCanonical(bytes)
  if (parsed === undefined) throw new MeshError(code, `${what} is not JSON in canonical form (RFC 8785)`)
  return parsed.value
}

/** Lists are sets: sorted by key, no key twice. Then equal content has one form and one hash. */
export function isSortedSet(keys: readonly string[]): boolean {
  return keys.every((key, i) => i === 0 || (keys[i - 1] ?? '') < key)
}

/** Sorts by code units, as RFC 8785 sorts member names. */
export function sortedBy<T>(entries: Iterable<T>, keyOf: (entry: T) => string): T[] {
  return [...entries].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
}
