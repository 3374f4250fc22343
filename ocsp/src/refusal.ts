import type { OcspErrorStatus } from '@vcc/x509'

/** Why a request gets no status, and how OCSP says so (RFC 6960 §2.3, RFC 9919 §3.2.3). The map exists once. */
export const REFUSALS = {
  request_malformed: { answer: 'malformedRequest', meaning: 'not an OCSP request, or one beyond the bounds' },
  // "not capable of responding authoritatively": RFC 6960 §2.3
  signature_missing: { answer: 'sigRequired', meaning: 'the CA is asked about by signed requests only' },
  requestor_refused: { answer: 'unauthorized', meaning: 'the signature of the request is not that of one who may ask' },
  issuer_unknown: { answer: 'unauthorized', meaning: 'no CA that is served here has this name and key' },
  // One signature, one issuer: a delegated responder speaks for the CA that certified it.
  issuers_mixed: { answer: 'unauthorized', meaning: 'one request about certificates of several CAs' },
  never_issued: {
    answer: 'unauthorized',
    meaning: 'the CA never issued that, and its policy is not to sign `unknown`',
  },
  clock_wrong: {
    answer: 'tryLater',
    meaning: 'the clock is known to be wrong, or behind what was signed or known before',
  },
  source_outdated: { answer: 'tryLater', meaning: 'the source of statuses is past its validity, or too far behind' },
  responder_key_missing: { answer: 'tryLater', meaning: 'the CA has no responder key whose certificate is in force' },
  queue_full: { answer: 'tryLater', meaning: 'as many signatures are under way and waiting as there may be' },
  deadline_passed: { answer: 'tryLater', meaning: 'the signature did not come in time' },
  source_failed: { answer: 'internalError', meaning: 'the source of statuses failed' },
  signer_failed: { answer: 'internalError', meaning: 'the responder key could not be used' },
} as const satisfies Record<string, { answer: OcspErrorStatus; meaning: string }>

export type Refusal = keyof typeof REFUSALS

/** A request that gets an OCSP error instead of a status. `cause` is for the log: nothing of it reaches a client. */
export class OcspRefusal extends Error {
  override readonly name = 'OcspRefusal'
  readonly code: Refusal

  constructor(code: Refusal, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
