import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import type { Instant } from '../path/basic-processing.ts'
import { isSignedBy, positionIn } from '../path/basic-processing.ts'
import type { Budget } from '../path/budget.ts'
import { spend } from '../path/budget.ts'
import type { PathNode } from '../path/pool.ts'
import type { CertificateList, RevokedCertificate } from './model.ts'
import type { CrlPool } from './pool.ts'
import { ALL_REASONS, directoriesOf, isInScope, reasonsCovered, statusPoints } from './scope.ts'

export interface StatusDeps extends Instant {
  readonly crls: CrlPool
  readonly budget: Budget
  /** The certificate that signed this CRL, its path and status validated. @throws {X509Error} crl_* codes. */
  readonly signerOf: (crl: CertificateList, crlIssuer: string) => PathNode
}

/**
 * Refuses a certificate that is revoked, and one of which that cannot be told.
 *
 * Asks all reasons of all distribution points and of the issuer's own CRL, deltas wherever they fit.
 *
 * @throws {X509Error} `certificate_revoked`; why a CRL that speaks about the certificate cannot be used (crl_*, and what
 *   `decodeCrl` throws); `revocation_unknown` when no CRL does.
 *
 * Source: RFC 5280 §6.3.3.
 */
export function checkStatus(node: PathNode, deps: StatusDeps): void {
  const refusals: X509Error[] = []
  let covered = 0
  for (const point of statusPoints(node)) {
    for (const crlIssuer of point.crlIssuers) {
      spend(deps.budget, 'names')
      const issued = deps.crls(crlIssuer)
      if (issued.refusal !== undefined) refusals.push(issued.refusal)
      for (const crl of issued.complete) {
        spend(deps.budget, 'names', 1 + crl.names.length * point.names.length)
        if (!isInScope(crl, point, node)) continue
        const reasons = reasonsCovered(crl.list.extensions.issuingDistributionPoint, point)
        // (e) "Verify that interim_reasons_mask includes one or more reasons that are not included in the reasons_mask"
        if ((reasons & ~covered) === 0) continue
        try {
          checkAgainst({ crl: crl.list, deltas: issued.delta.map(({ list }) => list), crlIssuer }, node, deps)
        } catch (error) {
          if (!isUnusable(error)) throw error
          refusals.push(error)
          continue
        }
        covered |= reasons
        if (covered === ALL_REASONS) return
      }
    }
  }
  throw refusals[0] ?? new X509Error('revocation_unknown', 'no CRL tells whether a certificate is revoked')
}

function isUnusable(error: unknown): error is X509Error {
  return error instanceof X509Error && error.code !== 'certificate_revoked' && !error.code.endsWith('_budget_exceeded')
}

interface Candidate {
  readonly crl: CertificateList
  readonly deltas: readonly CertificateList[]
  readonly crlIssuer: string
}

/** One complete CRL with the newest delta that fits it: (a), (c), (f) to (k). */
function checkAgainst({ crl, deltas, crlIssuer }: Candidate, node: PathNode, deps: StatusDeps): void {
  const fitting = deltas.filter(
    (delta) =>
      isDeltaOf(delta, crl) && delta.signatureAlgorithm !== 'unsupported' && positionOf(delta, deps) === 'within',
  )
  const position = positionOf(crl, deps)
  if (position === 'before') throw new X509Error('crl_not_yet_valid', 'a CRL is from the future')
  // (a)(1) a complete CRL past its nextUpdate still counts together with a delta that is current
  if (position === 'after' && fitting.length === 0) throw new X509Error('crl_expired', 'a CRL is past its nextUpdate')
  const signer = deps.signerOf(crl, crlIssuer)
  // (h) "validate the signature on the delta CRL using the public key validated in step (f)"
  const delta = fitting.find((candidate) => {
    spend(deps.budget, 'signatures')
    return isSignedBy(signer.certificate, candidate)
  })
  if (position === 'after' && delta === undefined) throw new X509Error('crl_expired', 'a CRL is past its nextUpdate')
  // (i), (j) the delta speaks first; (k) removeFromCRL is unrevoked
  const entry = (delta && entryOf(delta, crlIssuer, node)) ?? entryOf(crl, crlIssuer, node)
  if (entry === undefined || entry.reason === 'removeFromCRL') return
  const since = entry.revocationDate.toISOString()
  throw new X509Error(
    'certificate_revoked',
    `a certificate is revoked since ${since}: ${entry.reason ?? 'unspecified'}`,
  )
}

/** The tolerance for clocks does not prolong a list past its end: a missing one and an old one say the same. */
function positionOf({ thisUpdate, nextUpdate }: CertificateList, instant: Instant): 'before' | 'within' | 'after' {
  const position = positionIn(thisUpdate, nextUpdate, instant)
  return position === 'within' ? positionIn(EVER, nextUpdate, { at: instant.at }) : position
}

const EVER = new Date(0)

/**
 * "The complete CRL and delta CRL have the same issuer … the same scope", the same authority key identifier; "the CRL number
 * of the complete CRL is equal to or greater than the BaseCRLNumber", and "less than the CRL number of the delta CRL":
 * RFC 5280 §5.2.4, §6.3.3 (c). The issuer is the same because both come from one list of it.
 */
function isDeltaOf(delta: CertificateList, crl: CertificateList): boolean {
  const base = delta.extensions.baseCrlNumber
  const { crlNumber } = crl.extensions
  if (base === undefined || crlNumber < base || crlNumber >= delta.extensions.crlNumber) return false
  return SAME_IN_BOTH.every((oid) => {
    const [left, right] = [valueOf(delta, oid), valueOf(crl, oid)]
    return left === undefined || right === undefined ? left === right : sameBytes(left, right)
  })
}

const SAME_IN_BOTH = [OID.issuingDistributionPoint, OID.authorityKeyId]

function valueOf({ extensions }: CertificateList, oid: string): Uint8Array | undefined {
  return extensions.all.find((extension) => extension.oid === oid)?.valueDer
}

function entryOf(crl: CertificateList, crlIssuer: string, node: PathNode): RevokedCertificate | undefined {
  const { serialHex } = node.certificate
  return crl.revoked.find((entry) => {
    if (entry.serialHex !== serialHex) return false
    const issuers = entry.certificateIssuer === undefined ? [crlIssuer] : directoriesOf(entry.certificateIssuer)
    return issuers.includes(node.issuer)
  })
}
