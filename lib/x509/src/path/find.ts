import type { ForeignCertificate } from '../certificate.ts'
import { decodeForeignCertificate } from '../certificate.ts'
import { crlPool } from '../crl/pool.ts'
import type { Departure } from '../departure.ts'
import { X509Error } from '../errors.ts'
import type { KeyUsage } from '../extension/model.ts'
import { OID } from '../oid.ts'
import type { Instant } from './basic-processing.ts'
import {
  allowsUsage,
  checkCritical,
  checkIssuer,
  checkNameConstraints,
  checkPathLengths,
  checkValidity,
} from './basic-processing.ts'
import type { Budget } from './budget.ts'
import { freshBudget } from './budget.ts'
import { checkRules } from './certificate-rule.ts'
import { checkRevocation } from './crl-signer.ts'
import { checkUsage } from './ext-key-usage.ts'
import type { PeerName } from './peer-name.ts'
import { checkPeerName } from './peer-name.ts'
import type { PolicyInputs } from './policy.ts'
import { processPolicies } from './policy.ts'
import { certificatePool, pathNode } from './pool.ts'
import type { PathProfileName } from './profile.ts'
import { PATH_PROFILES } from './profile.ts'
import type { FoundPath } from './search.ts'
import { searchPath } from './search.ts'

export interface FindOptions extends Instant {
  readonly profile: PathProfileName
  /** Certificates that are trusted, at most 256. Their own constraints apply. */
  readonly anchors: readonly ForeignCertificate[]
  /** DER in any order, at most 512 and 4 MiB. What does not belong to the path, occurs twice or cannot be read is ignored. */
  readonly intermediates: readonly Uint8Array[]
  /** The extended key usage that is wanted; any when absent. */
  readonly eku?: string
  /** What the key of the leaf is used for; where it has no keyUsage, everything is allowed. */
  readonly keyUsage?: readonly KeyUsage[]
  /** Names that the leaf has to have, all of them. */
  readonly peers?: readonly PeerName[]
  /** Most intermediates between leaf and anchor, self-issued ones not counted; 8 when absent. */
  readonly maxDepth?: number
  readonly policies?: PolicyInputs
  /**
   * DER of complete and delta CRLs in any order, at most 256 and 16 MiB. When given, every certificate below the anchor needs
   * a status from them; when absent, revocation is not looked at.
   */
  readonly crls?: readonly Uint8Array[]
  /** For `webpki`: whether a domain (lower case) is a public suffix. When absent, exactly the single labels are. */
  readonly isPublicSuffix?: (domain: string) => boolean
}

declare const verified: unique symbol

/**
 * A path that `findPath` accepted. `chain` starts with the leaf and leaves the anchor out. Worth nothing on the mesh, whose
 * rules are others: those take a `VerifiedPath`. Minted only here.
 */
export type VerifiedForeignPath = {
  readonly profile: PathProfileName
  readonly leaf: ForeignCertificate
  readonly chain: readonly ForeignCertificate[]
  readonly anchor: ForeignCertificate
  /** The user-constrained policy set: see `processPolicies`. */
  readonly policies: ReadonlySet<string>
} & { readonly [verified]: true }

/**
 * Finds and validates a path from `leaf` to one of the anchors, as somebody outside the mesh would.
 *
 * Checks everything of RFC 5280 §6: signatures, validity, names, CA bit and key usage, path lengths, name constraints,
 * policies, critical extensions, and revocation when CRLs are given; what else the profile asks for; and the usage and the
 * names that are wanted of the leaf. Does **not** fetch anything, nor ask an OCSP responder. The chains of the mesh go through
 * `validateChain`.
 * Bounded, whatever comes in, to 128 signature checks, 64 whole paths, 1 024 steps of path building, 20 000 comparisons of
 * names and 4 096 edges of the policy graph.
 *
 * @param leaf DER of one certificate of at most 64 KiB.
 * @returns The first path that is good.
 * @throws {X509Error} for the leaf, what `decodeCertificate` throws; without a path, `issuer_unknown`,
 *   `certificate_signature_invalid`, `chain_too_long`; otherwise the reason why the likeliest path is refused: certificate_*,
 *   issuer_*, path_*, leaf_*, eku_*, name_*, policy_*, extension_*, key_*, crl_* codes, `subject_empty`,
 *   `subject_alt_name_missing`, `alt_name_invalid`, `common_name_foreign`, `wildcard_too_wide`, `peer_name_mismatch`,
 *   `revocation_unknown`; `…_budget_exceeded`.
 *
 * Source: RFC 5280 §6, RFC 9618, RFC 4158.
 */
export function findPath(leaf: Uint8Array, options: FindOptions): VerifiedForeignPath {
  if (options.eku === OID.anyExtKeyUsage) throw new TypeError('findPath: a definite extended key usage is needed')
  const space = {
    at: options.at,
    skewSeconds: options.skewSeconds ?? 0,
    pool: certificatePool(options.anchors, options.intermediates),
    maxDepth: options.maxDepth ?? 8,
    budget: freshBudget(),
    checked: new Map(),
  }
  const crls = options.crls && crlPool(options.crls)
  const judgeSigner = (found: FoundPath): void => {
    judgePath(found, 'intermediate', options, space.budget)
    processPolicies(found.path, {}, space.budget)
  }
  return searchPath(pathNode(decodeForeignCertificate(leaf), false), space, (found) => {
    judgePath(found, 'leaf', options, space.budget)
    const policies = judgeLeaf(found, options, space.budget)
    if (crls !== undefined) checkRevocation(found, { ...space, crls, judgeSigner })
    return mint(found, options.profile, policies)
  })
}

/** Every certificate by itself, from the anchor down, then what they say about each other. */
function judgePath(
  { path, nodes }: FoundPath,
  role: 'leaf' | 'intermediate',
  options: FindOptions,
  budget: Budget,
): void {
  const { tolerates, rules } = PATH_PROFILES[options.profile]
  const { isPublicSuffix = isSingleLabel } = options
  for (let i = nodes.length - 1; i >= 0; i--) {
    const certificate = nodes[i]?.certificate
    if (certificate === undefined) continue
    const position = i === 0 ? role : i === nodes.length - 1 ? 'anchor' : 'intermediate'
    // An anchor was chosen by who trusts it, under whatever serial number: §6.1.1 (d) asks for its name and key.
    if (position !== 'anchor') checkDepartures(certificate, tolerates)
    checkValidity(certificate, options)
    checkCritical(certificate, options.crls === undefined ? PROCESSED : PROCESSED_WITH_CRLS)
    if (i > 0) checkIssuer(certificate, true)
    const isCa = i > 0 || certificate.extensions.basicConstraints?.isCa === true
    checkRules(rules, { certificate, position, isCa, isPublicSuffix })
  }
  checkPathLengths(path)
  checkNameConstraints(path, 'forms-in-use', budget)
}

function checkDepartures({ departures }: ForeignCertificate, tolerated: readonly Departure[]): void {
  for (const departure of departures) {
    if (!tolerated.includes(departure)) throw new X509Error(departure, 'a certificate departs from RFC 5280 §4.1')
  }
}

/** What is wanted of the leaf, and the policies that the whole path is valid for. */
function judgeLeaf({ path }: FoundPath, options: FindOptions, budget: Budget): ReadonlySet<string> {
  const { extensions } = path.leaf
  for (const usage of options.keyUsage ?? []) {
    if (!allowsUsage(extensions.keyUsage, usage, true)) {
      throw new X509Error('leaf_key_usage', `the leaf does not allow ${usage}`)
    }
  }
  checkUsage(path, options.eku, PATH_PROFILES[options.profile])
  const policies = processPolicies(path, options.policies ?? {}, budget)
  for (const peer of options.peers ?? []) checkPeerName(path.leaf, peer)
  return policies
}

function mint({ path }: FoundPath, profile: PathProfileName, policies: ReadonlySet<string>): VerifiedForeignPath {
  const { leaf, issuers, anchor } = path
  const chain = Object.freeze([leaf, ...issuers])
  return Object.freeze({ profile, leaf, chain, anchor, policies }) as VerifiedForeignPath
}

function isSingleLabel(domain: string): boolean {
  return !domain.includes('.')
}

const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extKeyUsage,
  OID.subjectAltName,
  OID.nameConstraints,
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.inhibitAnyPolicy,
])
const PROCESSED_WITH_CRLS: ReadonlySet<string> = new Set([...PROCESSED, OID.crlDistributionPoints])
