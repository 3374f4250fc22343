import { PolicyError, parseWorkloadId, type WorkloadId, type WorkloadParts } from '@vcc/policy'
import {
  assertedClass,
  type Certificate,
  decodeCertificate,
  encodePem,
  nameValues,
  OID,
  uriIdentityOf,
  type VerifiedPath,
  validateChain,
  X509Error,
} from '@vcc/x509'
import { AgentError } from '../errors.ts'
import type { StoredIdentity } from './identity-file.ts'
import type { AgentKey } from './key.ts'

declare const verified: unique symbol

/** An identity that peers would accept. Minted in this file only. */
export interface Identity {
  readonly instance: string
  readonly workload: WorkloadId
  readonly trustDomain: string
  readonly organization: string
  readonly service: string
  readonly classOid: string
  readonly key: AgentKey
  readonly leaf: Certificate
  /** Leaf first, without the root. */
  readonly chain: readonly Certificate[]
  readonly chainPem: string
  readonly [verified]: true
}

export interface IdentityRules {
  readonly root: Certificate
  readonly oidArc: string
  /** OIDs of the classes in force, from signed state; before the first one, every class of the arc. */
  readonly classOids: readonly string[] | undefined
  /** What an earlier certificate of this instance says; it never changes. */
  readonly expected: { readonly instance: string; readonly workload: WorkloadId } | undefined
  readonly now: Date
}

/**
 * Verifies a certificate of our own as a peer would, and that it is ours: the chain leads to the pinned root, for
 * server and client, valid now within five minutes; it names exactly one URI and the instance it always named; it
 * carries our key; its class is one that is known.
 *
 * An expired one passes with `acceptExpired`: it still signs the envelope of a re-enrolment, and is never served.
 *
 * @throws {AgentError} `identity_refused`, its `reason` is the code of the rule that failed
 */
export function verifyIdentity(
  stored: StoredIdentity,
  rules: IdentityRules,
  options: { acceptExpired?: boolean } = {},
): Identity {
  try {
    const leaf = pathAt(stored.chainDer, rules, options.acceptExpired === true)
    return mintIdentity(stored.key, leaf, rules)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw refused(cause.code, cause.message, { cause })
  }
}

export function isExpired(identity: Pick<Identity, 'leaf'>, now: Date): boolean {
  return now > identity.leaf.notAfter
}

function mintIdentity(key: AgentKey, path: VerifiedPath, rules: IdentityRules): Identity {
  const { leaf } = path
  if (leaf.publicKey.spkiSha256Hex !== key.publicKey.spkiSha256Hex) {
    throw refused('key_mismatch', 'the certificate does not carry the key of this agent')
  }
  const { id: workload, trustDomain, organization, service } = workloadOf(uriIdentityOf(leaf))
  const [instance = '', ...others] = nameValues(leaf.subject, OID.commonName)
  if (!INSTANCE.test(instance) || others.length > 0)
    throw refused('instance_invalid', 'the common name of the certificate is not an instance id')
  const { expected } = rules
  if (expected !== undefined && expected.instance !== instance) {
    throw refused('instance_changed', `the certificate is for instance ${instance}, not ${expected.instance}`)
  }
  if (expected !== undefined && expected.workload !== workload) {
    throw refused('identity_changed', `the certificate is for ${workload}, not ${expected.workload}`)
  }
  return {
    instance,
    workload,
    trustDomain,
    organization,
    service,
    classOid: assertedClass(path, rules.classOids ?? classesOf(leaf, rules.oidArc)),
    key,
    leaf,
    chain: path.chain,
    chainPem: path.chain.map((certificate) => encodePem('CERTIFICATE', certificate.der)).join(''),
  } as Identity // the mint of Identity
}

function pathAt(chainDer: readonly Uint8Array[], rules: IdentityRules, acceptExpired: boolean): VerifiedPath {
  const { root, now } = rules
  const checkBoth = (at: Date) => {
    validateChain(chainDer, { anchors: [root], at, skewSeconds: SKEW_SECONDS, eku: OID.clientAuth })
    return validateChain(chainDer, { anchors: [root], at, skewSeconds: SKEW_SECONDS, eku: OID.serverAuth })
  }
  try {
    return checkBoth(now)
  } catch (error) {
    const isLate = error instanceof X509Error && error.code === 'certificate_expired'
    if (!acceptExpired || !isLate) throw error
  }
  return checkBoth(decodeLeaf(chainDer).notAfter)
}

function decodeLeaf(chainDer: readonly Uint8Array[]): Certificate {
  const [leafDer] = chainDer
  if (leafDer === undefined) throw refused('chain_empty', 'there is no certificate')
  return decodeCertificate(leafDer)
}

function workloadOf(uri: string): WorkloadParts {
  try {
    return parseWorkloadId(uri)
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause
    throw refused('workload_id_invalid', `"${uri}" does not name a service`, { cause })
  }
}

function classesOf(leaf: Certificate, oidArc: string): readonly string[] {
  const policies = leaf.extensions.certificatePolicies ?? []
  return policies.map((policy) => policy.oid).filter((oid) => oid.startsWith(`${oidArc}.2.`))
}

function refused(reason: string, message: string, options: ErrorOptions = {}): AgentError {
  return new AgentError('identity_refused', message, { ...options, reason })
}

const SKEW_SECONDS = 300
const INSTANCE = /^[a-z0-9]{16}$/
