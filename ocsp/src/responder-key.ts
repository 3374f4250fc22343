import { type Certificate, type OcspResponder, OID, ocspResponder, type TbsSigner } from '@vcc/x509'

/** A delegated responder of one CA: its key, its certificate, and what all of its answers have in common. */
export interface ResponderKey {
  readonly certificate: Certificate
  readonly signer: TbsSigner
  readonly encoding: OcspResponder
}

/**
 * Puts key and certificate together. The caller has proved that they belong together (`assertKeyMatches`) and that the CA
 * issued the certificate.
 *
 * @throws {TypeError} for a certificate that no client would take an answer of: another key, not for OCSP signing alone, no
 *   digitalSignature, no nocheck.
 *
 * Source: RFC 6960 §4.2.2.2.
 */
export function responderKey(certificate: Certificate, signer: TbsSigner): ResponderKey {
  const { keyUsage, extKeyUsage, ocspNoCheck } = certificate.extensions
  if (certificate.publicKey.spkiSha256Hex !== signer.publicKey.spkiSha256Hex) {
    throw new TypeError('responderKey: the certificate is of another key')
  }
  if (extKeyUsage?.length !== 1 || extKeyUsage[0] !== OID.ocspSigning) {
    throw new TypeError('responderKey: the certificate is not for OCSP signing alone')
  }
  if (keyUsage?.has('digitalSignature') !== true || ocspNoCheck !== true) {
    throw new TypeError('responderKey: the certificate lacks digitalSignature or nocheck')
  }
  return { certificate, signer, encoding: ocspResponder(certificate, signer.algorithm) }
}

/**
 * Which of a CA's responder keys signs at this instant: of those in force, the one that stays so for longest. A new one takes
 * over as soon as its notBefore is past; the old one's answers go on until they end.
 */
export function currentResponderKey(keys: readonly ResponderKey[], at: Date): ResponderKey | undefined {
  let current: ResponderKey | undefined
  for (const key of keys) {
    const { notBefore, notAfter } = key.certificate
    if (at < notBefore || at > notAfter) continue
    if (current === undefined || notAfter > current.certificate.notAfter) current = key
  }
  return current
}

/**
 * The latest instant at which the successor of this certificate has to be in force: from then on answers would have to end
 * before their time, because none outlives the certificate of its key.
 *
 * @param validitySeconds How long answers are to be in force.
 */
export function successorDue({ notAfter }: Certificate, validitySeconds: number): Date {
  return new Date(notAfter.getTime() - validitySeconds * 1000)
}
