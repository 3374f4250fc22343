import { hash, timingSafeEqual } from 'node:crypto'
import { AgentError } from '../errors.ts'

/**
 * Reads a SHA-256 fingerprint: 64 hexadecimal digits of any case, with or without colons, with or without `sha256:`.
 *
 * @returns 64 digits in lower case
 * @throws {AgentError} `fingerprint_invalid`
 */
export function parseFingerprint(text: string): string {
  const digits = text
    .trim()
    .toLowerCase()
    .replace(/^sha-?256[:=]/, '')
  const plain = /^[0-9a-f]{2}(:[0-9a-f]{2}){31}$/.test(digits) ? digits.replaceAll(':', '') : digits
  if (/^[0-9a-f]{64}$/.test(plain)) return plain
  throw new AgentError('fingerprint_invalid', `"${text.slice(0, 110)}" is not a SHA-256 fingerprint`)
}

/** SHA-256 over the DER of a certificate, 64 digits in lower case. */
export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}

export function sameFingerprint(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
