import { createECDH, createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { nodeSignatureOptions, publicKeyOf, signingAlgorithmFor, type TbsSigner } from '@vcc/x509'

export interface FuzzKey extends TbsSigner {
  readonly key: KeyObject
  readonly signNow: (bytes: Uint8Array) => Uint8Array
}

/**
 * The key of a name: always the same, and worth nothing. What the corpus holds was signed with it, and what is changed in it
 * can be signed again.
 */
export function keyOf(name: string, curve: 'P-256' | 'P-384' = 'P-256'): FuzzKey {
  const [hash, group] = curve === 'P-256' ? (['sha256', 'prime256v1'] as const) : (['sha384', 'secp384r1'] as const)
  const d = createHash(hash).update(`vcc-fuzz ${name}`).digest()
  const ecdh = createECDH(group)
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const width = d.length
  const [x, y] = [point.subarray(1, 1 + width), point.subarray(1 + width)].map((part) => part.toString('base64url'))
  const jwk = { kty: 'EC', crv: curve, d: d.toString('base64url'), x: x ?? '', y: y ?? '' }
  return signing(createPrivateKey({ key: jwk, format: 'jwk' }))
}

/** A new RSA key: only its certificate is kept. */
export function newRsaKey(): FuzzKey {
  return signing(generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey)
}

function signing(key: KeyObject): FuzzKey {
  const publicKey = publicKeyOf(key)
  const algorithm = signingAlgorithmFor(publicKey.kind)
  const { hash, options } = nodeSignatureOptions(algorithm)
  const signNow = (bytes: Uint8Array) => new Uint8Array(sign(hash, bytes, { key, ...options }))
  return { key, publicKey, algorithm, signNow, sign: async (bytes) => signNow(bytes) }
}
