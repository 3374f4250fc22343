import { X509Error } from '../errors.ts'
import type { VerifiedPath } from './validate.ts'

/**
 * The class of a peer: the one class OID that its leaf and every CA certificate below the anchor assert. anyPolicy and
 * other policies do not count.
 *
 * @param classOids All class OIDs that exist in the mesh.
 * @throws {X509Error} `class_missing`, `class_ambiguous`, `class_not_granted`.
 *
 * Source: architecture.md, Trust; RFC 5280 §4.2.1.4.
 */
export function assertedClass({ chain: [leaf, ...issuers] }: VerifiedPath, classOids: readonly string[]): string {
  const policies = leaf?.extensions.certificatePolicies ?? []
  const [asserted, ...more] = policies.map(({ oid }) => oid).filter((oid) => classOids.includes(oid))
  if (asserted === undefined) throw new X509Error('class_missing', 'the leaf asserts no class')
  if (more.length > 0) throw new X509Error('class_ambiguous', 'the leaf asserts several classes')
  const isGranted = issuers.every(({ extensions }) =>
    (extensions.certificatePolicies ?? []).some(({ oid }) => oid === asserted),
  )
  if (!isGranted) throw new X509Error('class_not_granted', `an issuer may not grant the class ${asserted}`)
  return asserted
}
