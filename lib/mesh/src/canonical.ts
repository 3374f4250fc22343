import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'

/** The RFC 8785 form of a JSON value. @throws {TypeError} for what JSON cannot say */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('not a JSON value')
  return text
}

/** SHA-256 over the RFC 8785 form, as 64 lower-case hex digits. */
export function contentHash(content: unknown): string {
  return createHash('sha256').update(canonicalJson(content), 'utf8').digest('hex')
}

/**
 * Parses UTF-8 bytes that must already be in RFC 8785 form. One rule refuses duplicate member names, white
 * space, other number spellings, lone surrogates and a byte order mark, because none survives the round trip:
 * two readers can never understand one text differently.
 *
 * @returns the value, or undefined when the bytes are anything but the canonical form of a JSON value
 */
export function parseCanonical(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    const text = UTF8.decode(bytes)
    const value: unknown = JSON.parse(text)
    return canonicalJson(value) === text ? { value } : undefined
  } catch {
    return undefined
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
