import { X509Error } from '../errors.ts'
import type { KeyUsage } from '../extension/model.ts'
import { verifyForeignSignature } from '../foreign-key.ts'
import type { Budget } from './budget.ts'
import type { ConstraintForms } from './name-constraints.ts'
import { checkNames } from './name-constraints.ts'
import type { AnyPath, PathCertificate } from './resolve.ts'

/** The instant to judge validity. */
export interface Instant {
  /** Compared in whole seconds, both ends of a validity inclusive. */
  readonly at: Date
  /** Tolerance at both ends of each validity, at most a day; 0 when absent. */
  readonly skewSeconds?: number
}

/** What `data` says, signed with the key of `issuer`? @throws {X509Error} `algorithm_unsupported`, `key_invalid`. */
export function isSignedBy(
  issuer: Pick<PathCertificate, 'publicKey'>,
  signed: Pick<PathCertificate, 'signatureAlgorithm' | 'tbsDer' | 'signature'>,
): boolean {
  const { signatureAlgorithm: algorithm, tbsDer, signature } = signed
  if (algorithm === 'unsupported') {
    throw new X509Error('algorithm_unsupported', 'the signature algorithm is not one we accept')
  }
  return verifyForeignSignature(algorithm, issuer.publicKey, tbsDer, signature)
}

export function checkSignature(certificate: PathCertificate, issuer: PathCertificate): void {
  if (!isSignedBy(issuer, certificate)) {
    throw new X509Error('certificate_signature_invalid', 'a certificate is not signed by its issuer')
  }
}

/** "The certificate validity period includes the current time": RFC 5280 §6.1.3 (a)(2). Both ends are inside (§4.1.2.5). */
export function checkValidity({ notBefore, notAfter }: PathCertificate, instant: Instant): void {
  const position = positionIn(notBefore, notAfter, instant)
  if (position === 'before') {
    throw new X509Error('certificate_not_yet_valid', `a certificate is valid from ${notBefore.toISOString()} on`)
  }
  if (position === 'after') {
    throw new X509Error('certificate_expired', `a certificate expired after ${notAfter.toISOString()}`)
  }
}

/** Where the instant lies. @throws {TypeError} for one that is none, and for a tolerance beyond a day. */
export function positionIn(from: Date, until: Date, { at, skewSeconds = 0 }: Instant): 'before' | 'within' | 'after' {
  const now = Math.floor(at.getTime() / 1000)
  if (Number.isNaN(now)) throw new TypeError('path validation: `at` is not an instant')
  if (!(skewSeconds >= 0 && skewSeconds <= 86_400)) throw new TypeError('path validation: tolerance is at most a day')
  if (now + skewSeconds < from.getTime() / 1000) return 'before'
  return now - skewSeconds > until.getTime() / 1000 ? 'after' : 'within'
}

/** "If any unprocessed critical extension appears in certificate i, fail": RFC 5280 §6.1.4 (o), §6.1.5 (f). */
export function checkCritical({ extensions }: PathCertificate, processed: ReadonlySet<string>): void {
  for (const oid of extensions.critical) {
    if (!processed.has(oid)) {
      throw new X509Error('extension_critical_unknown', `extension ${oid} is critical and not processed`)
    }
  }
}

/** A certificate that stands above another one. */
export function checkIssuer({ extensions }: PathCertificate, isKeyUsageOptional: boolean): void {
  // "verify that the basicConstraints extension is present and that cA is set to TRUE": RFC 5280 §6.1.4 (k)
  if (extensions.basicConstraints?.isCa !== true) {
    throw new X509Error('issuer_not_a_ca', 'an issuing certificate is not of a CA')
  }
  // "If a key usage extension is present, verify that the keyCertSign bit is set": RFC 5280 §6.1.4 (n)
  if (!allowsUsage(extensions.keyUsage, 'keyCertSign', isKeyUsageOptional)) {
    throw new X509Error('issuer_key_usage', 'an issuing certificate does not allow to sign certificates')
  }
}

/** Whether a keyUsage extension has the bit; where it may be absent, it then allows everything (RFC 5280 §4.2.1.3). */
export function allowsUsage(usages: ReadonlySet<KeyUsage> | undefined, usage: KeyUsage, isOptional: boolean): boolean {
  return usages === undefined ? isOptional : usages.has(usage)
}

/** "the maximum number of non-self-issued intermediate certificates that may follow this certificate": §4.2.1.9 */
export function checkPathLengths({ issuers, anchor }: AnyPath): void {
  let below = 0
  for (const ca of [...issuers, anchor]) {
    const allowed = ca.extensions.basicConstraints?.pathLength
    if (allowed !== undefined && below > allowed) {
      throw new X509Error('path_length_exceeded', `a CA allows ${allowed} CAs below it and has ${below}`)
    }
    if (!ca.isSelfIssued) below += 1
  }
}

/** "if certificate i is self-issued and it is not the final certificate in the path, skip this step": §6.1.3 (b), (c). */
export function checkNameConstraints({ leaf, issuers, anchor }: AnyPath, forms: ConstraintForms, budget: Budget): void {
  const chain = [leaf, ...issuers]
  for (const [i, certificate] of chain.entries()) {
    if (certificate.isSelfIssued && certificate !== leaf) continue
    for (const issuer of [...chain.slice(i + 1), anchor]) {
      const { nameConstraints } = issuer.extensions
      if (nameConstraints !== undefined) checkNames(certificate, nameConstraints, forms, budget)
    }
  }
}
