import { createHash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { type Denied, isDenied } from '@vcc/mesh'
import { type ClassName, type PolicyError, parseWorkloadId, type WorkloadId } from '@vcc/policy'
import {
  assertedClass,
  type Certificate,
  decodeCertificate,
  nameValues,
  OID,
  uriIdentityOf,
  type VerifiedPath,
  validateChain,
  X509Error,
} from '@vcc/x509'
import type { Refusal } from './refusal.ts'

declare const judged: unique symbol

/** A service whose certificate has passed the gate. Minted only by `judgePeer`. */
export interface PeerIdentity {
  readonly id: WorkloadId
  readonly organization: string
  readonly service: string
  readonly instance: string
  readonly class: ClassName
  readonly serialHex: string
  readonly notAfter: Date
  /** The earliest end in the chain: no connection outlives it. */
  readonly validUntil: Date
  readonly [judged]: true
}

/** What a finished handshake tells about the peer. Kept with the connection, so that it can be judged again. */
export interface Evidence {
  readonly resumed: boolean
  readonly authorized: boolean
  readonly authorizationError: string | undefined
  /** DER as the peer sent it, leaf first; at most one more than `validateChain` accepts. */
  readonly chain: readonly Uint8Array[]
}

/** What a snapshot says about whom to believe. */
export interface Trust {
  readonly trustDomain: string
  readonly anchors: readonly Certificate[]
  /** By SHA-256 of the issuing CA's SPKI, lower-case hex. */
  readonly issuers: ReadonlyMap<string, IssuerRow>
  /** Shut out by signed state, whatever else speaks for it. */
  readonly denied: Denied
  /** By OID. */
  readonly classNames: ReadonlyMap<string, ClassName>
  /** Leaves this trust has accepted. Only a shortcut: holds nothing that judging again would not find. */
  readonly memory: PeerMemory
}

export interface IssuerRow {
  readonly trustDomain: string
  readonly organizations: ReadonlySet<string>
  readonly classes: ReadonlySet<string>
  readonly purposes: ReadonlySet<string>
}

export type PeerMemory = Map<string, { readonly peer: PeerIdentity; readonly validFrom: Date }>

export type Judgement =
  | { readonly ok: true; readonly peer: PeerIdentity }
  | { readonly ok: false; readonly refusal: Refusal }

export function evidenceOf(socket: TLSSocket): Evidence {
  const chain: Uint8Array[] = []
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate()
  while (certificate !== undefined && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return {
    resumed: socket.isSessionReused(),
    authorized: socket.authorized,
    authorizationError: socket.authorizationError?.toString(),
    chain,
  }
}

/**
 * Judges who the peer is: the one place where a TLS peer becomes an identity, for both directions.
 *
 * A resumed session and a missing certificate are refused whatever else is said (`authorized` is true for a resumed
 * session without one). Then our own path validation; exactly one SPIFFE URI, read from the DER; whether the issuer may
 * vouch for trust domain, organisation, class and purpose, and that nothing of it is denied; last the TLS library's verdict, so that the code told is
 * ours wherever we have one. Does **not** ask the matrix.
 *
 * A leaf that passed is remembered by SHA-256 of its DER for this trust; its times are checked every time.
 *
 * @param role  What the peer is in this handshake: decides the extended key usage.
 */
export function judgePeer(evidence: Evidence, role: 'client' | 'server', trust: Trust, now: Date): Judgement {
  if (evidence.resumed) return refuse('session_resumed')
  const [leafDer] = evidence.chain
  if (leafDer === undefined) return refuse('certificate_missing')

  const key = `${role}:${createHash('sha256').update(leafDer).digest('base64')}`
  const known = trust.memory.get(key)
  if (known !== undefined && evidence.authorized && now >= known.validFrom && now <= known.peer.validUntil) {
    return { ok: true, peer: known.peer }
  }

  let path: VerifiedPath
  let judgement: Judgement
  try {
    path = validateChain(evidence.chain, {
      anchors: trust.anchors,
      at: now,
      eku: role === 'client' ? OID.clientAuth : OID.serverAuth,
    })
    judgement = identify(path, trust)
    if (judgement.ok && !evidence.authorized) {
      const code = evidence.authorizationError === 'peer_not_expected' ? 'peer_not_expected' : 'peer_unauthorized'
      return refuse(code, `${evidence.authorizationError}; the certificate is of ${judgement.peer.id}`)
    }
  } catch (error) {
    if (error instanceof X509Error) return refuse(error.code, `${error.message}; ${claimOf(leafDer)}`)
    throw error
  }
  if (judgement.ok) {
    if (trust.memory.size >= MAX_REMEMBERED) trust.memory.clear()
    trust.memory.set(key, { peer: judgement.peer, validFrom: latestStart(path) })
  }
  return judgement
}

function identify(path: VerifiedPath, trust: Trust): Judgement {
  const { leaf } = path
  const uri = uriIdentityOf(leaf)
  let parts: ReturnType<typeof parseWorkloadId>
  try {
    parts = parseWorkloadId(uri)
  } catch (error) {
    return refuse('spiffe_id_invalid', (error as PolicyError).message) // parseWorkloadId throws nothing else
  }

  const issuer = path.chain[1] ?? path.anchor
  const row = trust.issuers.get(issuer.publicKey.spkiSha256Hex)
  const denial = isDenied(trust.denied, {
    serialHex: leaf.serialHex,
    issuerSpkiSha256: issuer.publicKey.spkiSha256Hex,
    spkiSha256: leaf.publicKey.spkiSha256Hex,
    id: parts.id,
  })
  if (denial !== undefined) return refuse('peer_denied', `${uri}, by the ${denial.kind} denial ${denial.id}`)
  if (row === undefined) return refuse('issuer_not_in_table', `issuer of ${uri}`)
  if (!row.purposes.has('service')) return refuse('issuer_purpose_not_vouched', `issuer of ${uri}`)
  if (parts.trustDomain !== row.trustDomain) return refuse('trust_domain_foreign', uri)
  if (!row.organizations.has(parts.organization)) return refuse('issuer_org_not_vouched', uri)

  const classOid = assertedClass(path, [...trust.classNames.keys()])
  if (!row.classes.has(classOid)) return refuse('issuer_class_not_vouched', `${uri}, class ${classOid}`)
  const className = trust.classNames.get(classOid)
  if (className === undefined) return refuse('class_unknown', classOid)

  const [instance, ...others] = nameValues(leaf.subject, OID.commonName)
  if (instance === undefined || others.length > 0 || !INSTANCE.test(instance)) return refuse('instance_invalid', uri)

  const peer = {
    id: parts.id,
    organization: parts.organization,
    service: parts.service,
    instance,
    class: className,
    serialHex: leaf.serialHex,
    notAfter: leaf.notAfter,
    validUntil: earliest([...path.chain, path.anchor].map((certificate) => certificate.notAfter)),
  }
  return { ok: true, peer: peer as PeerIdentity } // the one mint
}

/** Whom a certificate names that has not been accepted: for the log, worth nothing else. */
function claimOf(leafDer: Uint8Array): string {
  try {
    return `the certificate claims ${JSON.stringify(uriIdentityOf(decodeCertificate(leafDer))).slice(0, MAX_CLAIM)}`
  } catch {
    return 'the certificate claims no one name'
  }
}

function refuse(code: Refusal['code'], detail?: string): Judgement {
  return { ok: false, refusal: { code, rule: 'identity', ...(detail === undefined ? {} : { detail }) } }
}

function latestStart(path: VerifiedPath): Date {
  return new Date(Math.max(...[...path.chain, path.anchor].map((certificate) => certificate.notBefore.getTime())))
}

function earliest(instants: readonly Date[]): Date {
  return new Date(Math.min(...instants.map((instant) => instant.getTime())))
}

const INSTANCE = /^[a-z0-9]{16}$/
const MAX_CHAIN = 5
const MAX_CLAIM = 200
const MAX_REMEMBERED = 4_096
