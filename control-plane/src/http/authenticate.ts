import type { TLSSocket } from 'node:tls'
import { CONTROL_CLIENT_ID } from '@vcc/mesh'
import { PolicyError, parseWorkloadId } from '@vcc/policy'
import {
  type Certificate,
  decodeCertificate,
  nameValues,
  OID,
  uriIdentityOf,
  validateChain,
  X509Error,
} from '@vcc/x509'
import type { Authorities, Authority } from '../authority/authority.ts'
import { certificateByIssuerAndSerial } from '../certificates/store.ts'
import type { ReadAccess } from '../database/access.ts'
import type { Installation } from '../installation/installation.ts'
import { instanceById } from '../registry/instances-store.ts'
import { peerChain } from '../tls/peer.ts'
import type { AdminCaller, AgentCaller, Caller } from './caller.ts'
import { ADMIN_PERMISSIONS } from './permissions.ts'

export interface AuthenticateDeps {
  readonly database: ReadAccess
  readonly authorities: Authorities
  readonly installation: Pick<Installation, 'trustDomain'>
  readonly now: () => Date
}

/**
 * Who is at the other end of a TLS connection, by the certificate it showed.
 *
 * Judged anew for every request: path and validity, that the issuer's profile may speak for this kind of caller, that
 * the certificate is one we issued and is not revoked, and that the instance is still registered. What fails is an
 * anonymous caller with a reason, so that open routes answer all the same.
 */
export async function authenticate(socket: TLSSocket, deps: AuthenticateDeps): Promise<Caller> {
  const peer = await identify(socket, deps)
  if (peer === undefined) return { kind: 'anonymous', refused: undefined }
  if ('refused' in peer) return refused(peer.refused)
  const { uri, leaf, issuer } = peer
  if (issuer.profile === 'admin-ca') return adminCaller(uri, leaf, deps)
  if (issuer.profile === 'services-ca' || issuer.profile === 'external-ca') return agentCaller(uri, leaf, issuer, deps)
  return refused(`the ${issuer.name} does not vouch for callers of the API`)
}

/** The one MQTT client id a connection may use: its instance, or `control` for the control plane itself. */
export async function mqttClientId(socket: TLSSocket, deps: AuthenticateDeps): Promise<string | undefined> {
  const peer = await identify(socket, deps)
  if (peer === undefined || 'refused' in peer) return undefined
  if (peer.issuer.profile === 'control-ca') {
    return peer.uri === `spiffe://${deps.installation.trustDomain}/control` ? CONTROL_CLIENT_ID : undefined
  }
  const caller = await authenticate(socket, deps)
  return caller.kind === 'agent' ? caller.instance : undefined
}

interface Peer {
  readonly leaf: Certificate
  readonly issuer: Authority
  readonly uri: string
}

/** Nothing when no certificate was shown. */
async function identify(socket: TLSSocket, deps: AuthenticateDeps): Promise<Peer | { refused: string } | undefined> {
  if (socket.isSessionReused()) return { refused: 'the session was resumed' }
  const [leafDer] = peerChain(socket)
  if (leafDer === undefined) return undefined
  if (!socket.authorized) return { refused: authorizationError(socket) }
  try {
    return await judge(decodeCertificate(leafDer), deps)
  } catch (error) {
    if (error instanceof X509Error) return { refused: `${error.message} [${error.code}]` }
    throw error
  }
}

async function judge(leaf: Certificate, deps: AuthenticateDeps): Promise<Peer | { refused: string }> {
  const issuer = deps.authorities.all().find((one) => isIssuerOf(one, leaf))
  if (issuer === undefined) return { refused: 'it is not a certificate of one of our CAs' }
  const root = deps.authorities.root('mesh-root').certificate
  validateChain([leaf.der, issuer.certificate.der], { anchors: [root], at: deps.now(), eku: OID.clientAuth })
  const row = await deps.database.read(() => certificateByIssuerAndSerial(issuer.caId, leaf.serialHex))
  if (row?.state !== 'issued') return { refused: 'no certificate of this serial was issued' }
  if (row.revoked_at !== null) return { refused: 'it is revoked' }
  return { leaf, issuer, uri: uriIdentityOf(leaf) }
}

function adminCaller(uri: string, leaf: Certificate, deps: AuthenticateDeps): Caller {
  const prefix = `spiffe://${deps.installation.trustDomain}/admin/`
  const ref = uri.startsWith(prefix) ? uri.slice(prefix.length) : undefined
  if (ref === undefined || ref !== commonName(leaf)) return refused('it does not name an admin')
  return { kind: 'admin', ref, serialHex: leaf.serialHex, permissions: ADMIN_PERMISSIONS } satisfies AdminCaller
}

async function agentCaller(uri: string, leaf: Certificate, issuer: Authority, deps: AuthenticateDeps): Promise<Caller> {
  const parts = workloadOf(uri)
  if (parts === undefined) return refused('it does not name a service')
  const { id, trustDomain, organization, service } = parts
  if (trustDomain !== deps.installation.trustDomain) return refused('it is of another trust domain')
  if (!issuer.grants.organizations.includes(organization))
    return refused('its issuer may not vouch for this organisation')
  const instance = commonName(leaf)
  const row = instance === undefined ? undefined : await deps.database.read(() => instanceById(instance))
  if (row?.state !== 'active') return refused('the instance is not registered, or no longer')
  return {
    kind: 'agent',
    instance: row.instance_id,
    id,
    organization,
    service,
    serialHex: leaf.serialHex,
  } satisfies AgentCaller
}

function workloadOf(uri: string) {
  try {
    return parseWorkloadId(uri)
  } catch (error) {
    if (error instanceof PolicyError) return undefined
    throw error
  }
}

function isIssuerOf(authority: Authority, leaf: Certificate): boolean {
  const { certificate } = authority
  const subjectKeyId = certificate.extensions.subjectKeyId
  const named = leaf.extensions.authorityKeyId?.keyId
  return subjectKeyId !== undefined && named !== undefined && Buffer.from(subjectKeyId).equals(named)
}

function commonName(certificate: Certificate): string | undefined {
  const names = nameValues(certificate.subject, OID.commonName)
  return names.length === 1 ? names[0] : undefined
}

function refused(why: string): Caller {
  return { kind: 'anonymous', refused: why }
}

function authorizationError(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError
  return typeof error === 'string' ? error : error instanceof Error ? error.message : 'its chain does not verify'
}
