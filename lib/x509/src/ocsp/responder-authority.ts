import { hash } from 'node:crypto'
import { verifySignature } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { decodeCertificate } from '../certificate.ts'
import { sameBytes } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import { sameName } from '../name.ts'
import { OID } from '../oid.ts'
import type { BasicOcspResponse, ResponderId } from './decode-response.ts'

export interface ResponderOptions {
  readonly issuer: Certificate
  readonly at: Date
  readonly skewSeconds: number
}

/**
 * The certificate whose key may speak for certificates of `issuer` in this response: the issuer's own, or one that came
 * along and that the issuer's key certified for OCSP signing. A key that is trusted for something else never counts.
 *
 * Costs at most one signature check per certificate sent along.
 *
 * @throws {X509Error} ocsp_responder_* codes, and what `decodeCertificate` throws.
 *
 * Source: RFC 6960 §4.2.2.2.
 */
export function authorizedResponder(response: BasicOcspResponse, options: ResponderOptions): Certificate {
  const { responder, certificatesDer } = response
  if (isNamed(responder, options.issuer)) return checkedIssuer(options.issuer)
  let refusal: X509Error | undefined
  for (const der of certificatesDer) {
    try {
      const certificate = decodeCertificate(der)
      if (isNamed(responder, certificate)) return checkedDelegate(certificate, options)
    } catch (error) {
      if (!(error instanceof X509Error)) throw error
      // What is wrong with the responder's certificate says more than what is wrong with one beside it.
      if (refusal?.code.startsWith('ocsp_') !== true) refusal = error
    }
  }
  throw refusal ?? new X509Error('ocsp_responder_unknown', 'no certificate here is that of the responder')
}

function isNamed(responder: ResponderId, { subject, publicKey }: Certificate): boolean {
  if (responder.by === 'name') return sameName(responder.name, subject)
  return sameBytes(responder.keyHash, new Uint8Array(hash('sha1', publicKey.keyBits, 'buffer')))
}

/**
 * A CA that signs its answers itself needs the bit that is "asserted when the subject public key is used for verifying
 * digital signatures, other than signatures on certificates (bit 5) and CRLs (bit 6)" (RFC 5280 §4.2.1.3, shortened).
 * Of ours only the mesh root has it, for the trust statement; all of them delegate.
 */
function checkedIssuer(issuer: Certificate): Certificate {
  if (issuer.extensions.keyUsage?.has('digitalSignature') === false) {
    throw new X509Error(
      'ocsp_responder_key_usage',
      'the issuer signed the answer, and its key usage does not allow that',
    )
  }
  return issuer
}

function checkedDelegate(certificate: Certificate, { issuer, at, skewSeconds }: ResponderOptions): Certificate {
  const { extensions } = certificate
  // "OCSP signing delegation SHALL be designated by the inclusion of id-kp-OCSPSigning": §4.2.2.2. anyExtendedKeyUsage is
  // another value.
  if (extensions.extKeyUsage?.includes(OID.ocspSigning) !== true) {
    throw new X509Error('ocsp_responder_eku', 'the responder certificate is not for OCSP signing')
  }
  if (extensions.basicConstraints?.isCa === true) {
    throw new X509Error('ocsp_responder_is_a_ca', 'the responder certificate is of a CA')
  }
  if (extensions.keyUsage?.has('digitalSignature') === false) {
    throw new X509Error(
      'ocsp_responder_key_usage',
      'the key usage of the responder certificate does not allow signatures',
    )
  }
  // "A CA may specify that an OCSP client can trust a responder for the lifetime of the responder's certificate":
  // §4.2.2.2.1. Where it does not, its status would have to be asked for, again from a responder.
  if (extensions.ocspNoCheck !== true) {
    throw new X509Error('ocsp_responder_nocheck', 'the responder certificate does not say that it need not be checked')
  }
  for (const oid of extensions.critical) {
    if (!PROCESSED.has(oid)) {
      throw new X509Error(
        'ocsp_responder_critical',
        `extension ${oid} of the responder certificate is critical and unknown`,
      )
    }
  }
  const now = Math.floor(at.getTime() / 1000)
  const { notBefore, notAfter } = certificate
  if (now + skewSeconds < notBefore.getTime() / 1000 || now - skewSeconds > notAfter.getTime() / 1000) {
    throw new X509Error('ocsp_responder_validity', 'the responder certificate is not valid now')
  }
  // "only if the delegation certificate and the certificate being checked for revocation were signed by the same key":
  // §4.2.2.2
  if (!sameName(certificate.issuer, issuer.subject) || !isSignedBy(certificate, issuer)) {
    throw new X509Error(
      'ocsp_responder_issuer',
      'the responder certificate is not from the issuer of what was asked about',
    )
  }
  return certificate
}

function isSignedBy({ signatureAlgorithm, tbsDer, signature }: Certificate, issuer: Certificate): boolean {
  return verifySignature(signatureAlgorithm, issuer.publicKey, tbsDer, signature)
}

const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extKeyUsage,
  OID.subjectAltName,
  OID.certificatePolicies,
  OID.ocspNoCheck,
])
