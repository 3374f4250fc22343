import type { DerReader } from '../der/reader.ts'
import { expectEnd, readConstructed, readOctetString, viewDer } from '../der/reader.ts'
import { contextConstructed } from '../der/tag.ts'
import { octetString } from '../der/writer.ts'
import { X509Error } from '../errors.ts'
import { readRawExtensions } from '../extension/decode.ts'
import { encodeExtension } from '../extension/encode.ts'
import type { RawExtension } from '../extension/model.ts'
import { OID } from '../oid.ts'

const MAX_NONCE_OCTETS = 128

/**
 * Extensions of a request, a response or a part of one, under an explicit tag.
 *
 * @param processed OIDs that may be critical here.
 * @throws {X509Error} `ocsp_extension_critical`, `extension_duplicate`, der_* codes.
 */
export function readMessageExtensions(
  reader: DerReader,
  tag: number,
  processed: ReadonlySet<string>,
): readonly RawExtension[] {
  const tagged = readConstructed(reader, contextConstructed(tag))
  const extensions = readRawExtensions(tagged)
  expectEnd(tagged)
  // "Unrecognized extensions MUST be ignored (unless they have the critical flag set and are not understood)":
  // RFC 6960 §4.4
  const unknown = extensions.find(({ oid, critical }) => critical && !processed.has(oid))
  if (unknown !== undefined) {
    throw new X509Error('ocsp_extension_critical', `extension ${unknown.oid} is critical and not understood`)
  }
  return extensions
}

/** The nonce among these extensions. @throws {X509Error} `ocsp_nonce_invalid`. */
export function nonceOf(extensions: readonly RawExtension[]): Uint8Array | undefined {
  const extension = extensions.find(({ oid }) => oid === OID.ocspNonce)
  if (extension === undefined) return undefined
  const value = viewDer(extension.valueDer)
  const nonce = readOctetString(value)
  expectEnd(value)
  // "MUST reject any OCSP request that has a nonce … with a length of either 0 octets or greater than 128 octets":
  // RFC 9654 §2.1
  if (nonce.length === 0 || nonce.length > MAX_NONCE_OCTETS) {
    throw new X509Error('ocsp_nonce_invalid', `a nonce has ${nonce.length} octets, not 1 to ${MAX_NONCE_OCTETS}`)
  }
  return nonce
}

/** The nonce extension: an OCTET STRING inside the one every extension has. @throws {TypeError} for a wrong length. */
export function encodeNonce(nonce: Uint8Array): Uint8Array {
  if (nonce.length === 0 || nonce.length > MAX_NONCE_OCTETS) {
    throw new TypeError(`encodeNonce: 1 to ${MAX_NONCE_OCTETS} octets`)
  }
  return encodeExtension(OID.ocspNonce, false, octetString(nonce))
}
