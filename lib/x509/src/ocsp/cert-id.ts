import { hash } from 'node:crypto'
import { oid, readOid } from '../der/oid.ts'
import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  readInteger,
  readNull,
  readOctetString,
  readSequence,
  sameBytes,
  withRaw,
} from '../der/reader.ts'
import { encodeDer, integer, NULL, octetString, sequence } from '../der/writer.ts'
import { X509Error } from '../errors.ts'
import type { Name } from '../name.ts'
import { OID } from '../oid.ts'
import type { PublicKey } from '../public-key.ts'

/** Hashes that a CertID may be made with: it is an index, not a proof, so SHA-1 does for clients that know no other. */
const HASHES = {
  sha1: { oid: OID.sha1, octets: 20, algorithmDer: encodeDer(sequence(oid(OID.sha1), NULL)) },
  // "Implementations MUST generate SHA2 AlgorithmIdentifiers with absent parameters": RFC 5754 §2
  sha256: { oid: OID.sha256, octets: 32, algorithmDer: encodeDer(sequence(oid(OID.sha256))) },
  sha384: { oid: OID.sha384, octets: 48, algorithmDer: encodeDer(sequence(oid(OID.sha384))) },
  sha512: { oid: OID.sha512, octets: 64, algorithmDer: encodeDer(sequence(oid(OID.sha512))) },
} as const satisfies Record<string, { oid: string; octets: number; algorithmDer: Uint8Array }>

export type CertIdHash = keyof typeof HASHES

/** Which certificate is meant, as OCSP says it: hashes of its issuer's name and key, and its serial. */
export interface CertId {
  /** The encoding as it came: an answer repeats it to the octet. */
  readonly der: Uint8Array
  /** Absent for a hash that is not in use here: such a CertID names no issuer of ours. */
  readonly hash: CertIdHash | undefined
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** As `Certificate.serialHex`. */
  readonly serialHex: string
}

/** What a CertID takes from the issuer's certificate. */
export interface CertIdIssuer {
  readonly subject: Name
  readonly publicKey: PublicKey
}

/**
 * Both hashes of an issuer, over its subject as it is written and the content of its key's BIT STRING.
 *
 * Source: RFC 6960 §4.1.1.
 */
export function issuerHashes(issuer: CertIdIssuer, by: CertIdHash): { nameHash: Uint8Array; keyHash: Uint8Array } {
  return { nameHash: digest(by, issuer.subject.der), keyHash: digest(by, issuer.publicKey.keyBits) }
}

/**
 * The CertID of the certificate with this serial. SHA-256 is the choice of RFC 9919 (§3.1.1). A staple for clients that are not
 * ours has to be asked for with SHA-1: curl, for one, looks for no other.
 */
export function encodeCertId(issuer: CertIdIssuer, serialHex: string, by: CertIdHash = 'sha256'): Uint8Array {
  const { nameHash, keyHash } = issuerHashes(issuer, by)
  const serial = integer(Uint8Array.fromHex(serialHex))
  return encodeDer(sequence(HASHES[by].algorithmDer, octetString(nameHash), octetString(keyHash), serial))
}

/** Whether a CertID names a certificate of this issuer: name **and** key, since either alone can be borrowed. */
export function isCertIdOf(certId: CertId, issuer: CertIdIssuer): boolean {
  if (certId.hash === undefined) return false
  const { nameHash, keyHash } = issuerHashes(issuer, certId.hash)
  return sameBytes(certId.issuerNameHash, nameHash) && sameBytes(certId.issuerKeyHash, keyHash)
}

/** @throws {X509Error} `ocsp_cert_id_invalid`, der_* codes. */
export function readCertId(reader: DerReader): CertId {
  const { value, raw } = withRaw(reader, (outer) => {
    const fields = readSequence(outer)
    const by = readHash(fields)
    const issuerNameHash = readOctetString(fields)
    const issuerKeyHash = readOctetString(fields)
    const serialHex = readSerial(fields)
    expectEnd(fields)
    return { hash: by, issuerNameHash, issuerKeyHash, serialHex }
  })
  const octets = value.hash === undefined ? undefined : HASHES[value.hash].octets
  if (octets !== undefined && (value.issuerNameHash.length !== octets || value.issuerKeyHash.length !== octets)) {
    throw new X509Error('ocsp_cert_id_invalid', `a hash of a CertID has not the ${octets} octets of its algorithm`)
  }
  return { der: raw, ...value }
}

/** Parameters are NULL or absent: clients write both. With any others it is an algorithm we do not know. */
function readHash(fields: DerReader): CertIdHash | undefined {
  const algorithm = readSequence(fields)
  const by = HASH_BY_OID.get(readOid(algorithm))
  if (by === undefined) return undefined
  if (!atEnd(algorithm)) readNull(algorithm)
  expectEnd(algorithm)
  return by
}

/** Others issue zero and negative serials too (RFC 5280 §4.1.2.2); none of ours is, so they are refused here. */
function readSerial(fields: DerReader): string {
  const content = readInteger(fields)
  if ((content[0] ?? 0x80) >= 0x80 || content.length > MAX_SERIAL_OCTETS) {
    throw new X509Error(
      'ocsp_cert_id_invalid',
      `a serial of a CertID is negative or longer than ${MAX_SERIAL_OCTETS} octets`,
    )
  }
  return (content[0] === 0 && content.length > 1 ? content.subarray(1) : content).toHex()
}

function digest(by: CertIdHash, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash(by, bytes, 'buffer'))
}

/** Twenty octets (RFC 5280 §4.1.2.2) and the one that keeps them positive. */
const MAX_SERIAL_OCTETS = 21

const HASH_NAMES = ['sha1', 'sha256', 'sha384', 'sha512'] as const satisfies readonly CertIdHash[]

const HASH_BY_OID: ReadonlyMap<string, CertIdHash> = new Map(HASH_NAMES.map((name) => [HASHES[name].oid, name]))
