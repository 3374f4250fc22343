import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Real values, DER as base64, as `make-corpus.ts` wrote them. */
export interface Corpus {
  /** The mesh root of trust statement and state, on P-384. */
  readonly root: string
  /** The root above the chain. */
  readonly rsaRoot: string
  readonly certificates: readonly string[]
  /** A leaf and its CA. */
  readonly chain: readonly string[]
  readonly csrs: readonly string[]
  readonly crls: readonly string[]
  readonly ocspRequests: readonly string[]
  readonly ocspResponses: readonly string[]
  readonly trust: string
  readonly fleet: string
  readonly agent: string
  readonly refresh: string
  readonly delta: string
  readonly envelopes: { readonly status: string; readonly ack: string; readonly renew: string }
  readonly reply: string
  readonly held: { readonly fleet: string; readonly agent: string }
}

/** The instant at which everything in the corpus is good. */
export const AT = new Date('2026-03-01T12:00:00Z')
export const INSTANCE = 'argus00000000001'
export const SERVICE = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
export const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'
export const CORPUS_FILE: string = join(import.meta.dirname, 'corpus.json')

export function readCorpus(): Corpus {
  return JSON.parse(readFileSync(CORPUS_FILE, 'utf8')) as Corpus
}

export function derOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}
