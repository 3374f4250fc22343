import { X509Error } from '../errors.ts'
import { preparedName } from '../name-comparison.ts'
import { decodeCrl, peekCrlIssuer } from './decode.ts'
import type { CertificateList } from './model.ts'

/** The CRLs of one issuer, newest first, and why others of it cannot be read. */
export interface IssuedCrls {
  readonly complete: readonly CertificateList[]
  readonly delta: readonly CertificateList[]
  readonly refusals: readonly X509Error[]
}

/** CRLs by the prepared name of their issuer. */
export type CrlPool = (issuer: string) => IssuedCrls

/**
 * Sorts CRLs that came in, in any order; those of an issuer are decoded when they are asked for.
 *
 * @throws {X509Error} `path_budget_exceeded` for more than 256 CRLs or 16 MiB.
 */
export function crlPool(crls: readonly Uint8Array[]): CrlPool {
  if (crls.length > 256 || crls.reduce((sum, { length }) => sum + length, 0) > 16 * 1024 * 1024) {
    throw new X509Error('path_budget_exceeded', 'more than 256 CRLs or 16 MiB of them')
  }
  const undecoded = Map.groupBy(crls, issuerOf)
  const decoded = new Map<string | undefined, IssuedCrls>()
  return (issuer) => {
    const found = decoded.get(issuer) ?? decodeAll(undecoded.get(issuer) ?? [])
    decoded.set(issuer, found)
    return found
  }
}

function issuerOf(der: Uint8Array): string | undefined {
  try {
    return preparedName(peekCrlIssuer(der))
  } catch (error) {
    if (error instanceof X509Error) return undefined
    throw error
  }
}

function decodeAll(ders: readonly Uint8Array[]): IssuedCrls {
  const crls: CertificateList[] = []
  const refusals: X509Error[] = []
  for (const der of ders) {
    try {
      crls.push(decodeCrl(der))
    } catch (error) {
      if (!(error instanceof X509Error)) throw error
      refusals.push(error)
    }
  }
  const newestFirst = crls.toSorted((a, b) => {
    const [left, right] = [a.extensions.crlNumber, b.extensions.crlNumber]
    return left === right ? b.thisUpdate.getTime() - a.thisUpdate.getTime() : left < right ? 1 : -1
  })
  const { complete = [], delta = [] } = Object.groupBy(newestFirst, ({ extensions }) =>
    extensions.baseCrlNumber === undefined ? 'complete' : 'delta',
  )
  return { complete, delta, refusals }
}
