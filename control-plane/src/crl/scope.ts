/** What one CRL covers: the certificates that a CA issued into one shard. */
export interface Scope {
  readonly caId: string
  readonly shard: number
}

/**
 * Where the CRL of a scope is, as the certificates of the scope say it: fixed at issuance, the same octets in
 * cRLDistributionPoints and in the CRL's own scope. Plain http: a CRL proves itself, and https would need one.
 */
export function crlUrl({ caId, shard }: Scope, statusUrl: string): string {
  return `${statusUrl.replace(/\/+$/, '')}/crl/${caId}/${shard}.crl`
}

/** Named by freshestCRL in the complete CRL, never in a certificate. */
export function deltaUrl(scope: Scope, statusUrl: string): string {
  return crlUrl(scope, statusUrl).replace(/\.crl$/, '-delta.crl')
}

/**
 * The shard of a new certificate: of its serial's last octets, which are random. An old certificate keeps its own when
 * the number of shards changes.
 */
export function shardOf(serialHex: string, shards: number): number {
  return Number.parseInt(serialHex.slice(-8), 16) % shards
}
