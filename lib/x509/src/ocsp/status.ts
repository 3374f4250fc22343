import type { RevocationReason } from '../revocation-reason.ts'

/** What an answer says about one certificate (RFC 6960 §2.2). */
export type OcspStatus = OcspGood | OcspRevoked | OcspUnknown

/** Not revoked; a responder of ours says it of what was issued, and of nothing else. */
export interface OcspGood {
  readonly status: 'good'
}

export interface OcspRevoked {
  readonly status: 'revoked'
  readonly at: Date
  readonly reason: RevocationReason
  /** Since when the key is suspected, or the certificate otherwise wrong (RFC 5280 §5.3.2). */
  readonly invalidityDate?: Date
}

export interface OcspUnknown {
  readonly status: 'unknown'
}

/** OCSPResponseStatus (RFC 6960 §4.2.1); 4 is not used. */
export const OCSP_RESPONSE_STATUSES = {
  successful: 0,
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
} as const

export type OcspResponseStatus = keyof typeof OCSP_RESPONSE_STATUSES
/** Every status but `successful`: an answer of five octets, without signature. */
export type OcspErrorStatus = Exclude<OcspResponseStatus, 'successful'>
