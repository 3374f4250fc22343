import type { Certificate } from '../certificate.ts'
import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import type { AnyPath, Path } from './resolve.ts'

/**
 * Extended key usages, nested: what a certificate may be used for, its issuers must all carry too. RFC 5280 leaves the
 * meaning on a CA open; this is the common reading, with every CA below the anchor obliged to have the extension, so that
 * no CA vouches for a usage its own certificate does not name.
 *
 * The exception is the delegated OCSP responder: "OCSP signing delegation SHALL be designated by the inclusion of
 * id-kp-OCSPSigning in an extended key usage certificate extension included in the OCSP response signer's certificate"
 * (RFC 6960 §4.2.2.2), issued by a CA that must not carry the usage itself, or it would be a responder for its parent.
 *
 * @throws {X509Error} `eku_missing`, `eku_not_granted`, `eku_forbidden_on_ca`.
 */
export function checkExtKeyUsage({ leaf, issuers, anchor }: Path, wanted: string): void {
  for (const issuer of [...issuers, anchor]) {
    const usages = issuer.extensions.extKeyUsage ?? []
    const forbidden = usages.find((usage) => usage === OID.ocspSigning || usage === OID.anyExtKeyUsage)
    if (forbidden !== undefined) throw new X509Error('eku_forbidden_on_ca', `a CA carries the usage ${forbidden}`)
  }
  const usages = leaf.extensions.extKeyUsage ?? []
  if (!usages.includes(wanted)) throw new X509Error('eku_missing', `the leaf does not carry the usage ${wanted}`)
  if (!isDelegatedResponder(usages)) checkGranted(usages, issuers, anchor)
  for (const [i, issuer] of issuers.entries()) {
    checkGranted(issuer.extensions.extKeyUsage ?? [], issuers.slice(i + 1), anchor)
  }
}

/**
 * Extended key usages as most of the world reads them: a certificate may be used for what it and every CA above it lists, a
 * CA without the extension allowing everything. A delegated OCSP responder is the exception, as above.
 *
 * @param wanted The usage asked for; without it, nothing is.
 * @throws {X509Error} `eku_missing`, `eku_not_granted`.
 *
 * Source: RFC 5280 §4.2.1.12; BR §7.1.2.10.6 for CAs.
 */
export function checkUsage(
  { leaf, issuers, anchor }: AnyPath,
  wanted: string | undefined,
  { isUsageOptional, isAnyUsageEnough }: { isUsageOptional: boolean; isAnyUsageEnough: boolean },
): void {
  if (wanted === undefined) return
  const usages = leaf.extensions.extKeyUsage
  const isAllowed =
    usages === undefined ? isUsageOptional : usages.includes(wanted) || (isAnyUsageEnough && hasAnyUsage(usages))
  if (!isAllowed) throw new X509Error('eku_missing', `the leaf does not carry the usage ${wanted}`)
  if (wanted === OID.ocspSigning) return
  for (const { extensions } of [...issuers, anchor]) {
    const granted = extensions.extKeyUsage
    if (granted !== undefined && !granted.includes(wanted) && !hasAnyUsage(granted)) {
      throw new X509Error('eku_not_granted', `an issuer does not carry the usage ${wanted}`)
    }
  }
}

function hasAnyUsage(usages: readonly string[]): boolean {
  return usages.includes(OID.anyExtKeyUsage)
}

function isDelegatedResponder(usages: readonly string[]): boolean {
  return usages.length === 1 && usages[0] === OID.ocspSigning
}

function checkGranted(usages: readonly string[], issuers: readonly Certificate[], anchor: Certificate): void {
  const above = issuers.map(({ extensions }) => extensions.extKeyUsage ?? [])
  // An anchor without the extension grants every usage: it is trusted as it is.
  if (anchor.extensions.extKeyUsage !== undefined) above.push(anchor.extensions.extKeyUsage)
  const refused = usages.find((usage) => above.some((granted) => !granted.includes(usage)))
  if (refused !== undefined) throw new X509Error('eku_not_granted', `an issuer does not carry the usage ${refused}`)
}
