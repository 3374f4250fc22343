import type { ForeignCertificate } from '../certificate.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import type { Instant } from './basic-processing.ts'
import { isSignedBy, positionIn } from './basic-processing.ts'
import type { Budget } from './budget.ts'
import { spend } from './budget.ts'
import type { PathNode, Pool } from './pool.ts'
import type { Path } from './resolve.ts'

/** What one validation searches in, shared by all the searches it makes. */
export interface SearchSpace extends Instant {
  readonly pool: Pool
  /** Most intermediates that are not self-issued. */
  readonly maxDepth: number
  readonly budget: Budget
  /** Signatures that were checked: by certificate, then by the key that may have made them. */
  readonly checked: Map<PathNode, Map<string, boolean>>
}

/** Leaf first, anchor last, as nodes; `path` is the same as certificates. */
export interface FoundPath {
  readonly nodes: readonly PathNode[]
  readonly path: Path<ForeignCertificate>
}

/**
 * Walks from `target` to the anchors, depth first, likely issuers first, and gives each path that it finds to `accept` until
 * one is accepted. Names chain by RFC 5280 §7.1, and every signature along a path was checked; nothing else was.
 *
 * @param accept Judges one path and throws an X509Error for one that will not do.
 * @throws {X509Error} what `accept` said of the first path found; without any, `certificate_signature_invalid`,
 *   `chain_too_long` or `issuer_unknown`; `path_budget_exceeded` and `signature_budget_exceeded` at once.
 *
 * Source: RFC 4158 §2.4, §3.5 (order), §5.2 (loops).
 */
export function searchPath<T>(target: PathNode, space: SearchSpace, accept: (found: FoundPath) => T): T {
  const refusals: Record<'path' | 'signature' | 'depth', X509Error[]> = { path: [], signature: [], depth: [] }

  const visit = (trail: readonly [PathNode, ...PathNode[]], depth: number): { accepted: T } | undefined => {
    const child = trail.at(-1) ?? target
    for (const issuer of likelyFirst(space.pool.named(child.issuer), child, space)) {
      if (!issuer.isAnchor && trail.some((node) => isSameEntity(node, issuer))) continue
      spend(space.budget, 'paths', issuer.isAnchor ? STEPS_PER_PATH : 1)
      const below = depth + (issuer.isAnchor || issuer.certificate.isSelfIssued ? 0 : 1)
      if (below > space.maxDepth || trail.length > MAX_LENGTH) {
        refusals.depth.push(new X509Error('chain_too_long', `more than ${space.maxDepth} intermediates`))
        continue
      }
      if (!attempt(() => checkIssuedBy(child, issuer, space), refusals.signature)) continue
      const found = issuer.isAnchor
        ? attempt(() => ({ accepted: accept(foundPath(trail, issuer)) }), refusals.path)
        : visit([...trail, issuer], below)
      if (found !== undefined) return found
    }
    return undefined
  }

  const found = visit([target], 0)
  if (found !== undefined) return found.accepted
  const cause = space.pool.unreadable()
  throw (
    refusals.path[0] ??
    refusals.signature[0] ??
    refusals.depth[0] ??
    new X509Error('issuer_unknown', 'the certificate does not lead to a trust anchor', cause && { cause })
  )
}

/** A refusal is one way that does not lead on; a budget that is spent ends all of them. */
function attempt<T>(step: () => T, refusals: X509Error[]): T | undefined {
  try {
    return step()
  } catch (error) {
    if (!(error instanceof X509Error) || error.code.endsWith('_budget_exceeded')) throw error
    refusals.push(error)
    return undefined
  }
}

function foundPath(trail: readonly [PathNode, ...PathNode[]], anchor: PathNode): FoundPath {
  const [leaf, ...issuers] = trail
  return {
    nodes: [...trail, anchor],
    path: {
      leaf: leaf.certificate,
      issuers: issuers.map(({ certificate }) => certificate),
      anchor: anchor.certificate,
    },
  }
}

/** The same name with the same key adds nothing to a path that already has it, whichever certificate says so. */
function isSameEntity(a: PathNode, b: PathNode): boolean {
  return a.subject === b.subject && sameBytes(a.certificate.publicKey.spkiDer, b.certificate.publicKey.spkiDer)
}

function checkIssuedBy(child: PathNode, issuer: PathNode, { checked, budget }: SearchSpace): true {
  const byKey = checked.get(child) ?? new Map<string, boolean>()
  checked.set(child, byKey)
  const key = issuer.certificate.publicKey.spkiSha256Hex
  if (!byKey.has(key)) {
    spend(budget, 'signatures')
    byKey.set(key, false)
    byKey.set(key, isSignedBy(issuer.certificate, child.certificate))
  }
  if (byKey.get(key) === true) return true
  throw new X509Error('certificate_signature_invalid', 'a certificate is not signed by its issuer')
}

/** Key identifiers "facilitate certification path construction" (RFC 5280 §4.2.1.1) and decide nothing. */
function likelyFirst(issuers: readonly PathNode[], child: PathNode, instant: Instant): PathNode[] {
  const wanted = child.certificate.extensions.authorityKeyId?.keyId
  const unlikeliness = ({ certificate, isAnchor }: PathNode): number => {
    const held = certificate.extensions.subjectKeyId
    const isOtherKey = wanted !== undefined && held !== undefined && !sameBytes(wanted, held)
    const isValid = positionIn(certificate.notBefore, certificate.notAfter, instant) === 'within'
    return (isOtherKey ? 4 : 0) + (isAnchor ? 0 : 2) + (isValid ? 0 : 1)
  }
  return issuers
    .map((node) => ({ node, rank: unlikeliness(node) }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ node }) => node)
}

/** A path that leads to an anchor is judged whole, so that no more than 64 are. */
const STEPS_PER_PATH = 16
/** Self-issued certificates do not count as depth; this bounds them too. */
const MAX_LENGTH = 32
