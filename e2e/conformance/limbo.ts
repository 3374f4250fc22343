import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import {
  decodeForeignCertificate,
  decodePem,
  type FindOptions,
  type ForeignCertificate,
  findPath,
  type KeyUsage,
  OID,
  type PathProfileName,
  type PeerName,
  X509Error,
} from '@vcc/x509'
import { addressOctets } from './address.ts'
import { publicSuffixes } from './public-suffix.ts'
import { type Did, judge, type Outcome, type Suite } from './suite.ts'

/** C2SP/x509-limbo: one file of cases with certificates as PEM. */
export const limbo: Suite = {
  name: 'x509-limbo',
  variable: 'LIMBO',
  place: 'x509-limbo.json',
  run: (file) =>
    (JSON.parse(readFileSync(file, 'utf8')) as { testcases: readonly Testcase[] }).testcases.map(outcomeOf),
}

/** The part of limbo-schema.json that is read. */
interface Testcase {
  readonly id: string
  readonly features: readonly string[]
  readonly validation_kind: 'CLIENT' | 'SERVER'
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly validation_time: string | null
  readonly signature_algorithms: readonly string[]
  readonly key_usage: readonly string[]
  readonly extended_key_usage: readonly string[]
  readonly expected_result: 'SUCCESS' | 'FAILURE'
  readonly expected_peer_name: LimboName | null
  readonly expected_peer_names: readonly LimboName[] | null
  readonly max_chain_depth: number | null
  readonly crls: readonly string[]
}

interface LimboName {
  readonly kind: 'RFC822' | 'DNS' | 'IP'
  readonly value: string
}

/** By the first part of an id. What is not listed is about certificates as RFC 5280 wants them. */
const PROFILES: Readonly<Record<string, PathProfileName>> = {
  webpki: 'webpki',
  online: 'webpki',
  // Its certificates are about the algorithm alone and leave the profile of RFC 5280 §4 at will.
  bettertls: 'rfc5280-path',
}

function outcomeOf(testcase: Testcase): Outcome {
  const [namespace = '', second] = testcase.id.split('::')
  return {
    id: testcase.id,
    feature:
      /^(?:rfc5280|webpki|bettertls)$/.test(namespace) && testcase.id.split('::').length > 2
        ? `${namespace}::${second}`
        : namespace,
    isPedantic: testcase.features.some((feature) => feature.startsWith('pedantic')),
    expected: testcase.expected_result === 'SUCCESS' ? 'accept' : 'reject',
    did: validate(testcase, PROFILES[namespace] ?? 'rfc5280'),
  }
}

function validate(testcase: Testcase, profile: PathProfileName): Did {
  if (testcase.signature_algorithms.length > 0)
    return { is: 'skipped', why: 'a list of signature algorithms is no input of ours' }
  if (testcase.features.includes('pedantic-public-suffix-wildcard') && publicSuffixes() === undefined) {
    return { is: 'skipped', why: 'there is no public suffix list on this machine (Debian: publicsuffix)' }
  }
  return judge(() => {
    const options = optionsOf(testcase, profile)
    for (const eku of usagesOf(testcase)) findPath(der(testcase.peer_certificate), { ...options, eku })
  })
}

function optionsOf(testcase: Testcase, profile: PathProfileName): FindOptions {
  const peers = [testcase.expected_peer_name ?? [], testcase.expected_peer_names ?? []].flat().map(peerOf)
  const suffixes = publicSuffixes()
  return {
    profile,
    anchors: testcase.trusted_certs.flatMap(anchorOf),
    intermediates: testcase.untrusted_intermediates.map((pem) => der(pem)),
    // "If not specified, the validation time is the current time."
    at: testcase.validation_time === null ? new Date() : new Date(testcase.validation_time),
    peers,
    keyUsage: testcase.key_usage.map((usage) => (usage === 'contentCommitment' ? 'nonRepudiation' : usage) as KeyUsage), // the schema has no others
    ...(testcase.max_chain_depth === null ? {} : { maxDepth: testcase.max_chain_depth }),
    ...(testcase.crls.length === 0 ? {} : { crls: testcase.crls.map((pem) => der(pem, 'X509 CRL')) }),
    ...(suffixes === undefined ? {} : { isPublicSuffix: suffixes }),
  }
}

/** A case validates one side of TLS, also where it does not say which usage that takes. */
function usagesOf({ extended_key_usage: named, validation_kind: kind }: Testcase): string[] {
  if (named.length === 0) return [kind === 'SERVER' ? OID.serverAuth : OID.clientAuth]
  return named.map((usage) => USAGES[usage] ?? usage)
}

const USAGES: Readonly<Record<string, string>> = {
  serverAuth: OID.serverAuth,
  clientAuth: OID.clientAuth,
  codeSigning: OID.codeSigning,
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: OID.timeStamping,
  OCSPSigning: OID.ocspSigning,
}

/** An anchor that cannot be read is none. */
function anchorOf(pem: string): ForeignCertificate[] {
  try {
    return [decodeForeignCertificate(der(pem))]
  } catch (error) {
    if (error instanceof X509Error) return []
    throw error
  }
}

function peerOf({ kind, value }: LimboName): PeerName {
  if (kind === 'IP') {
    if (isIP(value) === 0) throw new TypeError(`"${value}" is no IP address`)
    return { type: 'ip', octets: addressOctets(value) }
  }
  return { type: kind === 'DNS' ? 'dns' : 'email', value }
}

function der(pem: string, label = 'CERTIFICATE'): Uint8Array {
  return decodePem(pem, label)[0] ?? new Uint8Array()
}
