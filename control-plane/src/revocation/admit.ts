import type { CertificateRow } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { denialsUnder, isKeyBlocked, standingDenial } from './store.ts'

/** What would be certified. */
export interface Certified {
  readonly spkiSha256Hex: string
  readonly uris: readonly string[]
  /** SHA-256 of the SPKI of who would sign; undefined where a denial of the issuer is no reason. */
  readonly issuerSpkiSha256Hex: string | undefined
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
  for (const identity of uris.length === 0 ? [''] : uris) {
    const denial = yield* standingDenial({ spki: spkiSha256Hex, issuer: issuerSpkiSha256Hex ?? '', identity })
    if (denial !== undefined) throw denied(WORDS[denial.kind] ?? denial.value)
  }
}

/**
 * That a certificate which somebody proves to hold is not shut out itself: by its key, serial, identity or issuer. Else
 * whoever is denied would get a new one that is not.
 *
 * @throws {DomainError} `key_blocked`, `identity_denied`
 */
export function* assertNotDenied(row: PresentedRow): Unit<void> {
  if (yield* isDenied(row)) throw denied('the certificate that was presented')
  if (yield* isKeyBlocked(row.spki_sha256)) throw new DomainError('key_blocked', 'this key is known to be compromised')
}

/** Whether a standing denial shuts out this certificate. */
export function* isDenied(row: PresentedRow): Unit<boolean> {
  if (yield* standingDenial({ spki: row.spki_sha256, issuer: '', identity: row.uri ?? '' })) return true
  for (const { kind, value, issuer } of yield* denialsUnder(row.issuing_ca_id)) {
    if (kind === 'issuer' ? value.startsWith(row.issuing_ca_id) : value === row.serial_number && issuer !== null)
      return true
  }
  return false
}

export type PresentedRow = Pick<CertificateRow, 'issuing_ca_id' | 'serial_number' | 'spki_sha256' | 'uri'>

function denied(what: string): DomainError {
  return new DomainError('identity_denied', `${what} is shut out of the mesh`, {
    hint: 'an operator decided so; vcc-pki denials list shows by which denial',
  })
}

/** An identity is named by itself. */
const WORDS: Readonly<Record<string, string>> = { spki: 'this key', issuer: 'the issuer of this certificate' }
