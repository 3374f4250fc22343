import type { KeyUsage } from '../extension/model.ts'
import { ekuOid, OID } from '../oid.ts'

/** What certificates of one kind look like. Everything a row leaves open is a field of `TbsInput`. */
export interface Profile {
  /** `root`: self-signed, no path length, no EKU. `ca`: path length 0, inhibitAnyPolicy 0. `leaf`: not a CA. */
  readonly role: 'root' | 'ca' | 'leaf'
  readonly keyUsage: readonly KeyUsage[]
  readonly extKeyUsage: readonly ExtKeyUsageName[]
  readonly ekuCritical: boolean
  readonly commonName: RegExp
  readonly uri: RegExp | 'none'
  readonly dnsNames: { readonly min: number; readonly max: number }
  /** Class OIDs in certificatePolicies: what a leaf is, or what a CA may grant. */
  readonly classes: 'none' | 'one' | 'some'
  readonly nameConstraints: 'required' | 'none'
  /** `mesh`: CRL, OCSP and caIssuers. `crl`: CRL, caIssuers where given, no OCSP. `none`: a root. */
  readonly statusUrls: 'mesh' | 'crl' | 'none'
  readonly maxDays: number
}

export type ProfileName =
  | 'mesh-root'
  | 'artifact-root'
  | 'evidence-root'
  | 'services-ca'
  | 'external-ca'
  | 'admin-ca'
  | 'control-ca'
  | 'code-signing-ca'
  | 'tsa-ca'
  | 'service'
  | 'admin'
  | 'control-api'
  | 'broker'
  | 'state-signer'
  | 'ocsp-responder'

export type ExtKeyUsageName = keyof typeof EXT_KEY_USAGES

/** The OID of an extended key usage; ours hang below the operator's arc. */
export function extKeyUsageOid(name: ExtKeyUsageName, oidArc: string): string {
  return EXT_KEY_USAGES[name](oidArc)
}

const EXT_KEY_USAGES = {
  serverAuth: () => OID.serverAuth,
  clientAuth: () => OID.clientAuth,
  codeSigning: () => OID.codeSigning,
  timeStamping: () => OID.timeStamping,
  ocspSigning: () => OID.ocspSigning,
  state: (arc: string) => ekuOid(arc, 'state'),
  api: (arc: string) => ekuOid(arc, 'api'),
  broker: (arc: string) => ekuOid(arc, 'broker'),
  node: (arc: string) => ekuOid(arc, 'node'),
  feed: (arc: string) => ekuOid(arc, 'feed'),
  audit: (arc: string) => ekuOid(arc, 'audit'),
} as const

const NO_NAMES = { uri: 'none', dnsNames: { min: 0, max: 0 } } as const
const ANY_COMMON_NAME = /^.{1,64}$/u

const ROOT = {
  role: 'root',
  keyUsage: ['keyCertSign', 'cRLSign'],
  extKeyUsage: [],
  ekuCritical: false,
  commonName: ANY_COMMON_NAME,
  ...NO_NAMES,
  classes: 'none',
  nameConstraints: 'none',
  statusUrls: 'none',
  maxDays: 40 * 366,
} as const satisfies Profile

const CA = {
  role: 'ca',
  keyUsage: ['keyCertSign', 'cRLSign'],
  ekuCritical: false,
  commonName: ANY_COMMON_NAME,
  ...NO_NAMES,
  classes: 'none',
  maxDays: 20 * 366,
} as const satisfies Partial<Profile>

const MESH_CA = { ...CA, nameConstraints: 'required', statusUrls: 'mesh' } as const
const OFF_MESH_CA = { ...CA, nameConstraints: 'none', statusUrls: 'crl' } as const

const MESH_LEAF = {
  role: 'leaf',
  keyUsage: ['digitalSignature'],
  ekuCritical: false,
  dnsNames: { min: 0, max: 16 },
  classes: 'none',
  nameConstraints: 'none',
  statusUrls: 'mesh',
  maxDays: 398,
} as const satisfies Partial<Profile>

/** Every kind of certificate that is issued (architecture.md, Trust and Identities). */
export const PROFILES = {
  // The mesh root also signs the trust statement, which is neither a certificate nor a CRL: RFC 5280 §4.2.1.3
  'mesh-root': { ...ROOT, keyUsage: ['digitalSignature', 'keyCertSign', 'cRLSign'] },
  'artifact-root': ROOT,
  'evidence-root': ROOT,
  'services-ca': { ...MESH_CA, extKeyUsage: ['serverAuth', 'clientAuth'], classes: 'some' },
  'external-ca': { ...MESH_CA, extKeyUsage: ['serverAuth', 'clientAuth'], classes: 'some' },
  'admin-ca': { ...MESH_CA, extKeyUsage: ['clientAuth'] },
  'control-ca': {
    ...MESH_CA,
    extKeyUsage: ['serverAuth', 'clientAuth', 'state', 'api', 'broker', 'node', 'feed', 'audit'],
  },
  'code-signing-ca': { ...OFF_MESH_CA, extKeyUsage: ['codeSigning'] },
  'tsa-ca': { ...OFF_MESH_CA, extKeyUsage: ['timeStamping'] },
  service: {
    ...MESH_LEAF,
    extKeyUsage: ['serverAuth', 'clientAuth'],
    commonName: /^[a-z0-9]{16}$/,
    uri: /^spiffe:\/\/[a-z0-9.-]{1,253}\/org\/[a-z][a-z0-9-]{0,39}\/svc\/[a-z][a-z0-9-]{0,39}$/,
    dnsNames: { min: 1, max: 16 },
    classes: 'one',
  },
  // A CN with a space is no host name: without DNS names, Java, GnuTLS and OpenSSL hold a CN that could be one against
  // the name constraints for DNS.
  admin: {
    ...MESH_LEAF,
    extKeyUsage: ['clientAuth'],
    commonName: /^admin [A-Za-z0-9_-]{1,58}$/,
    uri: /^spiffe:\/\/[a-z0-9.-]{1,253}\/admin\/[A-Za-z0-9_-]{1,58}$/,
    dnsNames: { min: 0, max: 0 },
  },
  'control-api': {
    ...MESH_LEAF,
    extKeyUsage: ['serverAuth', 'clientAuth', 'api'],
    commonName: /^control$/,
    uri: /^spiffe:\/\/[a-z0-9.-]{1,253}\/control$/,
    dnsNames: { min: 1, max: 16 },
  },
  broker: {
    ...MESH_LEAF,
    extKeyUsage: ['serverAuth', 'broker'],
    commonName: /^broker$/,
    uri: /^spiffe:\/\/[a-z0-9.-]{1,253}\/broker$/,
    dnsNames: { min: 1, max: 16 },
  },
  'state-signer': {
    ...MESH_LEAF,
    extKeyUsage: ['state'],
    ekuCritical: true,
    commonName: /^[^.]{1,64}$/u,
    ...NO_NAMES,
  },
  // Delegated by the CA it answers for, whatever that CA may grant otherwise: RFC 6960 §4.2.2.2. Its own status is asked of
  // nobody (nocheck), so it lives for days.
  'ocsp-responder': {
    ...MESH_LEAF,
    extKeyUsage: ['ocspSigning'],
    commonName: /^[^.]{1,64}$/u,
    ...NO_NAMES,
    statusUrls: 'crl',
    maxDays: 31,
  },
} as const satisfies Record<ProfileName, Profile>
