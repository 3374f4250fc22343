import type { KeyObject } from 'node:crypto'
import { constants, verify } from 'node:crypto'
import { oid } from './der/oid.ts'
import type { DerReader } from './der/reader.ts'
import { readRaw } from './der/reader.ts'
import { contextConstructed } from './der/tag.ts'
import { constructed, encodeDer, integer, NULL, sequence } from './der/writer.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'
import type { KeyKind, PublicKey } from './public-key.ts'

type Hash = 'sha256' | 'sha384' | 'sha512'

/** How each algorithm hashes and pads, and the one AlgorithmIdentifier that names it. */
const ALGORITHMS = {
  // "the encoding MUST omit the parameters field": RFC 5758 §3.2
  'ecdsa-sha256': { key: 'ec', hash: 'sha256', der: encodeDer(sequence(oid(OID.ecdsaWithSha256))) },
  'ecdsa-sha384': { key: 'ec', hash: 'sha384', der: encodeDer(sequence(oid(OID.ecdsaWithSha384))) },
  'ecdsa-sha512': { key: 'ec', hash: 'sha512', der: encodeDer(sequence(oid(OID.ecdsaWithSha512))) },
  'rsa-pss-sha256': { key: 'rsa', hash: 'sha256', saltOctets: 32, der: pss(OID.sha256, 32) },
  'rsa-pss-sha384': { key: 'rsa', hash: 'sha384', saltOctets: 48, der: pss(OID.sha384, 48) },
  'rsa-pss-sha512': { key: 'rsa', hash: 'sha512', saltOctets: 64, der: pss(OID.sha512, 64) },
  // "the parameters MUST be NULL": RFC 4055 §5. Verified, never signed with.
  'rsa-pkcs1-sha256': { key: 'rsa', hash: 'sha256', der: encodeDer(sequence(oid(OID.sha256WithRsa), NULL)) },
  'rsa-pkcs1-sha384': { key: 'rsa', hash: 'sha384', der: encodeDer(sequence(oid(OID.sha384WithRsa), NULL)) },
  'rsa-pkcs1-sha512': { key: 'rsa', hash: 'sha512', der: encodeDer(sequence(oid(OID.sha512WithRsa), NULL)) },
} as const satisfies Record<string, { key: KeyKind['type']; hash: Hash; saltOctets?: number; der: Uint8Array }>

export type SignatureAlgorithmName = keyof typeof ALGORITHMS

/**
 * What signs a TBS: the bytes go in whole, hashing is the signer's. ECDSA signatures are DER Ecdsa-Sig-Value.
 * Where the key lives, and that the call has a deadline, is the implementation's business.
 */
export interface TbsSigner {
  readonly algorithm: SignatureAlgorithmName
  readonly publicKey: PublicKey
  sign(bytes: Uint8Array, options?: { signal?: AbortSignal }): Promise<Uint8Array>
}

/** The algorithm a key of this kind signs with. */
export function signingAlgorithmFor(kind: KeyKind): SignatureAlgorithmName {
  return kind.type === 'rsa' ? 'rsa-pss-sha384' : CURVE_ALGORITHMS[kind.curve]
}

const CURVE_ALGORITHMS = { 'P-256': 'ecdsa-sha256', 'P-384': 'ecdsa-sha384', 'P-521': 'ecdsa-sha512' } as const

/** Parameters for node:crypto's `sign` and `verify`: the hash, and the padding options beside the key. */
export function nodeSignatureOptions(algorithm: SignatureAlgorithmName): {
  hash: Hash
  options: { padding?: number; saltLength?: number; dsaEncoding?: 'der' }
} {
  const row = ALGORITHMS[algorithm]
  if (row.key === 'ec') return { hash: row.hash, options: { dsaEncoding: 'der' } }
  if (!('saltOctets' in row)) return { hash: row.hash, options: { padding: constants.RSA_PKCS1_PADDING } }
  return { hash: row.hash, options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: row.saltOctets } }
}

/** False for a wrong signature and for a key that the algorithm cannot use. @throws {X509Error} `key_invalid`. */
export function verifySignature(
  algorithm: SignatureAlgorithmName,
  publicKey: { readonly kind: { readonly type: string }; readonly keyObject: KeyObject },
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (ALGORITHMS[algorithm].key !== publicKey.kind.type) return false
  const { hash, options } = nodeSignatureOptions(algorithm)
  return verify(hash, data, { key: publicKey.keyObject, ...options }, signature)
}

/** The AlgorithmIdentifier of an algorithm. */
export function encodeAlgorithm(algorithm: SignatureAlgorithmName): Uint8Array {
  return ALGORITHMS[algorithm].der
}

/**
 * Reads a signature's AlgorithmIdentifier. DER leaves one encoding to each algorithm, so the bytes are compared whole:
 * wrong, missing or surplus parameters are another algorithm, which is refused.
 *
 * @throws {X509Error} `algorithm_unsupported`.
 */
export function readAlgorithm(reader: DerReader): SignatureAlgorithmName {
  const found = algorithmOf(readRaw(reader))
  if (found === 'unsupported') {
    throw new X509Error('algorithm_unsupported', 'the signature algorithm is not one we accept')
  }
  return found
}

/** The algorithm that an AlgorithmIdentifier names, under the rules of `readAlgorithm`. */
export function algorithmOf(algorithmDer: Uint8Array): SignatureAlgorithmName | 'unsupported' {
  return BY_ENCODING.get(algorithmDer.toHex()) ?? 'unsupported'
}

/** RSASSA-PSS-params with the same hash for MGF1, a salt of the hash's length and the trailer omitted (RFC 4055 §3.1). */
function pss(hashOid: string, saltOctets: number): Uint8Array {
  const hash = sequence(oid(hashOid), NULL)
  const parameters = sequence(
    constructed(contextConstructed(0), hash),
    constructed(contextConstructed(1), sequence(oid(OID.mgf1), hash)),
    constructed(contextConstructed(2), integer(saltOctets)),
  )
  return encodeDer(sequence(oid(OID.rsaPss), parameters))
}

const ALGORITHM_NAMES = [
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'rsa-pss-sha256',
  'rsa-pss-sha384',
  'rsa-pss-sha512',
  'rsa-pkcs1-sha256',
  'rsa-pkcs1-sha384',
  'rsa-pkcs1-sha512',
] as const satisfies readonly SignatureAlgorithmName[]

const BY_ENCODING: ReadonlyMap<string, SignatureAlgorithmName> = new Map(
  ALGORITHM_NAMES.map((name) => [ALGORITHMS[name].der.toHex(), name]),
)
