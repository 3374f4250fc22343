import type { PathOptions } from '@vcc/x509'

/** How answers about the certificates of one CA are made. */
export interface IssuerPolicy {
  /** nextUpdate − thisUpdate: how long a verifier may go on with an answer that a revocation has overtaken. */
  readonly validitySeconds: number
  /** `ignore` answers a nonce from the cache, without it. */
  readonly nonce: 'echo' | 'ignore'
  /** What is said of a serial that this CA never issued; `unauthorized` costs no signature. */
  readonly neverIssued: 'unknown' | 'unauthorized'
  /** How far back the source knows what has expired; goes into archiveCutoff. */
  readonly retentionSeconds?: number
  /** The CA is over, and its answers are the last ones: in force until the end of 9999 (EN 319 411-2 CSS-6.3.10-09). */
  readonly isFinal?: boolean
  /**
   * Who may ask: requests have to be signed, by a certificate under one of these anchors. Nothing is kept for them, here or by a
   * cache. Absent: everybody, as status is public.
   */
  readonly requestors?: Omit<PathOptions, 'at'>
}

/** What one responder may use. */
export interface ResponderLimits {
  /** Octets of answers that are kept, with what belongs to them. */
  readonly cacheBytes: number
  readonly concurrentSignings: number
  readonly waitingSignings: number
  /** From the request to its signature, waiting included. */
  readonly deadlineMs: number
}

export const DEFAULT_POLICY: IssuerPolicy = { validitySeconds: 3600, nonce: 'echo', neverIssued: 'unknown' }

export const DEFAULT_LIMITS: ResponderLimits = {
  cacheBytes: 64 * 1024 * 1024,
  concurrentSignings: 32,
  waitingSignings: 1000,
  deadlineMs: 5000,
}
