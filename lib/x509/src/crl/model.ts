import type { AnyAlgorithm } from '../certificate.ts'
import type { AuthorityKeyId, DistributionPoint, DistributionPointName, RawExtension } from '../extension/model.ts'
import type { GeneralName } from '../general-name.ts'
import type { Name } from '../name.ts'
import type { RevocationReason } from '../revocation-reason.ts'

/** What a CRL covers (RFC 5280 §5.2.5). At most one of the three `only…Certs` is true. */
export interface IssuingDistributionPoint extends DistributionPointName {
  readonly onlyContainsUserCerts: boolean
  readonly onlyContainsCaCerts: boolean
  readonly onlyContainsAttributeCerts: boolean
  readonly indirectCrl: boolean
  /** Bit numbers of ReasonFlags; absent for all reasons. */
  readonly onlySomeReasons?: readonly number[]
}

export interface CrlExtensions {
  readonly authorityKeyId: AuthorityKeyId
  readonly crlNumber: bigint
  /** The deltaCRLIndicator: there on a delta CRL only. */
  readonly baseCrlNumber?: bigint
  readonly issuingDistributionPoint?: IssuingDistributionPoint
  readonly freshestCrl?: readonly DistributionPoint[]
  readonly all: readonly RawExtension[]
}

export interface RevokedCertificate {
  /** As in `TbsCertificate`. */
  readonly serialHex: string
  readonly revocationDate: Date
  /** Absent where none is stated, which means unspecified. */
  readonly reason?: RevocationReason
  readonly invalidityDate?: Date
  /** Of an indirect CRL: names of the certificate's issuer, from this entry or the nearest before it that states them. */
  readonly certificateIssuer?: readonly GeneralName[]
}

/** A CertificateList as it was decoded. Nothing about it is verified. */
export interface CertificateList {
  readonly der: Uint8Array
  readonly tbsDer: Uint8Array
  readonly signatureAlgorithm: AnyAlgorithm
  readonly signature: Uint8Array
  readonly issuer: Name
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  readonly revoked: readonly RevokedCertificate[]
  readonly extensions: CrlExtensions
}
