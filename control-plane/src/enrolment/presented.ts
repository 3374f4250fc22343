import type { Sender } from '@vcc/mesh'
import { type CertificateRow, certificateByIssuerAndSerial } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { type InstanceRow, instanceById } from '../registry/instances-store.ts'

/** The certificate somebody proved to hold, by TLS or by an envelope's signature. A serial means nothing without its issuer. */
export interface Presented {
  readonly instance: string
  readonly issuingCaId: string
  readonly serialHex: string
}

/** `ca_id` is the first half of the SHA-256 of the CA's SPKI. */
export function presentedBy({ instance, issuerSpkiSha256, serialHex }: Sender): Presented {
  return { instance, issuingCaId: issuerSpkiSha256.slice(0, 32), serialHex }
}

/**
 * The instance of a certificate that we issued to it and that is not revoked; an orphan is.
 * Whether it has expired, or is the latest one, is not asked here.
 *
 * @throws {DomainError} `identity_unknown`, `identity_revoked`
 */
export function* admitPresented(
  presented: Presented,
): Unit<{ readonly instance: InstanceRow; readonly certificate: CertificateRow }> {
  const instance = yield* instanceById(presented.instance)
  if (instance?.state !== 'active') {
    throw new DomainError('identity_unknown', 'this instance is not registered, or no longer', {
      hint: 'join again with a new token: vcc-pki tokens create SERVICE',
    })
  }
  const certificate = yield* certificateByIssuerAndSerial(presented.issuingCaId, presented.serialHex)
  if (certificate?.instance_id !== presented.instance) {
    throw new DomainError('identity_unknown', 'this certificate was not issued to this instance')
  }
  if (certificate.revoked_at !== null) {
    throw new DomainError('identity_revoked', 'this certificate is revoked', {
      hint: 'join again with a new token: vcc-pki tokens create SERVICE',
    })
  }
  return { instance, certificate }
}
