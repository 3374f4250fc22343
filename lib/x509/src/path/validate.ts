import { verifySignature } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { decodeCertificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import { checkExtKeyUsage } from './ext-key-usage.ts'
import { checkNames, nameBudget } from './name-constraints.ts'
import type { Path } from './resolve.ts'
import { resolvePath } from './resolve.ts'

export interface PathOptions {
  /** Certificates that are trusted as they are, at most 16. Their own constraints apply. */
  readonly anchors: readonly Certificate[]
  /** Instant to judge validity, compared in whole seconds, both ends inclusive. */
  readonly at: Date
  /** Tolerance at both ends of each validity, at most a day; 0 when absent. */
  readonly skewSeconds?: number
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
 * Validates an ordered chain up to one of `anchors`.
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
  checkCritical(anchor)
  checkIssuer(anchor)
  for (let i = issuers.length - 1; i >= 0; i--) {
    const issuer = issuers[i]
    if (issuer === undefined) continue
    checkSignature(issuer, issuers[i + 1] ?? anchor)
    checkValidity(issuer, options)
    checkCritical(issuer)
    checkIssuer(issuer)
  }
  checkPathLengths(path)
  checkSignature(leaf, issuers[0] ?? anchor)
  checkValidity(leaf, options)
  checkCritical(leaf)
  checkLeaf(leaf)
  checkExtKeyUsage(path, options.eku)
  checkNameConstraints(path)
  return Object.freeze({ leaf, chain: Object.freeze([leaf, ...issuers]), anchor }) as VerifiedPath
}

function checkSignature(certificate: Certificate, issuer: Certificate): void {
  const { signatureAlgorithm, tbsDer, signature } = certificate
  if (!verifySignature(signatureAlgorithm, issuer.publicKey, tbsDer, signature)) {
    throw new X509Error('certificate_signature_invalid', 'a certificate is not signed by its issuer')
  }
}

/** "The certificate validity period includes the current time": RFC 5280 §6.1.3 (a)(2). Both ends are inside (§4.1.2.5). */
function checkValidity({ notBefore, notAfter }: Certificate, { at, skewSeconds = 0 }: PathOptions): void {
  const now = Math.floor(at.getTime() / 1000)
  if (Number.isNaN(now)) throw new TypeError('validateChain: `at` is not an instant')
  if (!(skewSeconds >= 0 && skewSeconds <= 86_400)) throw new TypeError('validateChain: the tolerance is at most a day')
  if (now + skewSeconds < notBefore.getTime() / 1000) {
    throw new X509Error('certificate_not_yet_valid', `a certificate is valid from ${notBefore.toISOString()} on`)
  }
  if (now - skewSeconds > notAfter.getTime() / 1000) {
    throw new X509Error('certificate_expired', `a certificate expired after ${notAfter.toISOString()}`)
  }
}

/**
 * "If any unprocessed critical extension appears in certificate i, fail": RFC 5280 §6.1.4 (o), §6.1.5 (f).
 */
function checkCritical({ extensions }: Certificate): void {
  for (const oid of extensions.critical) {
    if (!PROCESSED.has(oid)) {
      throw new X509Error('extension_critical_unknown', `extension ${oid} is critical and not processed`)
    }
  }
}

function checkIssuer({ extensions }: Certificate): void {
  // "verify that the basicConstraints extension is present and that cA is set to TRUE": RFC 5280 §6.1.4 (k)
  if (extensions.basicConstraints?.isCa !== true) {
    throw new X509Error('issuer_not_a_ca', 'an issuing certificate is not of a CA')
  }
  // "If a key usage extension is present, verify that the keyCertSign bit is set": RFC 5280 §6.1.4 (n). "Conforming CAs
  // MUST include this extension in certificates that contain public keys that are used to validate digital signatures
  // on other public key certificates": §4.2.1.3, so its absence is refused too.
  if (extensions.keyUsage?.has('keyCertSign') !== true) {
    throw new X509Error('issuer_key_usage', 'an issuing certificate does not allow to sign certificates')
  }
}

/** "the maximum number of non-self-issued intermediate certificates that may follow this certificate": §4.2.1.9 */
function checkPathLengths({ issuers, anchor }: Path): void {
  let below = 0
  for (const ca of [...issuers, anchor]) {
    const allowed = ca.extensions.basicConstraints?.pathLength
    if (allowed !== undefined && below > allowed) {
      throw new X509Error('path_length_exceeded', `a CA allows ${allowed} CAs below it and has ${below}`)
    }
    if (!ca.isSelfIssued) below += 1
  }
}

/** "The cA field MUST be set to false", "MUST set digitalSignature", "MUST NOT set keyCertSign or cRLSign": X509-SVID §4. */
function checkLeaf({ extensions }: Certificate): void {
  if (extensions.basicConstraints?.isCa === true) throw new X509Error('leaf_is_a_ca', 'the leaf is a CA')
  const usage = extensions.keyUsage
  if (usage?.has('digitalSignature') !== true || usage.has('keyCertSign') || usage.has('cRLSign')) {
    throw new X509Error('leaf_key_usage', 'the leaf needs digitalSignature, and neither keyCertSign nor cRLSign')
  }
}

/** "if certificate i is self-issued and it is not the final certificate in the path, skip this step": §6.1.3 (b), (c). */
function checkNameConstraints({ leaf, issuers, anchor }: Path): void {
  const budget = nameBudget()
  const chain = [leaf, ...issuers]
  for (const [i, certificate] of chain.entries()) {
    if (certificate.isSelfIssued && certificate !== leaf) continue
    for (const issuer of [...chain.slice(i + 1), anchor]) {
      const { nameConstraints } = issuer.extensions
      if (nameConstraints !== undefined) checkNames(certificate, nameConstraints, budget)
    }
  }
}

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
