import { hash } from 'node:crypto'
import { encodeOcspError, type OcspErrorStatus } from '@vcc/x509'

/** One OCSPResponse, and what HTTP may do with it. */
export interface Answer {
  readonly der: Uint8Array
  readonly outcome: Outcome
  /** Absent where nobody may keep the answer: it repeats a nonce, says `unknown`, or is an error. */
  readonly caching: Caching | undefined
}

export type Outcome = 'good' | 'revoked' | 'unknown' | OcspErrorStatus

export interface Caching {
  /** Header values, as they are sent. */
  readonly etag: string
  readonly lastModified: string
  readonly expires: string
  readonly nextUpdateSeconds: number
  /** The answer's octets as characters: a body that is a string goes out in one piece with its head. */
  readonly latin1: string
}

/** @param thisUpdate Seconds of Unix time, as `nextUpdate`. */
export function cachingOf(der: Uint8Array, thisUpdate: number, nextUpdate: number): Caching {
  return {
    etag: `"${hash('sha256', der, 'hex').toUpperCase()}"`,
    lastModified: new Date(thisUpdate * 1000).toUTCString(),
    expires: new Date(nextUpdate * 1000).toUTCString(),
    nextUpdateSeconds: nextUpdate,
    latin1: latin1Of(der),
  }
}

/** Octets as characters, one for each. */
export function latin1Of(octets: Uint8Array): string {
  const bytes = Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
  return bytes.toString('latin1')
}

export function errorAnswer(status: OcspErrorStatus): Answer {
  return ERRORS[status]
}

const error = (status: OcspErrorStatus): Answer => ({
  der: encodeOcspError(status),
  outcome: status,
  caching: undefined,
})

const ERRORS = {
  malformedRequest: error('malformedRequest'),
  internalError: error('internalError'),
  tryLater: error('tryLater'),
  sigRequired: error('sigRequired'),
  unauthorized: error('unauthorized'),
} as const satisfies Record<OcspErrorStatus, Answer>
