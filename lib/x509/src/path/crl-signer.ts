import type { CertificateList } from '../crl/model.ts'
import type { CrlPool } from '../crl/pool.ts'
import { checkStatus } from '../crl/status.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import { allowsUsage, isSignedBy } from './basic-processing.ts'
import { spend } from './budget.ts'
import type { PathNode } from './pool.ts'
import type { FoundPath, SearchSpace } from './search.ts'
import { searchPath } from './search.ts'

export interface RevocationSpace extends SearchSpace {
  readonly crls: CrlPool
  /** Judges the path of a certificate that signed CRLs, all but revocation. */
  readonly judgeSigner: (found: FoundPath) => void
}

/**
 * Refuses a path with a certificate that is revoked or may be, from the anchor down.
 *
 * @param signers CRL signers whose own status is just being asked.
 * @throws {X509Error} as `checkStatus` does.
 */
export function checkRevocation({ nodes }: FoundPath, space: RevocationSpace, signers: readonly PathNode[] = []): void {
  for (let i = nodes.length - 2; i >= 0; i--) {
    const node = nodes[i]
    const above = nodes.slice(i + 1)
    if (node === undefined) continue
    const signerOf = (crl: CertificateList, crlIssuer: string): PathNode => {
      return findSigner(crl, crlIssuer, { above, signers }, space)
    }
    checkStatus(node, {
      at: space.at,
      skewSeconds: space.skewSeconds ?? 0,
      crls: space.crls,
      budget: space.budget,
      signerOf,
    })
  }
}

interface Standing {
  /** What stands above the certificate whose status is asked: validated already, the anchor last. */
  readonly above: readonly PathNode[]
  readonly signers: readonly PathNode[]
}

/**
 * A certificate of the CRL's issuer that may sign CRLs, signed this one, and is valid itself: as part of the path in hand, or
 * by a path of its own to the same anchor.
 *
 * "Obtain and validate the certification path for the issuer of the complete CRL. The trust anchor for the certification path
 * MUST be the same as the trust anchor used to validate the target certificate. If a key usage extension is present in the
 * CRL issuer's certificate, verify that the cRLSign bit is set": RFC 5280 §6.3.3 (f)
 */
function findSigner(crl: CertificateList, crlIssuer: string, standing: Standing, space: RevocationSpace): PathNode {
  const refusals: X509Error[] = []
  const distrusted: X509Error[] = []
  for (const candidate of likelyFirst(space.pool.named(crlIssuer), crl, standing)) {
    if (!allowsUsage(candidate.certificate.extensions.keyUsage, 'cRLSign', true)) {
      refusals.push(
        new X509Error('crl_signer_key_usage', 'the certificate of a CRL issuer does not allow to sign CRLs'),
      )
      continue
    }
    spend(space.budget, 'signatures')
    if (!isSignedBy(candidate.certificate, crl)) {
      refusals.push(new X509Error('crl_signature_invalid', 'a CRL is not signed by its issuer'))
      continue
    }
    const refusal = standing.above.includes(candidate) ? undefined : refusalOf(candidate, standing, space)
    if (refusal === undefined) return candidate
    distrusted.push(refusal)
  }
  throw (
    distrusted[0] ??
    refusals[0] ??
    new X509Error('crl_signer_unknown', 'there is no certificate of the issuer of a CRL')
  )
}

/** A signer whose status is being asked may answer for itself: nobody else does where its issuer says so. */
function refusalOf(signer: PathNode, { above, signers }: Standing, space: RevocationSpace): X509Error | undefined {
  if (signers.includes(signer)) return undefined
  const anchor = above.at(-1)
  try {
    if (signers.length >= MAX_NESTING) throw new X509Error('revocation_unknown', 'CRL signers lead to CRL signers')
    searchPath(signer, space, (found) => {
      if (found.nodes.at(-1) !== anchor) throw new X509Error('issuer_unknown', 'the signer of a CRL has another anchor')
      space.judgeSigner(found)
      checkRevocation(found, space, [...signers, signer])
    })
    return undefined
  } catch (cause) {
    if (!(cause instanceof X509Error) || cause.code.endsWith('_budget_exceeded')) throw cause
    return new X509Error('crl_signer_unknown', 'the certificate of a CRL issuer is not valid itself', { cause })
  }
}

/** The issuer that stands in the path, and the key that the CRL names. */
function likelyFirst(candidates: readonly PathNode[], crl: CertificateList, { above }: Standing): PathNode[] {
  const wanted = crl.extensions.authorityKeyId.keyId
  const unlikeliness = (node: PathNode): number => {
    const held = node.certificate.extensions.subjectKeyId
    const isOtherKey = wanted !== undefined && held !== undefined && !sameBytes(wanted, held)
    return (isOtherKey ? 2 : 0) + (above.includes(node) ? 0 : 1)
  }
  return candidates.toSorted((a, b) => unlikeliness(a) - unlikeliness(b))
}

const MAX_NESTING = 4
