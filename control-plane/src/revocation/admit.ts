import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { isKeyBlocked, isShutOut } from './store.ts'

/** What would be certified. */
export interface Certified {
  readonly spkiSha256Hex: string
  readonly uris: readonly string[]
  /** SHA-256 of the SPKI of who would sign. */
  readonly issuerSpkiSha256Hex: string
}

/**
 * That neither key, identity nor issuer is shut out; asked in the first and in the last commit of every issuance, so for
 * people, services and CAs, at enrolment and at renewal alike.
 *
 * @throws {DomainError} `key_blocked`, `identity_denied`
 */
export function* assertNotShutOut({ spkiSha256Hex, uris, issuerSpkiSha256Hex }: Certified): Unit<void> {
  if (yield* isKeyBlocked(spkiSha256Hex)) {
    throw new DomainError('key_blocked', 'this key is known to be compromised', { hint: 'make a new key pair' })
  }
  if (yield* isShutOut('spki', spkiSha256Hex)) throw denied('this key')
  if (yield* isShutOut('issuer', issuerSpkiSha256Hex)) throw denied('the issuer of this certificate')
  for (const uri of uris) if (yield* isShutOut('identity', uri)) throw denied(uri)
}

function denied(what: string): DomainError {
  return new DomainError('identity_denied', `${what} is shut out of the mesh`, {
    hint: 'an operator decided so; vcc-pki denials list shows by which denial',
  })
}
