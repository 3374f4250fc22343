import { verify } from 'node:crypto'
import type { SignatureAlgorithmName } from './algorithm.ts'
import { algorithmOf, verifySignature } from './algorithm.ts'
import { oid } from './der/oid.ts'
import type { DerReader } from './der/reader.ts'
import { expectEnd, openDer, sameBytes } from './der/reader.ts'
import { encodeDer, sequence } from './der/writer.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'
import type { KeyKind, KeyRules, PublicKey } from './public-key.ts'
import { keyKind, readKeyInfo, rsaBits } from './public-key.ts'

/** Keys in certificates that others issued: ours, RSA keys for one RSASSA-PSS only, and Ed25519. */
export type ForeignKeyKind =
  | KeyKind
  | { readonly type: 'rsa-pss'; readonly bits: number; readonly algorithm: SignatureAlgorithmName }
  | { readonly type: 'ed25519' }

/** How others sign. Nothing of ours is signed with Ed25519. */
export type ForeignAlgorithm = SignatureAlgorithmName | 'ed25519'

/**
 * Decodes a SubjectPublicKeyInfo of others, at most 2 KiB: curves as `decodePublicKey`; RSA from 2048 bits on with any odd
 * exponent from 3, its modulus checked alike; Ed25519. Worth nothing but to verify with.
 *
 * @throws {X509Error} key_* and der_* codes.
 *
 * Source: RFC 3279 §2.3, RFC 5480, RFC 4055 §1.2 (RSASSA-PSS alone), RFC 8410 §3 (Ed25519).
 */
export function decodeForeignKey(spkiDer: Uint8Array): PublicKey<ForeignKeyKind> {
  const reader = openDer(spkiDer, 2048)
  const key = readForeignKey(reader)
  expectEnd(reader)
  return key
}

export function readForeignKey(reader: DerReader): PublicKey<ForeignKeyKind> {
  return readKeyInfo(reader, (algorithm, bits): ForeignKeyKind => {
    // "the parameters … MUST be absent": RFC 8410 §3
    if (sameBytes(algorithm, ED25519)) return ed25519(bits)
    const pss = algorithmOf(algorithm)
    if (pss === 'unsupported' || !pss.startsWith('rsa-pss')) return keyKind(algorithm, bits, RULES)
    return { type: 'rsa-pss', bits: rsaBits(bits, RULES), algorithm: pss }
  })
}

/** The algorithm that an AlgorithmIdentifier names. */
export function foreignAlgorithmOf(algorithmDer: Uint8Array): ForeignAlgorithm | 'unsupported' {
  return sameBytes(algorithmDer, ED25519) ? 'ed25519' : algorithmOf(algorithmDer)
}

/** False for a wrong signature and for a key that the algorithm cannot use. @throws {X509Error} `key_invalid`. */
export function verifyForeignSignature(
  algorithm: ForeignAlgorithm,
  { kind, keyObject }: PublicKey<ForeignKeyKind>,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (algorithm === 'ed25519') return kind.type === 'ed25519' && verify(null, data, keyObject, signature)
  if (kind.type !== 'rsa-pss') return verifySignature(algorithm, { kind, keyObject }, data, signature)
  // "the public key MUST only be used for RSASSA-PSS" with its parameters: RFC 4055 §3.3
  return (
    algorithm === kind.algorithm && verifySignature(algorithm, { kind: { type: 'rsa' }, keyObject }, data, signature)
  )
}

function ed25519(bits: Uint8Array): ForeignKeyKind {
  if (bits.length !== 32) throw new X509Error('key_point_form', 'an Ed25519 key has not 32 octets')
  return { type: 'ed25519' }
}

/** Baseline Requirements §6.1.5 and §6.1.6, but for sizes in steps of eight. */
const RULES: KeyRules = { minRsaBits: 2048, rsaBitsStep: 1, isExponentFixed: false }
const ED25519 = encodeDer(sequence(oid(OID.ed25519)))
