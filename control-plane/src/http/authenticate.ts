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
import { type CertificateRow, certificateByIssuerAndSerial } from '../certificates/store.ts'
import type { ReadAccess } from '../database/access.ts'
import type { Installation } from '../installation/installation.ts'
import { instanceById } from '../registry/instances-store.ts'
import { isDenied } from '../revocation/admit.ts'
import { peerChain } from '../tls/peer.ts'
import type { AdminCaller, AgentCaller, Caller } from './caller.ts'
import { ADMIN_PERMISSIONS } from './permissions.ts'

export interface AuthenticateDeps {
  readonly database: ReadAccess
  readonly authorities: Authorities
  readonly installation: Pick<Installation, 'trustDomain'>
  readonly now: () => Date
}

export interface Authenticator {
  /**
   * Who is at the other end of a TLS connection, by the certificate it showed.
   *
   * Judged anew for every request: path and validity, that the issuer's profile may speak for this kind of caller,
   * that the certificate is one we issued and is not revoked, and that the instance is still registered. What fails is
   * an anonymous caller with a reason, so that open routes answer all the same.
   */
  readonly callerOf: (socket: TLSSocket) => Promise<Caller>
  /** The one MQTT client id a connection may use: its instance, or `control` for the control plane itself. */
  readonly mqttClientIdOf: (socket: TLSSocket) => Promise<string | undefined>
}

export function createAuthenticator(deps: AuthenticateDeps): Authenticator {
  const verified = new WeakMap<TLSSocket, Shown>()
  const identify = async (socket: TLSSocket): Promise<Peer | { refused: string } | undefined> => {
    if (socket.isSessionReused()) return { refused: 'the session was resumed' }
    try {
      const shown = shownOn(socket, verified, deps)
      return shown === undefined || 'refused' in shown ? shown : await standing(shown, deps)
    } catch (error) {
      if (error instanceof X509Error) return { refused: `${error.message} [${error.code}]` }
      throw error
    }
  }
  const callerOf = async (socket: TLSSocket): Promise<Caller> => {
    const peer = await identify(socket)
    if (peer === undefined) return { kind: 'anonymous', refused: undefined }
    if ('refused' in peer) return refused(peer.refused)
    const { profile, name } = peer.issuer
    if (profile === 'admin-ca')
      return (await isShutOut(peer, deps)) ? refused('it is shut out') : adminCaller(peer, deps)
    if (profile === 'services-ca' || profile === 'external-ca') return agentCaller(peer, deps)
    return refused(`the ${name} does not vouch for callers of the API`)
  }
  return {
    callerOf,
    async mqttClientIdOf(socket) {
      const peer = await identify(socket)
      if (peer === undefined || 'refused' in peer) return undefined
      if (peer.issuer.profile === 'control-ca') {
        return peer.uri === `spiffe://${deps.installation.trustDomain}/control` ? CONTROL_CLIENT_ID : undefined
      }
      const caller = await callerOf(socket)
      return caller.kind === 'agent' ? caller.instance : undefined
    },
  }
}

/** The certificate of a connection, its path verified for the instants between `from` and `until`. */
interface Shown {
  readonly leaf: Certificate
  readonly uri: string
  readonly issuerCaId: string
  readonly from: Date
  readonly until: Date
}

interface Peer {
  readonly leaf: Certificate
  readonly uri: string
  readonly issuer: Authority
  readonly row: CertificateRow
}

/** Nothing when no certificate was shown. Signatures are checked once per connection, time at every question. */
function shownOn(
  socket: TLSSocket,
  verified: WeakMap<TLSSocket, Shown>,
  deps: AuthenticateDeps,
): Shown | { refused: string } | undefined {
  const at = deps.now()
  const known = verified.get(socket)
  if (known !== undefined && known.from <= at && at <= known.until) return known
  const [leafDer] = peerChain(socket)
  if (leafDer === undefined) return undefined
  if (!socket.authorized) return { refused: authorizationError(socket) }
  const leaf = decodeCertificate(leafDer)
  const issuer = deps.authorities.all().find((one) => isIssuerOf(one, leaf))
  if (issuer === undefined) return { refused: 'it is not a certificate of one of our CAs' }
  const root = deps.authorities.root('mesh-root').certificate
  validateChain([leaf.der, issuer.certificate.der], { anchors: [root], at, eku: OID.clientAuth })
  const path = [leaf, issuer.certificate, root]
  const from = new Date(Math.max(...path.map((one) => one.notBefore.getTime())))
  const until = new Date(Math.min(...path.map((one) => one.notAfter.getTime())))
  const shown = { leaf, uri: uriIdentityOf(leaf), issuerCaId: issuer.caId, from, until }
  verified.set(socket, shown)
  return shown
}

/** What may have changed since: the CA, and what is on record of the certificate. */
async function standing(shown: Shown, deps: AuthenticateDeps): Promise<Peer | { refused: string }> {
  const { leaf, uri, issuerCaId } = shown
  const issuer = deps.authorities.all().find((one) => one.caId === issuerCaId)
  if (issuer === undefined) return { refused: 'it is not a certificate of one of our CAs' }
  const row = await deps.database.read(() => certificateByIssuerAndSerial(issuerCaId, leaf.serialHex))
  if (row?.state !== 'issued') return { refused: 'no certificate of this serial was issued' }
  if (row.der === null || !Buffer.from(row.der).equals(leaf.der))
    return { refused: 'it is not the certificate that was issued under its serial' }
  if (row.revoked_at !== null) return { refused: 'it is revoked' }
  if (issuer.revoked) return { refused: 'its CA is revoked' }
  return { leaf, uri, issuer, row }
}

/** A person who is shut out is told nothing more. An agent goes on being told what is in force. */
function isShutOut({ row }: Peer, deps: AuthenticateDeps): Promise<boolean> {
  return deps.database.read(() => isDenied(row))
}

function adminCaller({ uri, leaf }: Peer, deps: AuthenticateDeps): Caller {
  const prefix = `spiffe://${deps.installation.trustDomain}/admin/`
  const ref = uri.startsWith(prefix) ? uri.slice(prefix.length) : undefined
  if (ref === undefined || commonName(leaf) !== `admin ${ref}`) return refused('it does not name an admin')
  return { kind: 'admin', ref, serialHex: leaf.serialHex, permissions: ADMIN_PERMISSIONS } satisfies AdminCaller
}

async function agentCaller({ uri, leaf, issuer, row }: Peer, deps: AuthenticateDeps): Promise<Caller> {
  const parts = workloadOf(uri)
  if (parts === undefined) return refused('it does not name a service')
  const { id, trustDomain, organization, service } = parts
  if (trustDomain !== deps.installation.trustDomain) return refused('it is of another trust domain')
  if (!issuer.grants.organizations.includes(organization))
    return refused('its issuer may not vouch for this organisation')
  const instance = commonName(leaf)
  if (instance === undefined || instance !== row.instance_id) return refused('it was not issued to this instance')
  const registered = await deps.database.read(() => instanceById(instance))
  if (registered?.state !== 'active' || registered.service_id !== row.service_id)
    return refused('the instance is not registered, or no longer')
  return { kind: 'agent', instance, id, organization, service, serialHex: leaf.serialHex } satisfies AgentCaller
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
