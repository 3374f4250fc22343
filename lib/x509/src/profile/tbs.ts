import type { SignatureAlgorithmName } from '../algorithm.ts'
import { signingAlgorithmFor } from '../algorithm.ts'
import { encodeSigned, encodeTbsFields } from '../encode-certificate.ts'
import { X509Error } from '../errors.ts'
import {
  encodeAuthorityInfoAccess,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeCertificatePolicies,
  encodeCrlDistributionPoint,
  encodeExtKeyUsage,
  encodeInhibitAnyPolicy,
  encodeKeyUsage,
  encodeNameConstraints,
  encodeOcspNoCheck,
  encodeSubjectAltName,
  encodeSubjectKeyId,
} from '../extension/encode.ts'
import type { NameConstraints } from '../extension/model.ts'
import type { Name } from '../name.ts'
import type { PublicKey } from '../public-key.ts'
import { checkInput } from './check.ts'
import type { Profile, ProfileName } from './table.ts'
import { extKeyUsageOid, PROFILES } from './table.ts'

/** What a CA is to the certificates below it: taken from its own certificate, its subject as raw bytes. */
export interface Issuer {
  readonly subject: Name
  readonly subjectKeyId: Uint8Array
  readonly algorithm: SignatureAlgorithmName
  readonly notAfter: Date
  /** Its own extended key usages: it grants no others. A root has none, and grants all. */
  readonly extKeyUsage?: readonly string[]
}

export interface TbsInput {
  readonly profile: ProfileName
  /** 40 hex digits: 20 octets, the first 01 to 7f. Drawn and reserved by the caller. */
  readonly serialHex: string
  readonly issuer: Issuer | 'self'
  readonly subject: Name
  readonly publicKey: PublicKey
  readonly notBefore: Date
  readonly notAfter: Date
  readonly oidArc: string
  readonly uris?: readonly string[]
  readonly dnsNames?: readonly string[]
  /** Class OIDs: the one a leaf has, or those a CA may grant. */
  readonly classes?: readonly string[]
  readonly nameConstraints?: MeshNameConstraints
  readonly crlUrl?: string
  readonly ocspUrl?: string
  readonly caIssuersUrl?: string
}

/** What a mesh CA may name. Addresses and e-mail are excluded always. */
export interface MeshNameConstraints {
  /** Domains, each with all below it. */
  readonly permittedDns: readonly string[]
  /** Trust domains: exact URI hosts. */
  readonly permittedUriHosts: readonly string[]
}

declare const built: unique symbol

/** A TBSCertificate that its profile produced. Minted only here. Not linted yet: see `lintTbs`. */
export type Tbs = {
  readonly der: Uint8Array
  readonly profile: ProfileName
  readonly oidArc: string
  readonly serialHex: string
  readonly algorithm: SignatureAlgorithmName
  readonly issuer: Issuer
  readonly subject: Name
  readonly publicKey: PublicKey
  readonly notBefore: Date
  readonly notAfter: Date
} & { readonly [built]: true }

/**
 * The TBSCertificate of a profile. The same input gives the same bytes.
 *
 * Does **not** know whether the issuer may issue this profile, nor its name constraints: see `assertNamesPermitted`.
 *
 * @throws {X509Error} profile_* for anything outside the profile's row in `PROFILES`.
 */
export function buildTbs(input: TbsInput): Tbs {
  const profile: Profile = PROFILES[input.profile]
  checkInput(profile, input)
  const issuer = input.issuer === 'self' ? selfIssuer(input) : input.issuer
  const der = encodeTbsFields({
    serial: Uint8Array.fromHex(input.serialHex),
    algorithm: issuer.algorithm,
    issuer: issuer.subject,
    subject: input.subject,
    notBefore: input.notBefore,
    notAfter: input.notAfter,
    spkiDer: input.publicKey.spkiDer,
    extensions: encodeProfileExtensions(profile, input, issuer),
  })
  const { profile: name, oidArc, serialHex, subject, publicKey, notBefore, notAfter } = input
  const fields = { der, profile: name, oidArc, serialHex, algorithm: issuer.algorithm, issuer, subject, publicKey }
  return { ...fields, notBefore, notAfter } as Tbs
}

/**
 * The certificate of a TBS and its signature. Does **not** verify the signature: the caller does, with the CA's key.
 *
 * @throws {X509Error} `profile_signature` when the TBS names another algorithm.
 */
export function assembleCertificate(tbs: Tbs, algorithm: SignatureAlgorithmName, signature: Uint8Array): Uint8Array {
  // "This field MUST contain the same algorithm identifier as the signature field in the sequence tbsCertificate":
  // RFC 5280 §4.1.1.2
  if (algorithm !== tbs.algorithm) {
    throw new X509Error('profile_signature', `signed with ${algorithm}, while the certificate says ${tbs.algorithm}`)
  }
  return encodeSigned(tbs.der, algorithm, signature)
}

/** `TbsInput.issuer` from a CA's certificate. */
export function issuerOf(ca: {
  readonly subject: Name
  readonly publicKey: PublicKey
  readonly notAfter: Date
  readonly extensions: { readonly subjectKeyId?: Uint8Array; readonly extKeyUsage?: readonly string[] }
}): Issuer {
  const { extKeyUsage } = ca.extensions
  return {
    subject: ca.subject,
    // The identifier that stands in the CA's certificate, however it was computed.
    subjectKeyId: ca.extensions.subjectKeyId ?? ca.publicKey.subjectKeyId,
    algorithm: signingAlgorithmFor(ca.publicKey.kind),
    notAfter: ca.notAfter,
    ...(extKeyUsage === undefined ? {} : { extKeyUsage }),
  }
}

/**
 * The NameConstraints of a mesh CA: domains and trust domains permitted, all addresses excluded, all e-mail excluded.
 *
 * E-mail needs two subtrees. An excluded empty rfc822Name is read as "everything" by some validators and as "nothing"
 * by others, so the only permitted host is `invalid` (RFC 2606 §2: it cannot exist), and that one is excluded too.
 */
export function meshNameConstraints(input: MeshNameConstraints): NameConstraints {
  return {
    permitted: [
      ...input.permittedDns.map((value) => ({ type: 'dns', value }) as const),
      ...input.permittedUriHosts.map((value) => ({ type: 'uri', value }) as const),
      { type: 'email', value: 'invalid' },
    ],
    excluded: [
      { type: 'email', value: 'invalid' },
      { type: 'ip', octets: new Uint8Array(8) },
      { type: 'ip', octets: new Uint8Array(32) },
    ],
  }
}

function selfIssuer({ subject, publicKey, notAfter }: TbsInput): Issuer {
  return {
    subject,
    subjectKeyId: publicKey.subjectKeyId,
    algorithm: signingAlgorithmFor(publicKey.kind),
    notAfter,
  }
}

function encodeProfileExtensions(profile: Profile, input: TbsInput, issuer: Issuer): Uint8Array[] {
  const { uris = [], dnsNames = [], classes = [], nameConstraints, crlUrl, ocspUrl, caIssuersUrl } = input
  const extensions = [
    encodeBasicConstraints(BASIC_CONSTRAINTS[profile.role]),
    encodeKeyUsage(profile.keyUsage),
    encodeSubjectKeyId(input.publicKey.subjectKeyId),
  ]
  if (profile.extKeyUsage.length > 0) {
    const usages = profile.extKeyUsage.map((usage) => extKeyUsageOid(usage, input.oidArc))
    extensions.push(encodeExtKeyUsage(usages, profile.ekuCritical))
  }
  if (profile.extKeyUsage.includes('ocspSigning')) extensions.push(encodeOcspNoCheck())
  if (profile.role !== 'root') extensions.push(encodeAuthorityKeyId(issuer.subjectKeyId))
  if (uris.length + dnsNames.length > 0) {
    const names = [
      ...uris.map((value) => ({ type: 'uri', value }) as const),
      ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
    ]
    // Critical only beside an empty subject (RFC 5280 §4.2.1.6), and every profile has a CN.
    extensions.push(encodeSubjectAltName(names, false))
  }
  if (nameConstraints !== undefined) extensions.push(encodeNameConstraints(meshNameConstraints(nameConstraints)))
  if (classes.length > 0) extensions.push(encodeCertificatePolicies(classes))
  if (profile.role === 'ca') extensions.push(encodeInhibitAnyPolicy(0))
  if (crlUrl !== undefined) extensions.push(encodeCrlDistributionPoint(crlUrl))
  if (ocspUrl !== undefined || caIssuersUrl !== undefined) {
    extensions.push(
      encodeAuthorityInfoAccess({
        ...(ocspUrl === undefined ? {} : { ocspUrl }),
        ...(caIssuersUrl === undefined ? {} : { caIssuersUrl }),
      }),
    )
  }
  return extensions
}

const BASIC_CONSTRAINTS = {
  root: { isCa: true },
  ca: { isCa: true, pathLength: 0 },
  leaf: { isCa: false },
} as const
