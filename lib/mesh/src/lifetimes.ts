import { MeshError } from './errors.ts'
import { addSeconds, earliest, isoSeconds, wholeSeconds } from './instant.ts'
import type { JwsSigner } from './jws.ts'

export interface Lifetimes {
  /** How long the signed text may be taken, in seconds: minutes. */
  readonly acceptSeconds: number
  /** How long its content may be worked on, in seconds: the outage budget. */
  readonly enforceSeconds: number
}

export interface Term {
  readonly issuedAt: string
  readonly acceptUntil: string
  readonly enforceUntil: string
}

/**
 * The term of something signed now. Both ends are cut at the first notAfter in `x5c`: nothing is enforced on
 * the word of a certificate that has expired.
 *
 * @throws {MeshError} `state_signer_expired` when there is no time left at all
 */
export function termOf(now: Date, lifetimes: Lifetimes, signer: Pick<JwsSigner, 'notAfter'>): Term {
  const issuedAt = wholeSeconds(now)
  if (signer.notAfter === undefined || signer.notAfter < issuedAt) {
    throw new MeshError('state_signer_expired', 'the certificate of the state signer has expired')
  }
  const enforceUntil = earliest(addSeconds(issuedAt, lifetimes.enforceSeconds), signer.notAfter)
  const acceptUntil = earliest(addSeconds(issuedAt, lifetimes.acceptSeconds), enforceUntil)
  return {
    issuedAt: isoSeconds(issuedAt),
    acceptUntil: isoSeconds(acceptUntil),
    enforceUntil: isoSeconds(enforceUntil),
  }
}
