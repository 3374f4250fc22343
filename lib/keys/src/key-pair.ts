import { generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { nodeSignatureOptions, publicKeyOf, type SignatureAlgorithmName, signingAlgorithmFor } from '@vcc/x509'
import { KeyError } from './error.ts'
import type { KeySpec, Signer } from './signer.ts'

export async function generatePrivateKey(spec: KeySpec): Promise<KeyObject> {
  const { privateKey } = await GENERATE[spec]()
  return privateKey
}

/** A signer over a private key in this process. */
export function signerOver(privateKey: KeyObject, facts: Pick<Signer, 'keyId' | 'purpose' | 'held'>): Signer {
  const publicKey = publicKeyOf(privateKey)
  const algorithm = signingAlgorithmFor(publicKey.kind)
  const signBytes = signFunction(privateKey, algorithm)
  return {
    ...facts,
    publicKey,
    algorithm,
    async sign(bytes, options) {
      refuseLate(facts.keyId, options?.signal)
      const signature = await signBytes(bytes).catch((cause: unknown) => {
        throw new KeyError('signer_failed', `key ${facts.keyId} could not sign`, { cause })
      })
      refuseLate(facts.keyId, options?.signal)
      return new Uint8Array(signature)
    },
  }
}

/** P-256 takes 18 µs, less than the way to the thread pool; the others would hold up the event loop. */
function signFunction(key: KeyObject, algorithm: SignatureAlgorithmName): (bytes: Uint8Array) => Promise<Buffer> {
  const { hash, options } = nodeSignatureOptions(algorithm)
  if (algorithm === 'ecdsa-sha256') return async (bytes) => sign(hash, bytes, { key, ...options })
  return (bytes) => signInPool(hash, bytes, { key, ...options })
}

function refuseLate(keyId: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new KeyError('signer_deadline', `key ${keyId}: the request was given up before its signature was there`, {
    cause: signal.reason,
  })
}

const generate = promisify(generateKeyPair)
const signInPool = promisify(sign)

const GENERATE = {
  'P-256': () => generate('ec', { namedCurve: 'P-256' }),
  'P-384': () => generate('ec', { namedCurve: 'P-384' }),
  'RSA-3072': () => generate('rsa', { modulusLength: 3072, publicExponent: 65_537 }),
  'RSA-4096': () => generate('rsa', { modulusLength: 4096, publicExponent: 65_537 }),
} as const satisfies Record<KeySpec, () => Promise<{ privateKey: KeyObject }>>
