import { oid } from '../der/oid.ts'
import { contextConstructed, contextPrimitive } from '../der/tag.ts'
import type { Der } from '../der/writer.ts'
import {
  boolean,
  constructed,
  encodeDer,
  integer,
  NULL,
  namedBits,
  octetString,
  primitive,
  sequence,
} from '../der/writer.ts'
import type { GeneralName } from '../general-name.ts'
import { encodeGeneralName } from '../general-name.ts'
import { OID } from '../oid.ts'
import type { BasicConstraints, KeyUsage, NameConstraints } from './model.ts'
import { KEY_USAGE_BITS } from './model.ts'

/** An Extension around a finished value. FALSE is the default of `critical` and so never written. */
export function encodeExtension(extensionOid: string, critical: boolean, value: Der): Uint8Array {
  return encodeDer(sequence(oid(extensionOid), critical ? TRUE : undefined, octetString(value)))
}

export function encodeBasicConstraints({ isCa, pathLength }: BasicConstraints): Uint8Array {
  const length = pathLength === undefined ? undefined : integer(pathLength)
  return encodeExtension(OID.basicConstraints, true, sequence(isCa ? TRUE : undefined, length))
}

export function encodeKeyUsage(usages: readonly KeyUsage[]): Uint8Array {
  const bits = usages.map((usage) => KEY_USAGE_BITS[usage])
  return encodeExtension(OID.keyUsage, true, namedBits(bits))
}

export function encodeExtKeyUsage(usages: readonly string[], critical: boolean): Uint8Array {
  return encodeExtension(OID.extKeyUsage, critical, sequence(...usages.map((usage) => oid(usage))))
}

export function encodeSubjectKeyId(keyId: Uint8Array): Uint8Array {
  return encodeExtension(OID.subjectKeyId, false, octetString(keyId))
}

export function encodeAuthorityKeyId(keyId: Uint8Array): Uint8Array {
  return encodeExtension(OID.authorityKeyId, false, sequence(primitive(contextPrimitive(0), keyId)))
}

export function encodeSubjectAltName(names: readonly GeneralName[], critical: boolean): Uint8Array {
  return encodeExtension(OID.subjectAltName, critical, sequence(...names.map(encodeGeneralName)))
}

export function encodeNameConstraints({ permitted, excluded }: NameConstraints): Uint8Array {
  return encodeExtension(OID.nameConstraints, true, sequence(subtrees(0, permitted), subtrees(1, excluded)))
}

export function encodeCertificatePolicies(policies: readonly string[]): Uint8Array {
  return encodeExtension(OID.certificatePolicies, false, sequence(...policies.map((policy) => sequence(oid(policy)))))
}

export function encodeInhibitAnyPolicy(skipCertificates: number): Uint8Array {
  return encodeExtension(OID.inhibitAnyPolicy, true, integer(skipCertificates))
}

/** One distribution point with one URL. */
export function encodeCrlDistributionPoint(url: string): Uint8Array {
  return encodeDistributionPoints(OID.crlDistributionPoints, url)
}

/** cRLDistributionPoints or freshestCRL, never critical (RFC 5280 §4.2.1.13, §5.2.6). */
export function encodeDistributionPoints(extensionOid: string, url: string): Uint8Array {
  return encodeExtension(extensionOid, false, sequence(sequence(encodeDistributionPointName(url))))
}

/** The `distributionPoint` of a DistributionPoint or an IssuingDistributionPoint: a full name of one URL. */
export function encodeDistributionPointName(url: string): Der {
  const fullName = constructed(contextConstructed(0), encodeGeneralName({ type: 'uri', value: url }))
  return constructed(contextConstructed(0), fullName)
}

export function encodeAuthorityInfoAccess(urls: { ocspUrl?: string; caIssuersUrl?: string }): Uint8Array {
  return encodeExtension(
    OID.authorityInfoAccess,
    false,
    sequence(access(OID.ocsp, urls.ocspUrl), access(OID.caIssuers, urls.caIssuersUrl)),
  )
}

/** "The value of the extension SHALL be NULL": RFC 6960 §4.2.2.2.1. */
export function encodeOcspNoCheck(): Uint8Array {
  return encodeExtension(OID.ocspNoCheck, false, NULL)
}

function access(method: string, url: string | undefined): Der | undefined {
  return url === undefined ? undefined : sequence(oid(method), encodeGeneralName({ type: 'uri', value: url }))
}

function subtrees(tag: number, bases: readonly GeneralName[]): Der | undefined {
  if (bases.length === 0) return undefined
  return constructed(contextConstructed(tag), ...bases.map((base) => sequence(encodeGeneralName(base))))
}

const TRUE = boolean(true)
