import type { Certificate } from '../certificate.ts'
import { decodeCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import type { Instant } from './basic-processing.ts'
import {
  checkCritical,
  checkIssuer,
  checkNameConstraints,
  checkPathLengths,
  checkSignature,
  checkValidity,
} from './basic-processing.ts'
import { freshBudget } from './budget.ts'
import { checkExtKeyUsage } from './ext-key-usage.ts'
import { resolvePath } from './resolve.ts'

export interface PathOptions extends Instant {
  /** Certificates that are trusted as they are, at most 16. Their own constraints apply. */
  readonly anchors: readonly Certificate[]
  /** The extended key usage the leaf must carry and every CA below the anchor must grant. */
  readonly eku: string
}

declare const verified: unique symbol

/** A path that `validateChain` accepted. `chain` starts with the leaf and leaves the anchor out. Minted only here. */
export type VerifiedPath = {
  readonly leaf: Certificate
  readonly chain: readonly Certificate[]
  readonly anchor: Certificate
} & { readonly [verified]: true }

/** Longest chain that is looked at, anchor included where it is sent. */
export const MAX_CHAIN = 4

/**
 * Validates an ordered chain of our own certificates up to one of `anchors`; for others see `findPath`.
 *
 * Checks signatures, validity, name chaining by bytes, CA bit, key usage, path length, extended key usage of every CA,
 * name constraints and critical extensions, the anchor's own ones included. Does **not** check revocation, the class
 * (see `assertedClass`), or who the leaf is (see `uriIdentityOf`); does not look for another path.
 * Bounded to four certificates and 20 000 comparisons of names; each certificate costs one signature check, the last
 * one as many as there are anchors with its issuer's name.
 *
 * @param chain DER of at most four certificates, at most 16 KiB each: the leaf first, each next one its issuer, the
 *   anchor itself optional.
 * @returns The path as a proof value.
 * @throws {X509Error} chain_*, `issuer_unknown`, certificate_*, issuer_*, path_*, leaf_*, eku_*, `name_*`,
 *   `extension_critical_unknown`, and everything `decodeCertificate` throws. TLS alerts are in `X509_FAILURES`.
 *
 * Source: RFC 5280 §6.1, without policy processing beyond `assertedClass`: a critical policyConstraints or
 * policyMappings is refused.
 */
export function validateChain(chain: readonly Uint8Array[], options: PathOptions): VerifiedPath {
  if (options.eku === OID.anyExtKeyUsage) throw new TypeError('validateChain: a definite extended key usage is needed')
  if (chain.length === 0) throw new X509Error('chain_empty', 'the chain has no certificate')
  if (chain.length > MAX_CHAIN)
    throw new X509Error('chain_too_long', `the chain has more than ${MAX_CHAIN} certificates`)
  const path = resolvePath(chain.map(decodeCertificate), options.anchors)
  const { leaf, issuers, anchor } = path

  // Top-down: nothing below an issuer is looked at before the issuer itself is good.
  checkValidity(anchor, options)
  checkCritical(anchor, PROCESSED)
  checkIssuer(anchor, KEY_USAGE_OPTIONAL)
  for (let i = issuers.length - 1; i >= 0; i--) {
    const issuer = issuers[i]
    if (issuer === undefined) continue
    checkSignature(issuer, issuers[i + 1] ?? anchor)
    checkValidity(issuer, options)
    checkCritical(issuer, PROCESSED)
    checkIssuer(issuer, KEY_USAGE_OPTIONAL)
  }
  checkPathLengths(path)
  checkSignature(leaf, issuers[0] ?? anchor)
  checkValidity(leaf, options)
  checkCritical(leaf, PROCESSED)
  checkLeaf(leaf)
  checkExtKeyUsage(path, options.eku)
  checkNameConstraints(path, 'all-forms', freshBudget())
  return Object.freeze({ leaf, chain: Object.freeze([leaf, ...issuers]), anchor }) as VerifiedPath
}

/** "The cA field MUST be set to false", "MUST set digitalSignature", "MUST NOT set keyCertSign or cRLSign": X509-SVID §4. */
function checkLeaf({ extensions }: Certificate): void {
  if (extensions.basicConstraints?.isCa === true) throw new X509Error('leaf_is_a_ca', 'the leaf is a CA')
  const usage = extensions.keyUsage
  if (usage?.has('digitalSignature') !== true || usage.has('keyCertSign') || usage.has('cRLSign')) {
    throw new X509Error('leaf_key_usage', 'the leaf needs digitalSignature, and neither keyCertSign nor cRLSign')
  }
}

/**
 * "Conforming CAs MUST include this extension in certificates that contain public keys that are used to validate digital
 * signatures on other public key certificates": RFC 5280 §4.2.1.3. So its absence is refused too.
 */
const KEY_USAGE_OPTIONAL = false

/** inhibitAnyPolicy and certificatePolicies: anyPolicy never counts as a class here, which is stricter than both. */
const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extKeyUsage,
  OID.subjectAltName,
  OID.nameConstraints,
  OID.certificatePolicies,
  OID.inhibitAnyPolicy,
])
