import { readOid } from '../der/oid.ts'
import type { DerReader } from '../der/reader.ts'
import {
  atEnd,
  expectEnd,
  peekTag,
  readConstructed,
  readDefaultFalse,
  readEach,
  readInteger,
  readNamedBits,
  readNull,
  readOctetString,
  readPrimitive,
  readRaw,
  readSequence,
  readSmallInteger,
  viewDer,
} from '../der/reader.ts'
import { contextConstructed, contextPrimitive, TAG } from '../der/tag.ts'
import { X509Error } from '../errors.ts'
import type { GeneralName } from '../general-name.ts'
import { readGeneralName } from '../general-name.ts'
import { OID } from '../oid.ts'
import type {
  AuthorityKeyId,
  BasicConstraints,
  ExtensionName,
  Extensions,
  KeyUsage,
  KnownExtensions,
  NameConstraints,
  PolicyConstraints,
  PolicyInformation,
  PolicyMapping,
  RawExtension,
} from './model.ts'
import { KEY_USAGE_BITS } from './model.ts'
import { readAddressableName, readAuthorityInfoAccess, readDistributionPoints } from './status.ts'

/**
 * Reads a SEQUENCE OF Extension: known ones decoded to the last octet, unknown ones kept with their critical flag.
 *
 * @throws {X509Error} `extension_duplicate`, `extension_invalid`, der_* codes.
 */
export function readExtensions(reader: DerReader): Extensions {
  const known: Partial<KnownExtensions> = {}
  const critical = new Set<string>()
  const all = readRawExtensions(reader)
  for (const extension of all) {
    if (extension.critical) critical.add(extension.oid)
    const name = NAME_BY_OID.get(extension.oid)
    if (name !== undefined) decodeInto(known, name, extension.valueDer)
  }
  return { ...known, critical, all }
}

/**
 * Reads a SEQUENCE OF Extension without looking into their values: those of CRLs and OCSP messages are decoded where they
 * belong.
 *
 * @throws {X509Error} `extension_duplicate`, der_* codes.
 */
export function readRawExtensions(reader: DerReader): readonly RawExtension[] {
  const seen = new Set<string>()
  return readEach(readSequence(reader), (list) => {
    const extension = readExtension(list)
    // "A certificate MUST NOT include more than one instance of a particular extension": RFC 5280 §4.2
    if (seen.has(extension.oid)) throw new X509Error('extension_duplicate', `extension ${extension.oid} is there twice`)
    seen.add(extension.oid)
    return extension
  })
}

export const NO_EXTENSIONS: Extensions = { critical: new Set(), all: [] }

function readExtension(reader: DerReader): RawExtension {
  const extension = readSequence(reader)
  const oid = readOid(extension)
  const critical = readDefaultFalse(extension)
  const valueDer = readOctetString(extension)
  expectEnd(extension)
  return { oid, critical, valueDer }
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- N ties the decoder's result to the member it fills
function decodeInto<N extends ExtensionName>(known: Partial<KnownExtensions>, name: N, valueDer: Uint8Array): void {
  const reader = viewDer(valueDer)
  known[name] = DECODERS[name](reader)
  expectEnd(reader)
}

function readBasicConstraints(reader: DerReader): BasicConstraints {
  const constraints = readSequence(reader)
  const isCa = readDefaultFalse(constraints)
  const pathLength = atEnd(constraints) ? undefined : readSmallInteger(constraints, 255)
  expectEnd(constraints)
  // "CAs MUST NOT include the pathLenConstraint field unless the cA boolean is asserted": RFC 5280 §4.2.1.9
  if (!isCa && pathLength !== undefined) throw new X509Error('extension_invalid', 'a path length stands without cA')
  return pathLength === undefined ? { isCa } : { isCa, pathLength }
}

function readKeyUsage(reader: DerReader): ReadonlySet<KeyUsage> {
  const usages = readNamedBits(reader, KEY_USAGES.length).flatMap((bit) => KEY_USAGES[bit] ?? [])
  // "When the keyUsage extension appears in a certificate, at least one of the bits MUST be set to 1": RFC 5280 §4.2.1.3
  if (usages.length === 0) throw new X509Error('extension_invalid', 'keyUsage has no bit set')
  return new Set(usages)
}

function readExtKeyUsage(reader: DerReader): readonly string[] {
  return readDistinct(readSequence(reader), readOid, (oid) => oid, 'an extended key usage')
}

function readGeneralNames(reader: DerReader): readonly GeneralName[] {
  return readEach(readSequence(reader), readAddressableName)
}

export function readAuthorityKeyId(reader: DerReader): AuthorityKeyId {
  const fields = readSequence(reader)
  const keyId = peekTag(fields) === contextPrimitive(0) ? readPrimitive(fields, contextPrimitive(0)) : undefined
  const issuer =
    peekTag(fields) === contextConstructed(1)
      ? readEach(readConstructed(fields, contextConstructed(1)), readAddressableName)
      : undefined
  const serial = peekTag(fields) === contextPrimitive(2) ? readInteger(fields, contextPrimitive(2)).toHex() : undefined
  expectEnd(fields)
  // "authorityCertIssuer and authorityCertSerialNumber MUST both be present or both be absent": RFC 5280 §A.2
  if ((issuer === undefined) !== (serial === undefined)) {
    throw new X509Error('extension_invalid', 'authorityKeyIdentifier names an issuer without serial or the reverse')
  }
  return {
    ...(keyId === undefined ? {} : { keyId }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(serial === undefined ? {} : { serialHex: serial }),
  }
}

function readNameConstraints(reader: DerReader): NameConstraints {
  const fields = readSequence(reader)
  const permitted = readSubtrees(fields, contextConstructed(0))
  const excluded = readSubtrees(fields, contextConstructed(1))
  expectEnd(fields)
  // "either the permittedSubtrees field or the excludedSubtrees MUST be present": RFC 5280 §4.2.1.10
  if (permitted.length + excluded.length === 0) throw new X509Error('extension_invalid', 'nameConstraints is empty')
  return { permitted, excluded }
}

function readSubtrees(fields: DerReader, tag: number): readonly GeneralName[] {
  return peekTag(fields) === tag ? readEach(readConstructed(fields, tag), readSubtree) : []
}

function readSubtree(reader: DerReader): GeneralName {
  const subtree = readSequence(reader)
  const base = readGeneralName(subtree)
  // "the minimum MUST be zero, and maximum MUST be absent": RFC 5280 §4.2.1.10; zero is the default, so both are absent.
  if (!atEnd(subtree)) throw new X509Error('extension_invalid', 'a subtree has a minimum or a maximum')
  if (base.type === 'ip' && base.octets.length !== 8 && base.octets.length !== 32) {
    throw new X509Error('extension_invalid', 'an address range has neither 8 nor 32 octets')
  }
  return base
}

function readCertificatePolicies(reader: DerReader): readonly PolicyInformation[] {
  // "A certificate policy OID MUST NOT appear more than once in a certificate policies extension": RFC 5280 §4.2.1.4
  return readDistinct(readSequence(reader), readPolicyInformation, (policy) => policy.oid, 'a certificate policy')
}

function readPolicyInformation(reader: DerReader): PolicyInformation {
  const policy = readSequence(reader)
  const oid = readOid(policy)
  const qualifiersDer = atEnd(policy) ? undefined : readRaw(policy)
  expectEnd(policy)
  if (qualifiersDer !== undefined && qualifiersDer[0] !== TAG.sequence) {
    throw new X509Error('der_tag_unexpected', 'policy qualifiers are not a SEQUENCE')
  }
  return qualifiersDer === undefined ? { oid } : { oid, qualifiersDer }
}

function readPolicyMappings(reader: DerReader): readonly PolicyMapping[] {
  return readEach(readSequence(reader), (list) => {
    const mapping = readSequence(list)
    const issuerDomainPolicy = readOid(mapping)
    const subjectDomainPolicy = readOid(mapping)
    expectEnd(mapping)
    return { issuerDomainPolicy, subjectDomainPolicy }
  })
}

function readPolicyConstraints(reader: DerReader): PolicyConstraints {
  const fields = readSequence(reader)
  const explicit = readSkipCerts(fields, contextPrimitive(0))
  const mapping = readSkipCerts(fields, contextPrimitive(1))
  expectEnd(fields)
  // "Conforming CAs MUST NOT issue certificates where policy constraints is an empty sequence": RFC 5280 §4.2.1.11
  if (explicit === undefined && mapping === undefined) {
    throw new X509Error('extension_invalid', 'policyConstraints is empty')
  }
  return {
    ...(explicit === undefined ? {} : { requireExplicitPolicy: explicit }),
    ...(mapping === undefined ? {} : { inhibitPolicyMapping: mapping }),
  }
}

function readSkipCerts(fields: DerReader, tag: number): number | undefined {
  return peekTag(fields) === tag ? readSmallInteger(fields, 255, tag) : undefined
}

function readOcspNoCheck(reader: DerReader): true {
  readNull(reader)
  return true
}

function readDistinct<T>(
  reader: DerReader,
  readOne: (reader: DerReader) => T,
  keyOf: (item: T) => string,
  what: string,
): T[] {
  const seen = new Set<string>()
  return readEach(reader, (list) => {
    const item = readOne(list)
    if (seen.has(keyOf(item))) throw new X509Error('extension_invalid', `${what} is listed twice`)
    seen.add(keyOf(item))
    return item
  })
}

const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const satisfies readonly KeyUsage[]

// KEY_USAGES is the inverse of KEY_USAGE_BITS; a shifted row would be a silent change of meaning.
if (KEY_USAGES.some((usage, bit) => KEY_USAGE_BITS[usage] !== bit)) throw new TypeError('key usage tables differ')

const DECODERS: { readonly [N in ExtensionName]: (reader: DerReader) => KnownExtensions[N] } = {
  basicConstraints: readBasicConstraints,
  keyUsage: readKeyUsage,
  extKeyUsage: readExtKeyUsage,
  subjectAltName: readGeneralNames,
  subjectKeyId: readOctetString,
  authorityKeyId: readAuthorityKeyId,
  nameConstraints: readNameConstraints,
  certificatePolicies: readCertificatePolicies,
  policyMappings: readPolicyMappings,
  policyConstraints: readPolicyConstraints,
  inhibitAnyPolicy: (reader) => readSmallInteger(reader, 255),
  crlDistributionPoints: readDistributionPoints,
  freshestCrl: readDistributionPoints,
  authorityInfoAccess: readAuthorityInfoAccess,
  ocspNoCheck: readOcspNoCheck,
}

const EXTENSION_NAMES = [
  'basicConstraints',
  'keyUsage',
  'extKeyUsage',
  'subjectAltName',
  'subjectKeyId',
  'authorityKeyId',
  'nameConstraints',
  'certificatePolicies',
  'policyMappings',
  'policyConstraints',
  'inhibitAnyPolicy',
  'crlDistributionPoints',
  'freshestCrl',
  'authorityInfoAccess',
  'ocspNoCheck',
] as const satisfies readonly ExtensionName[]

const NAME_BY_OID: ReadonlyMap<string, ExtensionName> = new Map(EXTENSION_NAMES.map((name) => [OID[name], name]))
