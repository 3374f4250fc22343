/**
 * The first bytes that the inbound side says on a `vcc/1` connection: the two bytes `OK`, or `NO`, a length of two
 * bytes (big-endian) and a JSON record of at most 1024 bytes, after which it closes.
 */

/** Protocol name of a connection between two agents. */
export const ALPN_MESH = 'vcc/1'
/** Protocol name of an agent that shakes hands with its own listener; never carries data. */
export const ALPN_SELF_CHECK = 'vcc-self/1'
/** What a client nobody of us wrote may offer instead. */
export const ALPN_FOREIGN = 'http/1.1'

export interface RefusalRecord {
  readonly code: string
  readonly rule: string
  readonly connection: string
}

export type Answer = { readonly ok: true } | { readonly ok: false; readonly record: RefusalRecord }

export type AnswerProgress =
  | { readonly state: 'incomplete' }
  /** `rest` are the bytes after the answer: they belong to whatever comes next. */
  | { readonly state: 'complete'; readonly answer: Answer; readonly rest: Uint8Array }
  | { readonly state: 'invalid'; readonly why: string }

export function encodeOk(): Buffer {
  return Buffer.from('OK')
}

/** Texts too long for the record are cut, so every refusal can be told. */
export function encodeRefusal(record: RefusalRecord): Buffer {
  const json = Buffer.from(
    JSON.stringify({
      code: record.code.slice(0, 64),
      rule: asciiOnly(record.rule).slice(0, 256),
      connection: record.connection.slice(0, 64),
    }),
  )
  const head = Buffer.from('NO\0\0')
  head.writeUInt16BE(json.length, 2)
  return Buffer.concat([head, json])
}

/**
 * Reads an answer that arrives in pieces of any size.
 *
 * Keeps at most the four bytes of the head and the 1024 of a record. After `complete` or `invalid` it must not be fed
 * again. Does **not** know what a code means: codes of a newer agent pass through.
 */
export function answerReader(): (chunk: Uint8Array) => AnswerProgress {
  let held: Buffer = Buffer.alloc(0)
  return (chunk) => {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk])
    if (held.length < 2) {
      return held.length === 0 || held[0] === O || held[0] === N ? INCOMPLETE : invalid('not an answer of an agent')
    }
    if (held[0] === O && held[1] === K) return { state: 'complete', answer: { ok: true }, rest: held.subarray(2) }
    if (held[0] !== N || held[1] !== O) return invalid('not an answer of an agent')
    if (held.length < HEAD_BYTES) return INCOMPLETE
    const length = held.readUInt16BE(2)
    if (length > MAX_RECORD_BYTES) return invalid('refusal record too long')
    if (held.length < HEAD_BYTES + length) return INCOMPLETE
    const record = parseRecord(held.subarray(HEAD_BYTES, HEAD_BYTES + length))
    if (record === undefined) return invalid('refusal record not understood')
    return { state: 'complete', answer: { ok: false, record }, rest: held.subarray(HEAD_BYTES + length) }
  }
}

function parseRecord(bytes: Buffer): RefusalRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { code, rule, connection, ...unknown } = value as Record<string, unknown> // any object has string keys
  if (Object.keys(unknown).length > 0) return undefined
  if (typeof code !== 'string' || !CODE.test(code)) return undefined
  if (typeof rule !== 'string' || !RULE.test(rule)) return undefined
  if (typeof connection !== 'string' || !CONNECTION.test(connection)) return undefined
  return { code, rule, connection }
}

function asciiOnly(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?')
}

function invalid(why: string): AnswerProgress {
  return { state: 'invalid', why }
}

const INCOMPLETE: AnswerProgress = { state: 'incomplete' }
const HEAD_BYTES = 4
const MAX_RECORD_BYTES = 1024
const O = 0x4f
const K = 0x4b
const N = 0x4e
const CODE = /^[a-z][a-z0-9_]{0,63}$/
const RULE = /^[\x20-\x7e]{0,256}$/
const CONNECTION = /^[0-9a-f]{0,64}$/
