import { hash } from 'node:crypto'
import type { SignatureAlgorithmName } from '../algorithm.ts'
import { encodeAlgorithm } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { oid } from '../der/oid.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { encodeGeneralizedTime } from '../der/time.ts'
import type { Der } from '../der/writer.ts'
import { constructed, encodeDer, integer, octetString, primitive, sequence } from '../der/writer.ts'
import { encodeExtension } from '../extension/encode.ts'
import { OID } from '../oid.ts'
import { REVOCATION_REASONS } from '../revocation-reason.ts'
import { encodeNonce } from './message-extension.ts'
import type { OcspErrorStatus, OcspStatus } from './status.ts'
import { OCSP_RESPONSE_STATUSES } from './status.ts'

/** The parts of every answer that one responder certificate decides. Made once per certificate by `ocspResponder`. */
export interface OcspResponder {
  readonly algorithm: SignatureAlgorithmName
  readonly responderIdDer: Uint8Array
  readonly certificatesDer: Uint8Array
}

/** One certificate's part of an answer. */
export interface OcspSingle {
  /** As it stands in the request: some clients compare octets. */
  readonly certIdDer: Uint8Array
  readonly status: OcspStatus
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  /** How far back the responder keeps what has expired (RFC 6960 §4.4.4). */
  readonly archiveCutoff?: Date | undefined
}

export interface OcspResponseFields {
  readonly producedAt: Date
  readonly singles: readonly OcspSingle[]
  readonly nonce?: Uint8Array | undefined
}

/**
 * What answers of a delegated responder have in common: it is named by its key, since names can be written in more than one
 * way, and its certificate goes along.
 */
export function ocspResponder(certificate: Certificate, algorithm: SignatureAlgorithmName): OcspResponder {
  // "KeyHash ::= OCTET STRING -- SHA-1 hash of responder's public key (excluding the tag and length fields)":
  // RFC 6960 §4.2.1
  const keyHash = octetString(new Uint8Array(hash('sha1', certificate.publicKey.keyBits, 'buffer')))
  return {
    algorithm,
    responderIdDer: encodeDer(constructed(contextConstructed(2), keyHash)),
    certificatesDer: encodeDer(constructed(contextConstructed(0), sequence(certificate.der))),
  }
}

/**
 * The ResponseData to be signed. All instants are whole seconds. Holds to **no** rule of what may be said for how long: that
 * is the responder's.
 */
export function encodeOcspResponseData(responder: OcspResponder, fields: OcspResponseFields): Uint8Array {
  const { producedAt, singles, nonce } = fields
  return encodeDer(
    sequence(
      responder.responderIdDer,
      encodeGeneralizedTime(producedAt),
      sequence(...singles.map(encodeSingle)),
      nonce === undefined ? undefined : constructed(contextConstructed(1), sequence(encodeNonce(nonce))),
    ),
  )
}

/** The OCSPResponse around signed ResponseData. Verifies nothing. */
export function assembleOcspResponse(
  responder: OcspResponder,
  responseDataDer: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const algorithm = encodeAlgorithm(responder.algorithm)
  const signatureBits = constructed(TAG.bitString, NO_UNUSED_BITS, signature)
  const basic = sequence(responseDataDer, algorithm, signatureBits, responder.certificatesDer)
  const bytes = sequence(OCSP_BASIC, constructed(TAG.octetString, basic))
  return encodeDer(sequence(SUCCESSFUL, constructed(contextConstructed(0), bytes)))
}

/** An answer without content: status alone, never signed. */
export function encodeOcspError(status: OcspErrorStatus): Uint8Array {
  return encodeDer(sequence(integer(OCSP_RESPONSE_STATUSES[status], TAG.enumerated)))
}

function encodeSingle(single: OcspSingle): Der {
  return sequence(
    single.certIdDer,
    encodeStatus(single.status),
    encodeGeneralizedTime(single.thisUpdate),
    constructed(contextConstructed(0), encodeGeneralizedTime(single.nextUpdate)),
    encodeSingleExtensions(single),
  )
}

function encodeStatus(status: OcspStatus): Der {
  if (status.status === 'good') return GOOD
  if (status.status === 'unknown') return UNKNOWN
  const at = encodeGeneralizedTime(status.at)
  // "the reasonCode extension SHOULD be absent instead of using the unspecified (0) reasonCode value": RFC 5280 §5.3.1
  if (status.reason === 'unspecified') return constructed(contextConstructed(1), at)
  const reason = integer(REVOCATION_REASONS[status.reason], TAG.enumerated)
  return constructed(contextConstructed(1), at, constructed(contextConstructed(0), reason))
}

function encodeSingleExtensions({ status, archiveCutoff }: OcspSingle): Der | undefined {
  const invalidityDate = status.status === 'revoked' ? status.invalidityDate : undefined
  if (invalidityDate === undefined && archiveCutoff === undefined) return undefined
  const dates = sequence(
    dateExtension(OID.ocspArchiveCutoff, archiveCutoff),
    // "All the extensions specified as CRL entry extensions … are also supported as singleExtensions": RFC 6960 §4.4.5
    dateExtension(OID.invalidityDate, invalidityDate),
  )
  return constructed(contextConstructed(1), dates)
}

function dateExtension(extensionOid: string, date: Date | undefined): Der | undefined {
  return date === undefined ? undefined : encodeExtension(extensionOid, false, encodeGeneralizedTime(date))
}

const SUCCESSFUL = integer(OCSP_RESPONSE_STATUSES.successful, TAG.enumerated)
const NO_UNUSED_BITS = new Uint8Array([0])
const OCSP_BASIC = oid(OID.ocspBasic)
const GOOD = primitive(contextPrimitive(0), new Uint8Array())
const UNKNOWN = primitive(contextPrimitive(2), new Uint8Array())
