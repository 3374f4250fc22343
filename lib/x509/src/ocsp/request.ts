import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  openDer,
  peekTag,
  readBitStringOctets,
  readConstructed,
  readEach,
  readRaw,
  readSequence,
  readSmallInteger,
  withRaw,
} from '../der/reader.ts'
import { contextConstructed } from '../der/tag.ts'
import { constructed, encodeDer, sequence } from '../der/writer.ts'
import { X509Error } from '../errors.ts'
import type { RawExtension } from '../extension/model.ts'
import { OID } from '../oid.ts'
import type { CertId } from './cert-id.ts'
import { readCertId } from './cert-id.ts'
import { encodeNonce, nonceOf, readMessageExtensions } from './message-extension.ts'

/** Largest request that is read, in octets. */
export const MAX_OCSP_REQUEST_OCTETS = 10_000
/** Most certificates that one request may ask about. */
export const MAX_OCSP_CERT_IDS = 16

/** What a client asks. Nothing about the client is verified: see `verifyOcspRequestor`. */
export interface OcspRequest {
  readonly certIds: readonly [CertId, ...CertId[]]
  /** 1 to 128 octets, to be repeated in the answer. */
  readonly nonce: Uint8Array | undefined
  readonly signature: OcspRequestSignature | undefined
}

/** A signature as it came, read for its form alone. */
export interface OcspRequestSignature {
  /** What is signed. */
  readonly tbsDer: Uint8Array
  readonly algorithmDer: Uint8Array
  readonly octets: Uint8Array
  readonly certificatesDer: readonly Uint8Array[]
}

/**
 * Decodes one OCSPRequest of at most 10 000 octets and 16 CertIDs, strictly as DER.
 *
 * A signature is read for its form, and the requestor's name not at all. Extensions that are not critical are ignored.
 *
 * @throws {X509Error} `ocsp_request_version`, `ocsp_request_too_many`, `ocsp_cert_id_invalid`, `ocsp_nonce_invalid`,
 *   `ocsp_extension_critical`, `extension_duplicate`, der_* codes. All of them are `malformedRequest` to a client.
 *
 * Source: RFC 6960 §4.1.1, §4.1.2; RFC 9654 §2.1.
 */
export function decodeOcspRequest(der: Uint8Array): OcspRequest {
  const outer = openDer(der, MAX_OCSP_REQUEST_OCTETS)
  const request = readSequence(outer)
  const { value, raw: tbsDer } = withRaw(request, readTbs)
  const signature = atEnd(request) ? undefined : readOptionalSignature(request, tbsDer)
  expectEnd(request)
  expectEnd(outer)
  return { ...value, signature }
}

/**
 * An unsigned OCSPRequest about these CertIDs (see `encodeCertId`). Without nonce it may be answered from a cache; a nonce
 * is the caller's to draw, and SHOULD have 32 octets (RFC 9654 §2.1).
 *
 * @throws {TypeError} for more CertIDs, or another length of nonce, than a responder takes.
 */
export function encodeOcspRequest(certIdsDer: readonly Uint8Array[], nonce?: Uint8Array): Uint8Array {
  if (certIdsDer.length === 0 || certIdsDer.length > MAX_OCSP_CERT_IDS) {
    throw new TypeError(`encodeOcspRequest: 1 to ${MAX_OCSP_CERT_IDS} CertIDs`)
  }
  const list = sequence(...certIdsDer.map((certIdDer) => sequence(certIdDer)))
  const extensions = nonce === undefined ? undefined : constructed(contextConstructed(2), sequence(encodeNonce(nonce)))
  return encodeDer(sequence(sequence(list, extensions)))
}

function readTbs(reader: DerReader): Pick<OcspRequest, 'certIds' | 'nonce'> {
  const tbs = readSequence(reader)
  readVersion(tbs)
  if (peekTag(tbs) === contextConstructed(1)) readRaw(tbs) // requestorName
  const [first, ...others] = readRequestList(tbs)
  if (first === undefined) throw new X509Error('der_empty', 'the request asks about nothing')
  const extensions = readTaggedExtensions(tbs, 2)
  expectEnd(tbs)
  return { certIds: [first, ...others], nonce: nonceOf(extensions) }
}

function readVersion(tbs: DerReader): void {
  if (peekTag(tbs) !== contextConstructed(0)) return
  const tagged = readConstructed(tbs, contextConstructed(0))
  const version = readSmallInteger(tagged, 255)
  expectEnd(tagged)
  // Version 1 is the default and must be absent (X.690 §11.5); there is no other: RFC 6960 §4.1.1
  throw version === 0
    ? new X509Error('der_default_explicit', 'version 1 is written where it is the default')
    : new X509Error('ocsp_request_version', 'the request is not of version 1')
}

function readRequestList(tbs: DerReader): CertId[] {
  let count = 0
  return readEach(readSequence(tbs), (list) => {
    count += 1
    if (count > MAX_OCSP_CERT_IDS) {
      throw new X509Error('ocsp_request_too_many', `the request has more than ${MAX_OCSP_CERT_IDS} CertIDs`)
    }
    const single = readSequence(list)
    const certId = readCertId(single)
    readTaggedExtensions(single, 0)
    expectEnd(single)
    return certId
  })
}

function readTaggedExtensions(reader: DerReader, tag: number): readonly RawExtension[] {
  return peekTag(reader) === contextConstructed(tag) ? readMessageExtensions(reader, tag, PROCESSED) : []
}

/** optionalSignature: SEQUENCE of algorithm, BIT STRING and, mostly, certificates. */
function readOptionalSignature(request: DerReader, tbsDer: Uint8Array): OcspRequestSignature {
  const tagged = readConstructed(request, contextConstructed(0))
  const signature = readSequence(tagged)
  const { raw: algorithmDer } = withRaw(signature, readSequence)
  const octets = readBitStringOctets(signature)
  const certificatesDer = peekTag(signature) === contextConstructed(0) ? readCertificates(signature) : []
  expectEnd(signature)
  expectEnd(tagged)
  return { tbsDer, algorithmDer, octets, certificatesDer }
}

function readCertificates(signature: DerReader): Uint8Array[] {
  const tagged = readConstructed(signature, contextConstructed(0))
  const certificates = readEach(readSequence(tagged), (list) => withRaw(list, readSequence).raw)
  expectEnd(tagged)
  return certificates
}

/**
 * Extensions that may be critical. Every client takes `id-pkix-ocsp-basic` (RFC 6960 §4.4.3), which is all we answer, and
 * there is one key to sign with, so response types and preferred algorithms change nothing.
 */
const PROCESSED: ReadonlySet<string> = new Set([OID.ocspNonce, OID.ocspResponseTypes, OID.ocspPreferredAlgorithms])
