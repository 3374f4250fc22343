import type { TbsCertificate } from './certificate.ts'
import { X509Error } from './errors.ts'

/**
 * The one URI among the subject alternative names, from the DER. Not parsed further, and worth nothing before the path
 * is verified.
 *
 * @throws {X509Error} `uri_san_missing`, `uri_san_multiple`.
 */
export function uriIdentityOf({ extensions }: Pick<TbsCertificate, 'extensions'>): string {
  const [uri, ...more] = (extensions.subjectAltName ?? []).flatMap((name) => (name.type === 'uri' ? [name.value] : []))
  if (uri === undefined) throw new X509Error('uri_san_missing', 'the certificate names no URI')
  // "An X.509 SVID MUST contain exactly one URI SAN": X509-SVID §2
  if (more.length > 0) throw new X509Error('uri_san_multiple', 'the certificate names several URIs')
  return uri
}
