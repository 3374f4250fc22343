import type { TbsSigner } from '@vcc/x509'
import type { Protection } from './pkcs11/message.ts'

/** What a key may sign. One key, one purpose, for its whole life. */
export const KEY_PURPOSES = [
  'root',
  'issuing',
  'state',
  'audit',
  'feed',
  'ocsp',
  'tsa',
  'code-signing',
  'api',
  'broker',
] as const
export type KeyPurpose = (typeof KEY_PURPOSES)[number]

export const KEY_SPECS = ['P-256', 'P-384', 'RSA-3072', 'RSA-4096'] as const
export type KeySpec = (typeof KEY_SPECS)[number]

/**
 * Bytes in, signature out: ECDSA as DER Ecdsa-Sig-Value, RSA as PSS with SHA-384 and a salt of 48 octets.
 *
 * Asynchronous, since the key may live in another process or device. A request whose `signal` has aborted is dropped
 * before it is signed; one that aborts meanwhile is answered `signer_deadline` and its signature thrown away.
 *
 * `sign` throws KeyError: `signer_deadline`, `signer_failed`; from a token also `hsm_busy`, `hsm_unavailable` and
 * what keeps it from being opened again.
 */
export interface Signer extends TbsSigner {
  readonly keyId: string
  readonly purpose: KeyPurpose
  /** How the private key is held: in a file of ours, in a device, or in this process only. */
  readonly held: 'software' | 'hsm' | 'memory'
}

/** What is known about a key without using it. */
export interface KeyInfo {
  readonly keyId: string
  readonly purpose: KeyPurpose
  readonly spkiDer: Uint8Array
}

/** A key of a store, and where that holds it. */
export interface StoredKey extends KeyInfo {
  readonly held: 'software' | 'hsm'
  /** What its token says of it. */
  readonly protection?: Protection
}

export interface KeyStore {
  /** Makes a key. It survives a power cut from the moment this returns. */
  generate(purpose: KeyPurpose, spec: KeySpec): Promise<Signer>
  /** @throws {KeyError} `key_id_invalid`, `key_not_found`, `key_purpose_mismatch`, and what the store cannot trust */
  open(keyId: string, purpose: KeyPurpose): Promise<Signer>
  /** All keys, by key id; nothing is decrypted. */
  list(): Promise<readonly StoredKey[]>
  /** @throws {KeyError} `key_id_invalid`, `key_not_found` */
  delete(keyId: string): Promise<void>
}
