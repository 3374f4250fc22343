import { verifySignature } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import { sameName } from '../name.ts'
import { isCertIdOf } from './cert-id.ts'
import type { BasicOcspResponse, SingleOcspResponse } from './decode-response.ts'
import { decodeOcspResponse } from './decode-response.ts'
import { authorizedResponder } from './responder-authority.ts'
import type { OcspStatus } from './status.ts'

export interface OcspVerifyOptions {
  /** What was asked about. */
  readonly certificate: Pick<Certificate, 'serialHex' | 'issuer'>
  /** Its issuer, as it stands in a verified path. */
  readonly issuer: Certificate
  /** Instant to judge all times by, in whole seconds, ends inclusive. */
  readonly at: Date
  /** Tolerance for clocks that go wrong, at most a day; 0 when absent. Never prolongs an answer past its nextUpdate. */
  readonly skewSeconds?: number
  /** What the request said; a response to a request without nonce may have any. */
  readonly nonce?: Uint8Array
}

declare const verified: unique symbol

/** An answer about one certificate that its issuer, or the responder it named, signed and that is in force. Minted only
 * here. */
export type VerifiedOcspResponse = {
  readonly status: OcspStatus
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  readonly producedAt: Date
  /** Whose key signed. */
  readonly responder: Certificate
} & { readonly [verified]: true }

/**
 * Verifies one OCSPResponse about one certificate: exactly one part is about it, the responder has the authority to say so,
 * the signature is its, and the answer is in force at `at`.
 *
 * `revoked` and `unknown` are answers like `good`: what they mean for a connection is the caller's. Does **not** verify the
 * issuer. Bounded to 32 KiB, 64 parts, four certificates and five signature checks.
 *
 * @returns The answer as a proof value.
 * @throws {X509Error} `ocsp_response_error` when the responder says that it does not answer; ocsp_* for everything that is
 *   wrong with an answer; what `decodeOcspResponse` and `decodeCertificate` throw.
 * @throws {TypeError} when `issuer` is not the issuer of `certificate`.
 *
 * Source: RFC 6960 §3.2, §4.2.2; RFC 9919 §5; RFC 9654 §2.1.
 */
export function verifyOcspResponse(der: Uint8Array, options: OcspVerifyOptions): VerifiedOcspResponse {
  const { certificate, issuer, at, skewSeconds = 0, nonce } = options
  if (!sameName(certificate.issuer, issuer.subject)) throw new TypeError('verifyOcspResponse: that is not the issuer')
  if (!(skewSeconds >= 0 && skewSeconds <= 86_400))
    throw new TypeError('verifyOcspResponse: the tolerance is at most a day')
  if (Number.isNaN(at.getTime())) throw new TypeError('verifyOcspResponse: `at` is not an instant')
  const response = decodeOcspResponse(der)
  if (response.status !== 'successful') {
    throw new X509Error('ocsp_response_error', `the responder answers ${response.status}`)
  }
  const single = singleAbout(response, options)
  const responder = authorizedResponder(response, { issuer, at, skewSeconds })
  const { signatureAlgorithm, responseDataDer, signature, producedAt } = response
  if (!verifySignature(signatureAlgorithm, responder.publicKey, responseDataDer, signature)) {
    throw new X509Error('ocsp_signature_invalid', 'the answer is not signed by the responder it names')
  }
  const nextUpdate = checkTimes(single, producedAt, at, skewSeconds)
  if (nonce !== undefined) checkNonce(response, nonce)
  const { status, thisUpdate } = single
  return Object.freeze({ status, thisUpdate, nextUpdate, producedAt, responder }) as VerifiedOcspResponse
}

/** "The certificate identified in a received response corresponds to the certificate that was identified in the
 * corresponding request": RFC 6960 §3.2 (1). Two parts about it would leave the choice to whoever reads them. */
function singleAbout({ singles }: BasicOcspResponse, { certificate, issuer }: OcspVerifyOptions): SingleOcspResponse {
  const [single, second] = singles.filter(
    ({ certId }) => certId.serialHex === certificate.serialHex && isCertIdOf(certId, issuer),
  )
  if (single === undefined) throw new X509Error('ocsp_cert_id_mismatch', 'the answer is about another certificate')
  if (second !== undefined)
    throw new X509Error('ocsp_response_ambiguous', 'the answer says two things of the certificate')
  return single
}

function checkTimes(single: SingleOcspResponse, producedAt: Date, at: Date, skewSeconds: number): Date {
  const { thisUpdate, nextUpdate } = single
  // "Clients MUST check for the existence of the nextUpdate field": RFC 9919 §5. Without it an answer never ends.
  if (nextUpdate === undefined) throw new X509Error('ocsp_next_update_missing', 'the answer does not say when it ends')
  if (nextUpdate < thisUpdate || producedAt < thisUpdate) {
    throw new X509Error('ocsp_times_inconsistent', 'the answer ends, or was made, before the instant it is about')
  }
  const now = Math.floor(at.getTime() / 1000)
  // "Responses whose thisUpdate time is later than the local system time SHOULD be considered unreliable": RFC 6960 §4.2.2.1
  if (thisUpdate.getTime() / 1000 > now + skewSeconds) {
    throw new X509Error('ocsp_not_yet_valid', `the answer is about ${thisUpdate.toISOString()}, which is to come`)
  }
  if (producedAt.getTime() / 1000 > now + skewSeconds) {
    throw new X509Error('ocsp_produced_at', `the answer was made at ${producedAt.toISOString()}, which is to come`)
  }
  // "Responses whose nextUpdate value is earlier than the local system time value SHOULD be considered unreliable": ibid.
  if (nextUpdate.getTime() / 1000 < now) {
    throw new X509Error('ocsp_response_stale', `the answer ended at ${nextUpdate.toISOString()}`)
  }
  return nextUpdate
}

function checkNonce(response: BasicOcspResponse, nonce: Uint8Array): void {
  if (response.nonce === undefined) throw new X509Error('ocsp_nonce_missing', 'the answer does not repeat the nonce')
  if (!sameBytes(response.nonce, nonce)) throw new X509Error('ocsp_nonce_mismatch', 'the answer repeats another nonce')
}
