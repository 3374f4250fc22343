import type { SignatureAlgorithmName } from './algorithm.ts'
import { readAlgorithm } from './algorithm.ts'
import type { Departure, OnDeparture } from './departure.ts'
import { refuseDeparture } from './departure.ts'
import type { DerReader } from './der/reader.ts'
import {
  atEnd,
  expectEnd,
  openDer,
  peekTag,
  readBitStringOctets,
  readConstructed,
  readInteger,
  readRaw,
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
import type { ForeignAlgorithm, ForeignKeyKind } from './foreign-key.ts'
import { foreignAlgorithmOf, readForeignKey } from './foreign-key.ts'
import type { Name } from './name.ts'
import { readName, sameName } from './name.ts'
import { samePreparedName } from './name-comparison.ts'
import type { KeyKind, PublicKey } from './public-key.ts'
import { readPublicKey } from './public-key.ts'

/** Largest certificate that is read, in octets. */
export const MAX_CERTIFICATE_OCTETS = 16_384

/** Largest certificate of others that is read, in octets. */
const MAX_FOREIGN_OCTETS = 65_536

/** An algorithm that verifies, or one that never does; the latter may stand on a trust anchor, which needs no signature. */
export type AnyAlgorithm = ForeignAlgorithm | 'unsupported'

/** What a TBSCertificate says. `signatureAlgorithm` is the field inside it. */
export interface TbsCertificate<A = SignatureAlgorithmName, K = KeyKind> {
  /** Lower-case hex of the magnitude: two digits per octet, no separators, no sign octet. See `serialText`. */
  readonly serialHex: string
  readonly signatureAlgorithm: A
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: Date
  readonly notAfter: Date
  readonly publicKey: PublicKey<K>
  readonly extensions: Extensions
  readonly isSelfIssued: boolean
}

/** A certificate as it was decoded. Nothing about it is verified: see `validateChain`. */
export interface Certificate<A = SignatureAlgorithmName, K = KeyKind> extends TbsCertificate<A, K> {
  readonly der: Uint8Array
  readonly tbsDer: Uint8Array
  readonly signature: Uint8Array
}

/** A certificate that others issued. What it may depart from is said by a path profile: see `findPath`. */
export interface ForeignCertificate extends Certificate<AnyAlgorithm, ForeignKeyKind> {
  readonly departures: ReadonlySet<Departure>
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
  return readCertificate(openDer(der, MAX_CERTIFICATE_OCTETS), OURS)
}

/**
 * Decodes a certificate that others issued, of at most 64 KiB: DER as strictly, but keys as `decodeForeignKey`, signature
 * algorithms that cannot be verified, and departures from the profile of RFC 5280 §4.1 are taken down and not refused.
 *
 * @throws {X509Error} as `decodeCertificate` does.
 */
export function decodeForeignCertificate(der: Uint8Array): ForeignCertificate {
  const departures = new Set<Departure>()
  const form: Form<AnyAlgorithm, ForeignKeyKind> = {
    readAlgorithm: (reader) => foreignAlgorithmOf(readRaw(reader)),
    readKey: readForeignKey,
    isSelfIssued: samePreparedName,
    onDeparture: (code) => departures.add(code),
  }
  return { ...readCertificate(openDer(der, MAX_FOREIGN_OCTETS), form), departures }
}

/** Decodes a TBSCertificate alone, under the rules of `decodeCertificate`. */
export function decodeTbsCertificate(der: Uint8Array): TbsCertificate {
  const outer = openDer(der, MAX_CERTIFICATE_OCTETS)
  const tbs = readTbs(outer, OURS)
  expectEnd(outer)
  return tbs
}

/** The names of a certificate, read no further than needed to tell whether it belongs to a path. */
export function peekNames(der: Uint8Array): { issuer: Name; subject: Name } {
  const tbs = readSequence(readSequence(openDer(der, MAX_FOREIGN_OCTETS)))
  if (peekTag(tbs) === contextConstructed(0)) readRaw(tbs)
  readRaw(tbs)
  readRaw(tbs)
  const issuer = readName(tbs)
  readRaw(tbs)
  return { issuer, subject: readName(tbs) }
}

/** What differs between reading our own certificates and foreign ones. */
interface Form<A, K> {
  readonly readAlgorithm: (reader: DerReader) => A
  readonly readKey: (reader: DerReader) => PublicKey<K>
  readonly isSelfIssued: (issuer: Name, subject: Name) => boolean
  readonly onDeparture: OnDeparture
}

const OURS: Form<SignatureAlgorithmName, KeyKind> = {
  readAlgorithm,
  readKey: readPublicKey,
  isSelfIssued: sameName,
  onDeparture: refuseDeparture,
}

function readCertificate<A, K>(outer: DerReader, form: Form<A, K>): Certificate<A, K> {
  const certificate = readSequence(outer)
  const { value, raw: tbsDer } = withRaw(certificate, (reader) => readTbs(reader, form))
  const { algorithmDer, ...tbs } = value
  const { raw } = withRaw(certificate, form.readAlgorithm)
  const signature = readBitStringOctets(certificate)
  expectEnd(certificate)
  expectEnd(outer)
  // "This field MUST contain the same algorithm identifier as the signature field in the sequence tbsCertificate":
  // RFC 5280 §4.1.1.2
  if (!sameBytes(raw, algorithmDer)) {
    throw new X509Error('certificate_algorithm_mismatch', 'the certificate names two signature algorithms')
  }
  return { der: outer.bytes, tbsDer, signature, ...tbs }
}

function readTbs<A, K>(
  reader: DerReader,
  { onDeparture, ...form }: Form<A, K>,
): TbsCertificate<A, K> & { algorithmDer: Uint8Array } {
  const tbs = readSequence(reader)
  readVersion(tbs)
  const serialHex = readSerial(tbs, onDeparture)
  const { value: signatureAlgorithm, raw: algorithmDer } = withRaw(tbs, form.readAlgorithm)
  const issuer = readName(tbs)
  // "The issuer field MUST contain a non-empty distinguished name (DN)": RFC 5280 §4.1.2.4
  if (issuer.rdns.length === 0) throw new X509Error('certificate_issuer_empty', 'the issuer name is empty')
  const validity = readSequence(tbs)
  const notBefore = readTime(validity, onDeparture)
  const notAfter = readTime(validity, onDeparture)
  expectEnd(validity)
  if (notAfter < notBefore) throw new X509Error('certificate_validity_inverted', 'notAfter is before notBefore')
  const subject = readName(tbs)
  const publicKey = form.readKey(tbs)
  for (const tag of [contextPrimitive(1), contextPrimitive(2)]) {
    if (peekTag(tbs) !== tag) continue
    // "CAs conforming to this profile MUST NOT generate certificates with unique identifiers": RFC 5280 §4.1.2.8
    onDeparture('certificate_unique_id', 'the certificate has a unique identifier')
    readRaw(tbs)
  }
  const extensions = atEnd(tbs) ? NO_EXTENSIONS : readTaggedExtensions(tbs)
  expectEnd(tbs)
  const isSelfIssued = form.isSelfIssued(issuer, subject)
  return {
    serialHex,
    signatureAlgorithm,
    algorithmDer,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    extensions,
    isSelfIssued,
  }
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

function readSerial(tbs: DerReader, onDeparture: OnDeparture): string {
  const content = readInteger(tbs)
  // "The serial number MUST be a positive integer": RFC 5280 §4.1.2.2
  if ((content[0] ?? 0x80) >= 0x80 || (content.length === 1 && content[0] === 0)) {
    onDeparture('certificate_serial', 'the serial number is not positive')
  }
  // "Conforming CAs MUST NOT use serialNumber values longer than 20 octets": RFC 5280 §4.1.2.2
  if (content.length > 20) onDeparture('certificate_serial', 'the serial number has more than 20 octets')
  return serialText(content)
}

/** Hex of a serial number's magnitude; negative ones, which a CA should not but may have issued, keep their sign. */
export function serialText(content: Uint8Array): string {
  if ((content[0] ?? 0) < 0x80) return (content[0] === 0 && content.length > 1 ? content.subarray(1) : content).toHex()
  const magnitude = (-BigInt.asIntN(content.length * 8, BigInt(`0x${content.toHex()}`))).toString(16)
  return `-${magnitude.padStart(magnitude.length + (magnitude.length % 2), '0')}`
}

function readTaggedExtensions(tbs: DerReader): Extensions {
  const tagged = readConstructed(tbs, contextConstructed(3))
  const extensions = readExtensions(tagged)
  expectEnd(tagged)
  return extensions
}
