import { randomBytes } from 'node:crypto'
import { generatePrivateKey, signerOver } from './key-pair.ts'
import type { KeyPurpose, KeySpec, Signer } from './signer.ts'

/** A signer whose private key never leaves the process, except to its TLS library. */
export interface MemorySigner extends Signer {
  /** PKCS#8 in PEM, for `tls.createSecureContext` and nothing else. */
  privateKeyPem(): string
}

/** A new key that ends with the process: for the TLS certificates of API and broker. */
export async function memorySigner(purpose: KeyPurpose, spec: KeySpec): Promise<MemorySigner> {
  const privateKey = await generatePrivateKey(spec)
  const signer = signerOver(privateKey, { keyId: randomBytes(16).toString('hex'), purpose, held: 'memory' })
  return { ...signer, privateKeyPem: () => privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}
