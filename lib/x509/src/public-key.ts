import type { KeyObject } from 'node:crypto'
import { createPublicKey, hash } from 'node:crypto'
import { oid, readOid } from './der/oid.ts'
import type { DerReader } from './der/reader.ts'
import {
  expectEnd,
  openDer,
  readBitStringOctets,
  readInteger,
  readRaw,
  readSequence,
  sameBytes,
  viewDer,
  withRaw,
} from './der/reader.ts'
import { encodeDer, NULL, sequence } from './der/writer.ts'
import { CURVES, type CurveName, checkPoint } from './ec-point.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'
import { checkModulus } from './rsa-modulus.ts'

export type KeyKind =
  | { readonly type: 'ec'; readonly curve: CurveName }
  | { readonly type: 'rsa'; readonly bits: number }

/** A key that passed the checks of `decodePublicKey`. The derived members are computed when first asked for. */
export interface PublicKey<K = KeyKind> {
  readonly spkiDer: Uint8Array
  readonly spkiSha256Hex: string
  readonly kind: K
  readonly keyObject: KeyObject
  /** Content of the BIT STRING without its count of unused bits: what key identifiers and CertIDs are hashed over. */
  readonly keyBits: Uint8Array
  /** First 20 octets of SHA-256 over the content of the BIT STRING (RFC 7093 §2, method 1). */
  readonly subjectKeyId: Uint8Array
}

/** What is asked of an RSA key beside a modulus that is not known to be weak. */
export interface KeyRules {
  readonly minRsaBits: number
  /** The size is a multiple of this. */
  readonly rsaBitsStep: 1 | 8
  /** e = 65537; otherwise any odd one from 3 to 2^256. */
  readonly isExponentFixed: boolean
}

const OUR_KEYS: KeyRules = { minRsaBits: 3072, rsaBitsStep: 8, isExponentFixed: true }

/**
 * Decodes one SubjectPublicKeyInfo, at most 2 KiB, and checks the key: a point in uncompressed form on P-256, P-384 or
 * P-521; or RSA with 3072 to 8192 bits in steps of eight, e = 65537 and a modulus that is not known to be weak.
 *
 * Does **not** ask whether a key is blocked or already used.
 *
 * @throws {X509Error} key_* and der_* codes.
 */
export function decodePublicKey(spkiDer: Uint8Array): PublicKey {
  const reader = openDer(spkiDer, 2048)
  const key = readPublicKey(reader)
  expectEnd(reader)
  return key
}

export function readPublicKey(reader: DerReader): PublicKey {
  return readKeyInfo(reader, (algorithm, bits) => keyKind(algorithm, bits, OUR_KEYS))
}

/** Reads a SubjectPublicKeyInfo whose kind `kindOf` tells from AlgorithmIdentifier and key bits, or refuses. */
export function readKeyInfo<K>(
  reader: DerReader,
  kindOf: (algorithm: Uint8Array, bits: Uint8Array) => K,
): PublicKey<K> {
  const { value, raw } = withRaw(reader, (outer) => {
    const info = readSequence(outer)
    const algorithm = readRaw(info)
    const bits = readBitStringOctets(info)
    expectEnd(info)
    return { kind: kindOf(algorithm, bits), bits }
  })
  return lazyKey(raw, value.bits, value.kind)
}

/** The checked key of a node:crypto public (or private) key object. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const half = key.type === 'private' ? createPublicKey(key) : key
  return decodePublicKey(half.export({ type: 'spki', format: 'der' }))
}

function lazyKey<K>(spkiDer: Uint8Array, bits: Uint8Array, kind: K): PublicKey<K> {
  let keyObject: KeyObject | undefined
  let spkiSha256Hex: string | undefined
  let subjectKeyId: Uint8Array | undefined
  return {
    spkiDer,
    kind,
    keyBits: bits,
    get keyObject() {
      keyObject ??= importKey(spkiDer)
      return keyObject
    },
    get spkiSha256Hex() {
      spkiSha256Hex ??= hash('sha256', spkiDer, 'hex')
      return spkiSha256Hex
    },
    get subjectKeyId() {
      subjectKeyId ??= new Uint8Array(hash('sha256', bits, 'buffer')).slice(0, 20)
      return subjectKeyId
    },
  }
}

function importKey(spkiDer: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' })
  } catch (cause) {
    throw new X509Error('key_invalid', 'the cryptographic library refuses the key', { cause })
  }
}

/** The kind of a key that we use ourselves. */
export function keyKind(algorithm: Uint8Array, bits: Uint8Array, rules: KeyRules): KeyKind {
  for (const curve of CURVES) {
    if (!sameBytes(algorithm, curve.algorithmDer)) continue
    checkPoint(bits, curve)
    return { type: 'ec', curve: curve.name }
  }
  // "The parameters field MUST have ASN.1 type NULL for this algorithm identifier": RFC 3279 §2.3.1
  if (sameBytes(algorithm, RSA_ALGORITHM)) return { type: 'rsa', bits: rsaBits(bits, rules) }
  if (readOid(readSequence(viewDer(algorithm))) === OID.ecPublicKey) {
    // "specifiedCurve MUST NOT be used in PKIX": RFC 5480 §2.1.1
    throw new X509Error('key_curve_refused', 'the key is on a curve other than P-256, P-384 or P-521')
  }
  throw new X509Error('key_algorithm_refused', 'the key is neither ECDSA nor RSA')
}

/** The size of an RSAPublicKey that keeps to the rules. */
export function rsaBits(bits: Uint8Array, rules: KeyRules): number {
  const reader = viewDer(bits)
  const key = readSequence(reader)
  const modulus = readInteger(key)
  const exponent = readInteger(key)
  expectEnd(key)
  expectEnd(reader)
  const magnitude = modulus[0] === 0 ? modulus.subarray(1) : modulus
  const size = magnitude.length * 8 - (Math.clz32(magnitude[0] ?? 0) - 24)
  const isNegative = (modulus[0] ?? 0) >= 0x80
  if (isNegative || size < rules.minRsaBits || size > 8192 || size % rules.rsaBitsStep !== 0) {
    const step = rules.rsaBitsStep === 1 ? '' : `, a multiple of ${rules.rsaBitsStep}`
    throw new X509Error('key_rsa_size', `an RSA modulus needs ${rules.minRsaBits} to 8192 bits${step}`)
  }
  const isRefused = rules.isExponentFixed ? !sameBytes(exponent, F4) : !isOddExponent(exponent)
  if (isRefused) throw new X509Error('key_rsa_exponent', 'an RSA public exponent that is not accepted')
  checkModulus(BigInt(`0x${magnitude.toHex()}`))
  return size
}

function isOddExponent(content: Uint8Array): boolean {
  const [first = 0, ...rest] = content
  return first < 0x80 && content.length <= 33 && ((content.at(-1) ?? 0) & 1) === 1 && (first > 1 || rest.length > 0)
}

const RSA_ALGORITHM = encodeDer(sequence(oid(OID.rsaEncryption), NULL))
const F4 = new Uint8Array([1, 0, 1])
