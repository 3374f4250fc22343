import type { GeneralName } from '../general-name.ts'

/** Bit numbers of KeyUsage (RFC 5280 §4.2.1.3). */
export const KEY_USAGE_BITS = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
  encipherOnly: 7,
  decipherOnly: 8,
} as const

export type KeyUsage = keyof typeof KEY_USAGE_BITS

export interface BasicConstraints {
  readonly isCa: boolean
  readonly pathLength?: number
}

export interface AuthorityKeyId {
  readonly keyId?: Uint8Array
  readonly issuer?: readonly GeneralName[]
  readonly serialHex?: string
}

/** Subtrees as bases alone: `minimum` other than 0 and `maximum` are refused (RFC 5280 §4.2.1.10). */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export interface PolicyInformation {
  readonly oid: string
  /** SEQUENCE OF PolicyQualifierInfo, not looked into. */
  readonly qualifiersDer?: Uint8Array
}

export interface PolicyConstraints {
  readonly requireExplicitPolicy?: number
  readonly inhibitPolicyMapping?: number
}

export interface PolicyMapping {
  readonly issuerDomainPolicy: string
  readonly subjectDomainPolicy: string
}

/** Either `fullName` has an element or `relativeNameDer` is there, or neither. */
export interface DistributionPointName {
  readonly fullName: readonly GeneralName[]
  /** RelativeDistinguishedName under its IMPLICIT tag [1]. */
  readonly relativeNameDer?: Uint8Array
}

export interface DistributionPoint extends DistributionPointName {
  /** Bit numbers of ReasonFlags. */
  readonly reasons?: readonly number[]
  readonly crlIssuer?: readonly GeneralName[]
}

export interface AccessDescription {
  readonly method: string
  readonly location: GeneralName
}

export interface RawExtension {
  readonly oid: string
  readonly critical: boolean
  readonly valueDer: Uint8Array
}

/** The extensions this library decodes, by name. */
export interface KnownExtensions {
  basicConstraints: BasicConstraints
  keyUsage: ReadonlySet<KeyUsage>
  extKeyUsage: readonly string[]
  subjectAltName: readonly GeneralName[]
  subjectKeyId: Uint8Array
  authorityKeyId: AuthorityKeyId
  nameConstraints: NameConstraints
  certificatePolicies: readonly PolicyInformation[]
  policyMappings: readonly PolicyMapping[]
  policyConstraints: PolicyConstraints
  inhibitAnyPolicy: number
  crlDistributionPoints: readonly DistributionPoint[]
  freshestCrl: readonly DistributionPoint[]
  authorityInfoAccess: readonly AccessDescription[]
  ocspNoCheck: true
}

export type ExtensionName = keyof KnownExtensions

/** Decoded extensions; unknown ones are in `all` and, when critical, in `critical`. */
export type Extensions = Readonly<Partial<KnownExtensions>> & {
  readonly critical: ReadonlySet<string>
  readonly all: readonly RawExtension[]
}
