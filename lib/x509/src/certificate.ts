import type { SignatureAlgorithmName } from './algorithm.ts'
import { readAlgorithm } from './algorithm.ts'
import type { DerReader } from './der/reader.ts'
import {
  atEnd,
  expectEnd,
  openDer,
  peekTag,
  readBitStringOctets,
  readConstructed,
  readInteger,
  readSequence,
  readSmallInteger,
  sameBytes,
  withRaw,
} from './der/reader.ts'
import { contextConstructed, contextPrimitive } from './der/tag.ts'
import { readTime } from './der/time.ts'
import { X509Error } from './errors.ts'
import { NO_EXTENSIONS, readExtensions } from './extension/decode.ts'
import type { Extensions } from './extension/model.ts'
import type { Name } from './name.ts'
import { readName } from './name.ts'
import type { PublicKey } from './public-key.ts'
import { readPublicKey } from './public-key.ts'

/** Largest certificate that is read, in octets. */
export const MAX_CERTIFICATE_OCTETS = 16_384

/** What a TBSCertificate says. `signatureAlgorithm` is the field inside it. */
export interface TbsCertificate {
  /** Lower-case hex of the magnitude: two digits per octet, no separators, no sign octet. */
  readonly serialHex: string
  readonly signatureAlgorithm: SignatureAlgorithmName
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: Date
  readonly notAfter: Date
  readonly publicKey: PublicKey
  readonly extensions: Extensions
  readonly isSelfIssued: boolean
}

/** A certificate as it was decoded. Nothing about it is verified: see `validateChain`. */
export interface Certificate extends TbsCertificate {
  readonly der: Uint8Array
  readonly tbsDer: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Decodes one X.509 version 3 certificate of at most 16 KiB, strictly as DER.
 *
 * Checks form and the key (see `decodePublicKey`). Does **not** verify the signature or judge the content.
 *
 * @throws {X509Error} certificate_*, extension_*, algorithm_*, key_* and der_* codes.
 *
 * Source: RFC 5280 §4.1.
 */
export function decodeCertificate(der: Uint8Array): Certificate {
  const outer = openDer(der, MAX_CERTIFICATE_OCTETS)
  const certificate = readSequence(outer)
  const { value: tbs, raw: tbsDer } = withRaw(certificate, readTbs)
  const algorithm = readAlgorithm(certificate)
  const signature = readBitStringOctets(certificate)
  expectEnd(certificate)
  expectEnd(outer)
  // "This field MUST contain the same algorithm identifier as the signature field in the sequence tbsCertificate":
  // RFC 5280 §4.1.1.2
  if (algorithm !== tbs.signatureAlgorithm) {
    throw new X509Error('certificate_algorithm_mismatch', 'the certificate names two signature algorithms')
  }
  return { der: outer.bytes, tbsDer, signature, ...tbs }
}

/** Decodes a TBSCertificate alone, under the rules of `decodeCertificate`. */
export function decodeTbsCertificate(der: Uint8Array): TbsCertificate {
  const outer = openDer(der, MAX_CERTIFICATE_OCTETS)
  const tbs = readTbs(outer)
  expectEnd(outer)
  return tbs
}

function readTbs(reader: DerReader): TbsCertificate {
  const tbs = readSequence(reader)
  readVersion(tbs)
  const serialHex = readSerial(tbs)
  const signatureAlgorithm = readAlgorithm(tbs)
  const issuer = readName(tbs)
  // "The issuer field MUST contain a non-empty distinguished name (DN)": RFC 5280 §4.1.2.4
  if (issuer.rdns.length === 0) throw new X509Error('certificate_issuer_empty', 'the issuer name is empty')
  const validity = readSequence(tbs)
  const notBefore = readTime(validity)
  const notAfter = readTime(validity)
  expectEnd(validity)
  if (notAfter < notBefore) throw new X509Error('certificate_validity_inverted', 'notAfter is before notBefore')
  const subject = readName(tbs)
  const publicKey = readPublicKey(tbs)
  // "CAs conforming to this profile MUST NOT generate certificates with unique identifiers": RFC 5280 §4.1.2.8
  if (peekTag(tbs) === contextPrimitive(1) || peekTag(tbs) === contextPrimitive(2)) {
    throw new X509Error('certificate_unique_id', 'the certificate has a unique identifier')
  }
  const extensions = atEnd(tbs) ? NO_EXTENSIONS : readTaggedExtensions(tbs)
  expectEnd(tbs)
  const isSelfIssued = sameBytes(issuer.der, subject.der)
  return { serialHex, signatureAlgorithm, issuer, subject, notBefore, notAfter, publicKey, extensions, isSelfIssued }
}

function readVersion(tbs: DerReader): void {
  if (peekTag(tbs) !== contextConstructed(0)) throw new X509Error('certificate_version', 'the version is not 3')
  const tagged = readConstructed(tbs, contextConstructed(0))
  const version = readSmallInteger(tagged, 2)
  expectEnd(tagged)
  // Version 1 is the default and must be absent: X.690 §11.5
  if (version === 0) throw new X509Error('der_default_explicit', 'version 1 is written where it is the default')
  // "When extensions are used, as expected in this profile, version MUST be 3 (value is 2)": RFC 5280 §4.1.2.1
  if (version !== 2) throw new X509Error('certificate_version', 'the version is not 3')
}

function readSerial(tbs: DerReader): string {
  const content = readInteger(tbs)
  // "The serial number MUST be a positive integer": RFC 5280 §4.1.2.2
  if ((content[0] ?? 0x80) >= 0x80 || (content.length === 1 && content[0] === 0)) {
    throw new X509Error('certificate_serial', 'the serial number is not positive')
  }
  // "Conforming CAs MUST NOT use serialNumber values longer than 20 octets": RFC 5280 §4.1.2.2
  if (content.length > 20) throw new X509Error('certificate_serial', 'the serial number has more than 20 octets')
  return (content[0] === 0 ? content.subarray(1) : content).toHex()
}

function readTaggedExtensions(tbs: DerReader): Extensions {
  const tagged = readConstructed(tbs, contextConstructed(3))
  const extensions = readExtensions(tagged)
  expectEnd(tagged)
  return extensions
}
