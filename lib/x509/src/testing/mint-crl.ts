import { encodeAlgorithm } from '../algorithm.ts'
import { oid } from '../der/oid.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { encodeGeneralizedTime, encodeTime } from '../der/time.ts'
import type { Der } from '../der/writer.ts'
import { constructed, encodeDer, integer, namedBits, primitive, sequence } from '../der/writer.ts'
import { encodeSigned } from '../encode-certificate.ts'
import { encodeAuthorityKeyId, encodeExtension } from '../extension/encode.ts'
import { encodeGeneralName, type GeneralName } from '../general-name.ts'
import type { Name } from '../name.ts'
import { OID } from '../oid.ts'
import { REVOCATION_REASONS, type RevocationReason } from '../revocation-reason.ts'
import { FROM, type Issuing, type TestKey, UNTIL } from './mint.ts'

export interface CrlEntrySpec {
  readonly serialHex: string
  readonly at?: Date
  readonly reason?: RevocationReason
  readonly invalidityDate?: Date
  readonly certificateIssuer?: readonly GeneralName[]
  readonly more?: readonly Uint8Array[]
}

export interface CrlSpec {
  readonly issuer: Issuing
  /** Signs instead of the issuer's key; the authority key identifier stays the issuer's. */
  readonly signer?: TestKey
  readonly number?: number
  readonly base?: number
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date
  readonly revoked?: readonly CrlEntrySpec[]
  /** A finished IssuingDistributionPoint. */
  readonly scope?: Der
  /** Replaces extensions by OID; `undefined` leaves one out. */
  readonly slots?: Readonly<Record<string, Uint8Array | undefined>>
}

/** Writes and signs whatever `spec` says. */
export function mintCrl(spec: CrlSpec): Uint8Array {
  const { issuer, revoked = [] } = spec
  const signer = spec.signer ?? issuer.key
  const extensions = {
    [OID.authorityKeyId]: encodeAuthorityKeyId(issuer.key.publicKey.subjectKeyId),
    [OID.crlNumber]: encodeExtension(OID.crlNumber, false, integer(spec.number ?? 10)),
    [OID.deltaCrlIndicator]:
      spec.base === undefined ? undefined : encodeExtension(OID.deltaCrlIndicator, true, integer(spec.base)),
    [OID.issuingDistributionPoint]: spec.scope && encodeExtension(OID.issuingDistributionPoint, true, spec.scope),
    ...spec.slots,
  }
  const tbsDer = encodeDer(
    sequence(
      integer(1),
      encodeAlgorithm(signer.algorithm),
      issuer.certificate.subject.der,
      encodeTime(spec.thisUpdate ?? FROM),
      encodeTime(spec.nextUpdate ?? UNTIL),
      revoked.length === 0 ? undefined : sequence(...revoked.map(encodeEntry)),
      constructed(contextConstructed(0), sequence(...Object.values(extensions))),
    ),
  )
  return encodeSigned(tbsDer, signer.algorithm, signer.signNow(tbsDer))
}

/** What `IssuingDistributionPoint` can say, in the order of RFC 5280 §5.2.5. */
export function crlScope(says: {
  readonly names?: readonly GeneralName[]
  readonly relativeName?: Der
  readonly only?: 'user' | 'ca' | 'attribute'
  readonly reasons?: readonly number[]
  readonly isIndirect?: boolean
}): Der {
  return sequence(
    pointName(says.names, says.relativeName),
    says.only === 'user' ? flag(1) : undefined,
    says.only === 'ca' ? flag(2) : undefined,
    says.reasons && namedBits(says.reasons, contextPrimitive(3)),
    says.isIndirect === true ? flag(4) : undefined,
    says.only === 'attribute' ? flag(5) : undefined,
  )
}

/** A certificate's cRLDistributionPoints with one point for each of `points`. */
export function distributionPoints(
  ...points: {
    readonly names?: readonly GeneralName[]
    readonly relativeName?: Der
    readonly reasons?: readonly number[]
    readonly crlIssuer?: Name
  }[]
): Uint8Array {
  const list = points.map(({ names, relativeName, reasons, crlIssuer }) =>
    sequence(
      pointName(names, relativeName),
      reasons && namedBits(reasons, contextPrimitive(1)),
      crlIssuer && constructed(contextConstructed(2), encodeGeneralName({ type: 'directory', name: crlIssuer })),
    ),
  )
  return encodeExtension(OID.crlDistributionPoints, false, sequence(...list))
}

function pointName(names: readonly GeneralName[] | undefined, relativeName: Der | undefined): Der | undefined {
  if (relativeName !== undefined)
    return constructed(contextConstructed(0), constructed(contextConstructed(1), relativeName))
  return (
    names && constructed(contextConstructed(0), constructed(contextConstructed(0), ...names.map(encodeGeneralName)))
  )
}

function flag(n: number): Uint8Array {
  return primitive(contextPrimitive(n), new Uint8Array([0xff]))
}

function encodeEntry(spec: CrlEntrySpec): Der {
  const { serialHex, at = FROM, reason, invalidityDate, certificateIssuer } = spec
  const extensions = [
    reason && encodeExtension(OID.reasonCode, false, integer(REVOCATION_REASONS[reason], TAG.enumerated)),
    invalidityDate && encodeExtension(OID.invalidityDate, false, encodeGeneralizedTime(invalidityDate)),
    certificateIssuer &&
      encodeExtension(OID.certificateIssuer, true, sequence(...certificateIssuer.map(encodeGeneralName))),
    ...(spec.more ?? []),
  ].filter((item) => item !== undefined)
  return sequence(
    integer(Uint8Array.fromHex(serialHex)),
    encodeTime(at),
    extensions.length === 0 ? undefined : sequence(...extensions),
  )
}

/** `CN=<text>` as a name relative to the issuer. */
export function relativeCn(text: string): Der {
  return sequence(oid(OID.commonName), primitive(TAG.utf8String, new TextEncoder().encode(text)))
}
