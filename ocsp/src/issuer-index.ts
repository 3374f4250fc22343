import { type CertId, type CertIdHash, issuerHashes } from '@vcc/x509'
import type { ServedIssuer } from './status-source.ts'

/** Finds the CA that a CertID names. */
export interface IssuerIndex {
  /** What it was made of: another array needs another index. */
  readonly issuers: readonly ServedIssuer[]
  readonly find: (certId: CertId) => ServedIssuer | undefined
}

/** Name **and** key by each hash that clients use, computed once. */
export function issuerIndex(issuers: readonly ServedIssuer[]): IssuerIndex {
  const byHashes = new Map<string, ServedIssuer>()
  for (const issuer of issuers) {
    for (const hash of HASHES) {
      const { nameHash, keyHash } = issuerHashes(issuer.certificate, hash)
      byHashes.set(keyOf(hash, nameHash, keyHash), issuer)
    }
  }
  return {
    issuers,
    find: ({ hash, issuerNameHash, issuerKeyHash }) =>
      hash === undefined ? undefined : byHashes.get(keyOf(hash, issuerNameHash, issuerKeyHash)),
  }
}

function keyOf(hash: CertIdHash, nameHash: Uint8Array, keyHash: Uint8Array): string {
  return `${hash}:${nameHash.toHex()}:${keyHash.toHex()}`
}

const HASHES = ['sha1', 'sha256', 'sha384', 'sha512'] as const satisfies readonly CertIdHash[]
