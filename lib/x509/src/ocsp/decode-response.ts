import type { SignatureAlgorithmName } from '../algorithm.ts'
import { readAlgorithm } from '../algorithm.ts'
import { readOid } from '../der/oid.ts'
import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  openDer,
  peekTag,
  readBitStringOctets,
  readConstructed,
  readEach,
  readOctetString,
  readPrimitive,
  readRaw,
  readSequence,
  readSmallInteger,
  viewDer,
  withRaw,
} from '../der/reader.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { readGeneralizedTime } from '../der/time.ts'
import { X509Error } from '../errors.ts'
import type { RawExtension } from '../extension/model.ts'
import type { Name } from '../name.ts'
import { readName } from '../name.ts'
import { OID } from '../oid.ts'
import { revocationReasonOf } from '../revocation-reason.ts'
import type { CertId } from './cert-id.ts'
import { readCertId } from './cert-id.ts'
import { nonceOf, readMessageExtensions } from './message-extension.ts'
import type { OcspErrorStatus, OcspRevoked, OcspStatus } from './status.ts'
import { OCSP_RESPONSE_STATUSES } from './status.ts'

/** Largest response that is read, in octets. */
const MAX_OCSP_RESPONSE_OCTETS = 32_768

const MAX_SINGLES = 64
const MAX_CERTIFICATES = 4

/** An answer as it was decoded. Nothing about it is verified: see `verifyOcspResponse`. */
export type OcspResponse = BasicOcspResponse | { readonly status: OcspErrorStatus }

export interface BasicOcspResponse {
  readonly status: 'successful'
  /** What is signed. */
  readonly responseDataDer: Uint8Array
  readonly responder: ResponderId
  readonly producedAt: Date
  readonly singles: readonly [SingleOcspResponse, ...SingleOcspResponse[]]
  readonly nonce: Uint8Array | undefined
  readonly signatureAlgorithm: SignatureAlgorithmName
  readonly signature: Uint8Array
  /** At most four, not looked into. */
  readonly certificatesDer: readonly Uint8Array[]
}

export type ResponderId =
  | { readonly by: 'name'; readonly name: Name }
  /** SHA-1 over the content of the key's BIT STRING. */
  | { readonly by: 'key'; readonly keyHash: Uint8Array }

export interface SingleOcspResponse {
  readonly certId: CertId
  readonly status: OcspStatus
  readonly thisUpdate: Date
  readonly nextUpdate: Date | undefined
  readonly archiveCutoff: Date | undefined
}

/**
 * Decodes one OCSPResponse of at most 32 KiB, 64 certificates asked about and four sent along, strictly as DER.
 *
 * @throws {X509Error} `ocsp_response_status`, `ocsp_response_type`, `ocsp_response_version`, `ocsp_response_too_many`,
 *   `ocsp_status_invalid`, `ocsp_cert_id_invalid`, `ocsp_nonce_invalid`, `ocsp_extension_critical`, `extension_duplicate`,
 *   `algorithm_unsupported`, der_* codes.
 *
 * Source: RFC 6960 §4.2.1.
 */
export function decodeOcspResponse(der: Uint8Array): OcspResponse {
  const outer = openDer(der, MAX_OCSP_RESPONSE_OCTETS)
  const response = readSequence(outer)
  const status = readResponseStatus(response)
  if (status === 'successful' && atEnd(response)) {
    throw new X509Error('ocsp_response_type', 'the response is successful and empty')
  }
  const decoded = status === 'successful' ? readResponseBytes(response) : { status }
  expectEnd(response)
  expectEnd(outer)
  return decoded
}

function readResponseStatus(response: DerReader): OcspErrorStatus | 'successful' {
  const code = readSmallInteger(response, 255, TAG.enumerated)
  const status = STATUS_BY_CODE.get(code)
  if (status === undefined) throw new X509Error('ocsp_response_status', `the response has the unknown status ${code}`)
  return status
}

function readResponseBytes(response: DerReader): BasicOcspResponse {
  const tagged = readConstructed(response, contextConstructed(0))
  const bytes = readSequence(tagged)
  const type = readOid(bytes)
  if (type !== OID.ocspBasic) throw new X509Error('ocsp_response_type', `the response is of type ${type}, not basic`)
  const basic = viewDer(readOctetString(bytes))
  expectEnd(bytes)
  expectEnd(tagged)
  const decoded = readBasic(readSequence(basic))
  expectEnd(basic)
  return decoded
}

function readBasic(basic: DerReader): BasicOcspResponse {
  const { value: data, raw: responseDataDer } = withRaw(basic, readResponseData)
  const signatureAlgorithm = readAlgorithm(basic)
  const signature = readBitStringOctets(basic)
  const certificatesDer = peekTag(basic) === contextConstructed(0) ? readCertificates(basic) : []
  expectEnd(basic)
  return { status: 'successful', responseDataDer, ...data, signatureAlgorithm, signature, certificatesDer }
}

function readResponseData(reader: DerReader) {
  const data = readSequence(reader)
  readVersion(data)
  const responder = readResponderId(data)
  const producedAt = readGeneralizedTime(data)
  const [first, ...others] = readAtMost(MAX_SINGLES, data, readSingle)
  if (first === undefined) throw new X509Error('der_empty', 'the response is about nothing')
  const extensions = atEnd(data) ? [] : readMessageExtensions(data, 1, PROCESSED)
  expectEnd(data)
  const singles: BasicOcspResponse['singles'] = [first, ...others]
  return { responder, producedAt, singles, nonce: nonceOf(extensions) }
}

function readVersion(data: DerReader): void {
  if (peekTag(data) !== contextConstructed(0)) return
  const version = readSmallInteger(readConstructed(data, contextConstructed(0)), 255)
  // Version 1 is the default and must be absent (X.690 §11.5); there is no other: RFC 6960 §4.2.1
  throw version === 0
    ? new X509Error('der_default_explicit', 'version 1 is written where it is the default')
    : new X509Error('ocsp_response_version', 'the response is not of version 1')
}

function readResponderId(data: DerReader): ResponderId {
  const isName = peekTag(data) === contextConstructed(1)
  const tagged = readConstructed(data, contextConstructed(isName ? 1 : 2))
  const responder: ResponderId = isName
    ? { by: 'name', name: readName(tagged) }
    : { by: 'key', keyHash: readOctetString(tagged) }
  expectEnd(tagged)
  return responder
}

function readSingle(list: DerReader): SingleOcspResponse {
  const single = readSequence(list)
  const certId = readCertId(single)
  const status = readStatus(single)
  const thisUpdate = readGeneralizedTime(single)
  const nextUpdate = peekTag(single) === contextConstructed(0) ? readTagged(single, 0, readGeneralizedTime) : undefined
  const extensions = atEnd(single) ? [] : readMessageExtensions(single, 1, PROCESSED)
  expectEnd(single)
  return {
    certId,
    status: withInvalidityDate(status, dateOf(extensions, OID.invalidityDate)),
    thisUpdate,
    nextUpdate,
    archiveCutoff: dateOf(extensions, OID.ocspArchiveCutoff),
  }
}

function readStatus(single: DerReader): OcspStatus {
  if (peekTag(single) === contextConstructed(1)) return readRevoked(single)
  const status = peekTag(single) === contextPrimitive(0) ? 'good' : 'unknown'
  const content = readPrimitive(single, contextPrimitive(status === 'good' ? 0 : 2))
  if (content.length !== 0) throw new X509Error('ocsp_status_invalid', `the status ${status} has content`)
  return { status }
}

function readRevoked(single: DerReader): OcspRevoked {
  const info = readConstructed(single, contextConstructed(1))
  const at = readGeneralizedTime(info)
  const code = atEnd(info) ? 0 : readTagged(info, 0, (reader) => readSmallInteger(reader, 255, TAG.enumerated))
  expectEnd(info)
  const reason = revocationReasonOf(code)
  if (reason === undefined) throw new X509Error('ocsp_status_invalid', `revoked for the unknown reason ${code}`)
  return { status: 'revoked', at, reason }
}

function withInvalidityDate(status: OcspStatus, invalidityDate: Date | undefined): OcspStatus {
  if (status.status !== 'revoked' || invalidityDate === undefined) return status
  return { ...status, invalidityDate }
}

function readCertificates(basic: DerReader): Uint8Array[] {
  return readTagged(basic, 0, (tagged) => readAtMost(MAX_CERTIFICATES, tagged, readRaw))
}

function readAtMost<T>(most: number, reader: DerReader, readOne: (reader: DerReader) => T): T[] {
  let count = 0
  return readEach(readSequence(reader), (items) => {
    count += 1
    if (count > most)
      throw new X509Error('ocsp_response_too_many', `a list of the response has more than ${most} elements`)
    return readOne(items)
  })
}

function readTagged<T>(reader: DerReader, tag: number, read: (reader: DerReader) => T): T {
  const tagged = readConstructed(reader, contextConstructed(tag))
  const value = read(tagged)
  expectEnd(tagged)
  return value
}

function dateOf(extensions: readonly RawExtension[], oid: string): Date | undefined {
  const extension = extensions.find((each) => each.oid === oid)
  if (extension === undefined) return undefined
  const value = viewDer(extension.valueDer)
  const date = readGeneralizedTime(value)
  expectEnd(value)
  return date
}

/** Extensions of a response, or of one part of it, that may be critical. */
const PROCESSED: ReadonlySet<string> = new Set([OID.ocspNonce, OID.ocspArchiveCutoff, OID.invalidityDate])

const STATUS_BY_CODE: ReadonlyMap<number, OcspErrorStatus | 'successful'> = new Map([
  [OCSP_RESPONSE_STATUSES.successful, 'successful'],
  [OCSP_RESPONSE_STATUSES.malformedRequest, 'malformedRequest'],
  [OCSP_RESPONSE_STATUSES.internalError, 'internalError'],
  [OCSP_RESPONSE_STATUSES.tryLater, 'tryLater'],
  [OCSP_RESPONSE_STATUSES.sigRequired, 'sigRequired'],
  [OCSP_RESPONSE_STATUSES.unauthorized, 'unauthorized'],
])
