import type { SignatureAlgorithmName } from '../algorithm.ts'
import { encodeAlgorithm } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { contextConstructed, TAG } from '../der/tag.ts'
import { encodeGeneralizedTime, encodeTime } from '../der/time.ts'
import type { Der } from '../der/writer.ts'
import { constructed, encodeDer, integer, sequence, sequenceOf } from '../der/writer.ts'
import {
  encodeAuthorityKeyId,
  encodeDistributionPointName,
  encodeDistributionPoints,
  encodeExtension,
} from '../extension/encode.ts'
import { OID } from '../oid.ts'
import type { RevocationReason } from '../revocation-reason.ts'
import { REVOCATION_REASONS } from '../revocation-reason.ts'

/** One revoked certificate. Instants are whole seconds. */
export interface CrlEntry {
  /** Big-endian magnitude, lower-case hex, an even number of digits. */
  readonly serialHex: string
  readonly revocationDate: Date
  readonly reason: RevocationReason
  readonly invalidityDate?: Date | undefined
}

/** The fields of a TBSCertList, version 2, of one scope: a CA, or one shard of it. */
export interface CrlFields {
  /** The CA that signs. Its subject, as it stands in the certificate, is the issuer. */
  readonly issuer: Certificate
  readonly algorithm: SignatureAlgorithmName
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  readonly number: number
  /** The URL that stands in the certificates of the scope: same octets here. Absent: all that the CA issued. */
  readonly distributionPoint: string | undefined
  /** Number of the complete CRL this one adds to: makes it a delta. */
  readonly baseNumber?: number | undefined
  /** Where the deltas to this complete CRL are. */
  readonly freshest?: string | undefined
  /** Entries of what expired since then are kept (X.509 §9.5.2.13). */
  readonly expiredSince?: Date | undefined
  /** In any order, each serial once. */
  readonly entries: readonly CrlEntry[]
}

/**
 * The TBSCertList to be signed. Says once what has one right form: no list at all where it would be empty, no reason
 * where there is none, criticality as RFC 5280 §5.2 wants it. Decides **nothing** about what belongs on it.
 *
 * Source: RFC 5280 §5.
 */
export function encodeTbsCrl(fields: CrlFields): Uint8Array {
  const { issuer, entries } = fields
  const keyId = issuer.extensions.subjectKeyId
  if (keyId === undefined) throw new TypeError('encodeTbsCrl: the issuer has no key identifier')
  if (fields.baseNumber !== undefined && fields.freshest !== undefined) {
    throw new TypeError('encodeTbsCrl: a delta names no further delta') // RFC 5280 §5.2.6
  }
  return encodeDer(
    sequence(
      integer(1),
      encodeAlgorithm(fields.algorithm),
      issuer.subject.der,
      encodeTime(fields.thisUpdate),
      encodeTime(fields.nextUpdate),
      // "When there are no revoked certificates, the revoked certificates list MUST be absent": RFC 5280 §5.1.2.6
      entries.length === 0 ? undefined : sequenceOf(entries.map(encodeEntry)),
      constructed(contextConstructed(0), sequence(...extensionsOf(fields, keyId))),
    ),
  )
}

function extensionsOf(fields: CrlFields, keyId: Uint8Array): readonly (Der | undefined)[] {
  const { number, baseNumber, distributionPoint, freshest, expiredSince } = fields
  return [
    encodeAuthorityKeyId(keyId),
    encodeExtension(OID.crlNumber, false, integer(number)),
    baseNumber === undefined ? undefined : encodeExtension(OID.deltaCrlIndicator, true, integer(baseNumber)),
    // The same in the complete CRL and its deltas, and critical: nobody may take one shard for another.
    distributionPoint === undefined
      ? undefined
      : encodeExtension(OID.issuingDistributionPoint, true, sequence(encodeDistributionPointName(distributionPoint))),
    freshest === undefined ? undefined : encodeDistributionPoints(OID.freshestCrl, freshest),
    expiredSince === undefined
      ? undefined
      : encodeExtension(OID.expiredCertsOnCrl, false, encodeGeneralizedTime(expiredSince)),
  ]
}

function encodeEntry({ serialHex, revocationDate, reason, invalidityDate }: CrlEntry): Uint8Array {
  const extensions = [
    // "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value": §5.3.1
    reason === 'unspecified'
      ? undefined
      : encodeExtension(OID.reasonCode, false, integer(REVOCATION_REASONS[reason], TAG.enumerated)),
    invalidityDate === undefined
      ? undefined
      : encodeExtension(OID.invalidityDate, false, encodeGeneralizedTime(invalidityDate)),
  ]
  return encodeDer(
    sequence(
      integer(Uint8Array.fromHex(serialHex)),
      encodeTime(revocationDate),
      extensions.every((one) => one === undefined) ? undefined : sequence(...extensions),
    ),
  )
}
