import { MeshError } from '@vcc/mesh'
import { X509Error } from '@vcc/x509'

/** One case of a suite: what it expects and what we did. */
export interface Outcome {
  readonly id: string
  /** What the table sums up by. */
  readonly feature: string
  /** Beyond what the suite itself takes for necessary. */
  readonly isPedantic: boolean
  readonly expected: 'accept' | 'reject'
  readonly did: Did
}

export type Did =
  | { readonly is: 'accepted' }
  | { readonly is: 'rejected'; readonly code: string }
  | { readonly is: 'skipped'; readonly why: string }

export interface Suite {
  readonly name: string
  /** The variable of `make conformance` that names other files of the same form. */
  readonly variable: 'LIMBO' | 'PKITS' | 'WYCHEPROOF'
  /** Where its files are in a folder of vectors. */
  readonly place: string
  /** @param path File or folder with the cases. */
  readonly run: (path: string) => readonly Outcome[]
}

export function isPassed({ expected, did }: Outcome): boolean {
  return did.is === (expected === 'accept' ? 'accepted' : 'rejected')
}

export function isFalseAccept({ expected, did }: Outcome): boolean {
  return expected === 'reject' && did.is === 'accepted'
}

/** A refusal of ours is an answer; any other error is a fault and ends the run. */
export function judge(validate: () => unknown): Did {
  try {
    validate()
    return { is: 'accepted' }
  } catch (error) {
    if (error instanceof X509Error || error instanceof MeshError) return { is: 'rejected', code: error.code }
    throw error
  }
}
