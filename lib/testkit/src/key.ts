import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { KeyPurpose, Signer } from '@vcc/keys'
import { nodeSignatureOptions, publicKeyOf, signingAlgorithmFor } from '@vcc/x509'

/** A signer whose key lives in memory and can be looked at. `signNow` is the same without the promise. */
export interface TestSigner extends Signer {
  readonly privateKey: KeyObject
  readonly keyPem: string
  signNow(bytes: Uint8Array): Uint8Array
}

/** A fresh key on P-256 or P-384, or around a private key that the test made itself. */
export function testSigner(purpose: KeyPurpose, key: 'P-256' | 'P-384' | KeyObject = 'P-256'): TestSigner {
  const privateKey = typeof key === 'string' ? generateKeyPairSync('ec', { namedCurve: key }).privateKey : key
  const publicKey = publicKeyOf(privateKey)
  const algorithm = signingAlgorithmFor(publicKey.kind)
  const { hash, options } = nodeSignatureOptions(algorithm)
  const signNow = (bytes: Uint8Array) => new Uint8Array(sign(hash, bytes, { key: privateKey, ...options }))
  return {
    keyId: randomBytes(8).toString('hex'),
    purpose,
    held: 'memory',
    algorithm,
    publicKey,
    privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    signNow,
    sign: async (bytes, signOptions) => {
      signOptions?.signal?.throwIfAborted()
      return signNow(bytes)
    },
  }
}
