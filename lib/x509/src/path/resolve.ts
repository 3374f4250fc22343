import { verifySignature } from '../algorithm.ts'
import type { AnyAlgorithm, Certificate } from '../certificate.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import type { ForeignKeyKind } from '../foreign-key.ts'
import { sameName } from '../name.ts'

/** Leaf, the CAs above it in order, and the anchor above those. Names chain; nothing else is checked. */
export interface Path<C = Certificate> {
  readonly leaf: C
  readonly issuers: readonly C[]
  readonly anchor: C
}

/** One of ours or a foreign one. */
export type PathCertificate = Certificate<AnyAlgorithm, ForeignKeyKind>
export type AnyPath = Path<PathCertificate>

/**
 * Arranges an ordered chain and finds its anchor: the last certificate itself, or the one that signed it.
 *
 * @throws {X509Error} `chain_surplus`, `chain_names_broken`, `leaf_is_a_ca`, `issuer_unknown`, `path_budget_exceeded`,
 *   and `certificate_signature_invalid` when anchors have the right name and the wrong key.
 */
export function resolvePath(chain: readonly Certificate[], anchors: readonly Certificate[]): Path {
  if (anchors.length > MAX_ANCHORS) throw new X509Error('path_budget_exceeded', `more than ${MAX_ANCHORS} anchors`)
  const [leaf, ...rest] = chain
  if (leaf === undefined) throw new X509Error('chain_empty', 'the chain has no certificate')
  if (anchors.some((anchor) => sameBytes(anchor.der, leaf.der))) {
    throw new X509Error('leaf_is_a_ca', 'the chain starts with a trust anchor')
  }
  const sentAt = rest.findIndex((certificate) => anchors.some((anchor) => sameBytes(anchor.der, certificate.der)))
  if (sentAt !== -1 && sentAt < rest.length - 1) {
    throw new X509Error('chain_surplus', 'certificates follow the trust anchor')
  }
  // "for all x in {1, …, n-1}, the subject of certificate x is the issuer of certificate x+1": RFC 5280 §6.1
  for (const [i, issuer] of rest.entries()) {
    const certificate = chain[i]
    if (certificate !== undefined && !sameName(certificate.issuer, issuer.subject)) {
      throw new X509Error('chain_names_broken', 'a certificate is followed by one that is not its issuer')
    }
  }
  const sent = rest[sentAt]
  if (sent !== undefined) return { leaf, issuers: rest.slice(0, sentAt), anchor: sent }
  return { leaf, issuers: rest, anchor: findAnchor(rest.at(-1) ?? leaf, anchors) }
}

/** Several anchors may share a name while a root changes its key, so the signature decides between them. */
function findAnchor(top: Certificate, anchors: readonly Certificate[]): Certificate {
  const candidates = anchors.filter((anchor) => sameName(anchor.subject, top.issuer) && mayHaveSigned(anchor, top))
  const anchor = candidates.find(({ publicKey }) =>
    verifySignature(top.signatureAlgorithm, publicKey, top.tbsDer, top.signature),
  )
  if (anchor !== undefined) return anchor
  // A foreign root that borrows our root's name is foreign, not broken.
  if (candidates.length === 0 || top.isSelfIssued) {
    throw new X509Error('issuer_unknown', 'the chain does not lead to a trust anchor')
  }
  throw new X509Error('certificate_signature_invalid', 'a certificate is not signed by its issuer')
}

function mayHaveSigned(anchor: Certificate, top: Certificate): boolean {
  const wanted = top.extensions.authorityKeyId?.keyId
  const held = anchor.extensions.subjectKeyId
  return wanted === undefined || held === undefined || sameBytes(wanted, held)
}

const MAX_ANCHORS = 16
