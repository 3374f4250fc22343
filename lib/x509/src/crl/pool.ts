import { X509Error } from '../errors.ts'
import { preparedName } from '../name-comparison.ts'
import { decodeCrl, peekCrlIssuer } from './decode.ts'
import type { PooledCrl } from './scope.ts'
import { pointNames } from './scope.ts'

/** The CRLs of one issuer, newest first, and why another one of it cannot be read. */
export interface IssuedCrls {
  readonly complete: readonly PooledCrl[]
  readonly delta: readonly PooledCrl[]
  readonly refusal?: X509Error
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
    const found = decoded.get(issuer) ?? decodeAll(undecoded.get(issuer) ?? [], issuer ?? '')
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

function decodeAll(ders: readonly Uint8Array[], issuer: string): IssuedCrls {
  const crls: PooledCrl[] = []
  let refusal: X509Error | undefined
  for (const der of ders) {
    try {
      const list = decodeCrl(der)
      const scope = list.extensions.issuingDistributionPoint
      crls.push({ list, names: scope === undefined ? [] : pointNames(scope, issuer) })
    } catch (error) {
      if (!(error instanceof X509Error)) throw error
      refusal ??= error
    }
  }
  const { complete = [], delta = [] } = Object.groupBy(crls.toSorted(newestFirst), ({ list }) =>
    list.extensions.baseCrlNumber === undefined ? 'complete' : 'delta',
  )
  return { complete, delta, ...(refusal === undefined ? {} : { refusal }) }
}

function newestFirst({ list: a }: PooledCrl, { list: b }: PooledCrl): number {
  const [left, right] = [a.extensions.crlNumber, b.extensions.crlNumber]
  return left === right ? b.thisUpdate.getTime() - a.thisUpdate.getTime() : left < right ? 1 : -1
}
