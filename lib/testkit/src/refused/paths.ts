import { decodeForeignCertificate, extension, type FindOptions, findPath, OID, oid } from '@vcc/x509'
import { testSigner } from '../key.ts'
import {
  AT,
  casesOf,
  commonName,
  dnsNames,
  type Forged,
  type ForgeSpec,
  forgeCa,
  forgeLeaf,
  hex,
  rawExtension,
  sequence,
} from './forge.ts'

export const root: Forged = forgeCa()
export const ca: Forged = forgeCa({ issuer: root })

/** Finds a path as the public web would; `more` may change everything. */
export function find(
  leaf: Forged,
  others: readonly Forged[] = [ca],
  more: Partial<FindOptions> & { roots?: readonly Forged[] } = {},
): unknown {
  const { roots = [root], ...options } = more
  return findPath(leaf.der, {
    profile: 'webpki',
    anchors: roots.map(({ der }) => decodeForeignCertificate(der)),
    intermediates: others.map(({ der }) => der),
    at: AT,
    eku: OID.serverAuth,
    ...options,
  })
}

const leafWith = (slots: ForgeSpec['slots'], spec: ForgeSpec = {}): Forged =>
  forgeLeaf({ issuer: ca, ...spec, ...(slots && { slots }) })
const underCa = (slots: ForgeSpec['slots'], more: Partial<FindOptions> = {}): unknown => {
  const odd = forgeCa({ issuer: root, name: 'Odd CA', ...(slots && { slots }) })
  return find(forgeLeaf({ issuer: odd }), [odd], more)
}
const early = new Date('2026-05-01T00:00:00Z')
const dns = (value: string) => ({ type: 'dns', value }) as const
const keyUsage = (...usages: Parameters<typeof extension.encodeKeyUsage>[0]) => ({
  keyUsage: extension.encodeKeyUsage(usages),
})
const names = (which: 'permitted' | 'excluded', ...bases: string[]) => ({
  constraints: extension.encodeNameConstraints({ permitted: [], excluded: [], [which]: bases.map(dns) }),
})

/** Paths of foreign certificates, most of them of the public web. */
export const REFUSED_PATHS = casesOf({
  chain_too_long: () => find(forgeLeaf({ issuer: ca }), [ca], { maxDepth: 0 }),
  issuer_unknown: () => find(forgeLeaf({ issuer: ca }), []),
  certificate_signature_invalid: () => find(forgeLeaf({ issuer: { ...ca, signer: testSigner('issuing') } })),
  certificate_expired: () => find(leafWith({}, { notAfter: early })),
  certificate_not_yet_valid: () => find(leafWith({}, { notBefore: new Date('2026-07-01T00:00:00Z') })),
  issuer_not_a_ca: () => underCa({ basicConstraints: undefined, keyUsage: undefined }),
  issuer_key_usage: () => underCa(keyUsage('cRLSign')),
  path_length_exceeded: () => pathLength(),
  leaf_is_a_ca: () => find(forgeCa({ issuer: ca, name: 'Sub', slots: { altNames: dnsNames('Sub') } })),
  leaf_key_usage: () => find(leafWith(keyUsage('digitalSignature', 'cRLSign'))),
  eku_missing: () => find(leafWith({ extKeyUsage: undefined })),
  eku_not_granted: () => underCa({ extKeyUsage: extension.encodeExtKeyUsage([OID.clientAuth], false) }),
  eku_forbidden_on_ca: () => rootWith({ extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth], false) }),
  eku_forbidden_on_leaf: () =>
    find(leafWith({ extKeyUsage: extension.encodeExtKeyUsage([OID.serverAuth, OID.anyExtKeyUsage], false) })),
  extension_critical_unknown: () => find(leafWith({ unknown: rawExtension('1.2.3.4', true, '0500') })),
  extension_criticality: () => underCa({ basicConstraints: rawExtension(OID.basicConstraints, false, '3003 0101ff') }),
  extension_on_leaf: () => find(leafWith(names('permitted', 'example.com'))),
  key_identifier_missing: () => find(leafWith({ authorityKeyId: undefined })),
  key_identifier_form: () => rootWith({ authorityKeyId: extension.encodeAuthorityKeyId(hex('0102')) }),
  key_usage_without_ca: () => find(leafWith(keyUsage('digitalSignature', 'keyCertSign'))),
  subject_empty: () =>
    find(forgeCa({ issuer: ca, name: { ...commonName('x'), der: hex('3000'), rdns: [], attributes: [] } }), [ca], {
      profile: 'rfc5280',
    }),
  subject_alt_name_missing: () => find(leafWith({ altNames: undefined })),
  alt_name_invalid: () => find(leafWith({ altNames: dnsNames('server.example.com', 'a_b.example.com') })),
  common_name_foreign: () => find(leafWith({}, { name: 'another.example.com' })),
  wildcard_too_wide: () => find(leafWith({ altNames: dnsNames('server.example.com', '*.com') })),
  name_not_permitted: () => underCa(names('permitted', 'example.org')),
  name_excluded: () => underCa(names('excluded', 'example.com')),
  name_unsupported: () => uriUnderHost(),
  name_constraint_unsupported: () => underCa(names('permitted', '*.example.com')),
  policy_mapping_invalid: () =>
    underCa({ policies: extension.encodeCertificatePolicies(['1.2.3']), mappings: mapping('1.2.3', OID.anyPolicy) }),
  policy_not_valid: () => find(forgeLeaf({ issuer: ca }), [ca], { policies: { requireExplicitPolicy: true } }),
  peer_name_mismatch: () => find(forgeLeaf({ issuer: ca }), [ca], { peers: [dns('www.example.com')] }),
  path_budget_exceeded: () =>
    find(
      forgeLeaf({ issuer: ca }),
      Array.from({ length: 513 }, () => ca),
    ),
  signature_budget_exceeded: () => twins(),
  name_budget_exceeded: () => manyNames(),
  policy_budget_exceeded: () => manyMappings(),
})

export const ACCEPTED_PATHS = {
  'a server of the public web': () => find(forgeLeaf({ issuer: ca }), [ca], { peers: [dns('server.example.com')] }),
  'a path of RFC 5280': () => find(forgeLeaf({ issuer: ca }), [ca], { profile: 'rfc5280' }),
}

function rootWith(slots: ForgeSpec['slots']): unknown {
  const odd = forgeCa({ name: 'Odd Root', ...(slots && { slots }) })
  return find(forgeLeaf({ issuer: odd }), [], { roots: [odd] })
}

function pathLength(): unknown {
  const upper = forgeCa({
    issuer: root,
    name: 'Upper',
    slots: { basicConstraints: extension.encodeBasicConstraints({ isCa: true, pathLength: 0 }) },
  })
  const lower = forgeCa({ issuer: upper, name: 'Lower' })
  return find(forgeLeaf({ issuer: lower }), [lower, upper])
}

function uriUnderHost(): unknown {
  const constraints = extension.encodeNameConstraints({
    permitted: [{ type: 'uri', value: 'example.com' }],
    excluded: [],
  })
  const odd = forgeCa({ issuer: root, name: 'URI CA', slots: { constraints } })
  const altNames = extension.encodeSubjectAltName(
    [dns('server.example.com'), { type: 'uri', value: 'urn:example' }],
    false,
  )
  return find(forgeLeaf({ issuer: odd, slots: { altNames } }), [odd])
}

function mapping(from: string, to: string): Uint8Array {
  return extension.encodeExtension(OID.policyMappings, true, sequence(sequence(oid(from), oid(to))))
}

/** A hundred and thirty keys of one name, none of which signed. */
function twins(): unknown {
  const others = Array.from({ length: 130 }, () =>
    forgeCa({ name: 'Twin', slots: { subjectKeyId: undefined, authorityKeyId: undefined } }),
  )
  return find(forgeLeaf({ issuer: { name: commonName('Twin'), signer: root.signer } }), others)
}

function manyNames(): unknown {
  const many = Array.from({ length: 200 }, (_, i) => dns(`d${i}.example`))
  const odd = forgeCa({
    issuer: root,
    name: 'Many',
    slots: { constraints: extension.encodeNameConstraints({ permitted: many, excluded: [] }) },
  })
  return find(forgeLeaf({ issuer: odd, slots: { altNames: extension.encodeSubjectAltName(many, false) } }), [odd], {
    profile: 'rfc5280',
  })
}

function manyMappings(): unknown {
  const policies = Array.from({ length: 70 }, (_, i) => `1.2.${i}`)
  const pairs = policies.flatMap((from) => policies.map((to) => sequence(oid(from), oid(to))))
  const odd = forgeCa({
    issuer: root,
    name: 'Mapper',
    slots: {
      policies: extension.encodeCertificatePolicies(policies),
      mappings: extension.encodeExtension(OID.policyMappings, true, sequence(...pairs)),
    },
  })
  return find(forgeLeaf({ issuer: odd, slots: { policies: extension.encodeCertificatePolicies(policies) } }), [odd])
}
