import type { Sender } from '@vcc/mesh'
import { isAuthorityRevoked } from '../authority/store.ts'
import { type CertificateRow, certificateByIssuerAndSerial } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { type InstanceRow, instanceById } from '../registry/instances-store.ts'

/** The certificate somebody proved to hold, by TLS or by an envelope's signature. A serial means nothing without its issuer. */
export interface Presented {
  readonly instance: string
  readonly issuingCaId: string
  readonly serialHex: string
  /** DER of the certificate. Whoever has a CA's key can make another one of the same serial. */
  readonly der: Uint8Array
}

/** `ca_id` is the first half of the SHA-256 of the CA's SPKI. */
export function presentedBy({ instance, issuerSpkiSha256, serialHex, certificate }: Sender): Presented {
  return { instance, issuingCaId: issuerSpkiSha256.slice(0, 32), serialHex, der: certificate.der }
}

/**
 * The instance of a certificate that we issued to it, octet for octet, and that is not revoked, nor its CA; an orphan is.
 * Whether it has expired, is the latest one, or is shut out by a denial, is not asked here.
 *
 * @throws {DomainError} `identity_unknown`, `identity_revoked`
 */
export function* admitPresented(
  presented: Presented,
): Unit<{ readonly instance: InstanceRow; readonly certificate: CertificateRow }> {
  const found = yield* admitNamed(presented)
  const { der } = found.certificate
  if (der === null || !Buffer.from(der).equals(presented.der)) {
    throw new DomainError('identity_unknown', 'this certificate is not the one that was issued under its serial')
  }
  return found
}

/** The same for a certificate that nobody presents: one that the registry names. */
export function* admitNamed(
  presented: Omit<Presented, 'der'>,
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
  if (certificate.revoked_at !== null || (yield* isAuthorityRevoked(certificate.issuing_ca_id))) {
    throw new DomainError('identity_revoked', 'this certificate is revoked', {
      hint: 'join again with a new token: vcc-pki tokens create SERVICE',
    })
  }
  return { instance, certificate }
}
