import { readAlgorithm, verifySignature } from '../algorithm.ts'
import type { Certificate } from '../certificate.ts'
import { viewDer } from '../der/reader.ts'
import { X509Error } from '../errors.ts'
import type { PathOptions } from '../path/validate.ts'
import { validateChain } from '../path/validate.ts'
import type { OcspRequestSignature } from './request.ts'

declare const verified: unique symbol

/** Who signed a request, by a certificate under one of the anchors given. Minted only here. */
export type VerifiedRequestor = { readonly certificate: Certificate } & { readonly [verified]: true }

/**
 * Verifies the signature of an OCSPRequest and the path of the certificate that goes along with it, leaf first.
 *
 * Does **not** look at requestorName, which is what the client says of itself, nor at revocation.
 *
 * @throws {X509Error} `ocsp_request_signature`, `algorithm_unsupported`, and everything `validateChain` throws.
 *
 * Source: RFC 6960 §4.1.2.
 */
export function verifyOcspRequestor(signature: OcspRequestSignature, options: PathOptions): VerifiedRequestor {
  const { leaf } = validateChain(signature.certificatesDer, options)
  const algorithm = readAlgorithm(viewDer(signature.algorithmDer))
  if (!verifySignature(algorithm, leaf.publicKey, signature.tbsDer, signature.octets)) {
    throw new X509Error(
      'ocsp_request_signature',
      'the request is not signed by the certificate that goes along with it',
    )
  }
  return Object.freeze({ certificate: leaf }) as VerifiedRequestor
}
