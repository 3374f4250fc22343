import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { type Certificate, encodePem, uriIdentityOf, validateChain, X509Error } from '@vcc/x509'
import { MeshError } from './errors.ts'
import { MESH_TLS } from './tls.ts'

/** Whom we expect to answer. Host names play no part: identity is the URI of the certificate. */
export interface ExpectedPeer {
  readonly root: Certificate
  /** `spiffe://<trust domain>/control` or `/broker`. */
  readonly id: string
  /** The extended key usage of ours that only this peer carries. */
  readonly eku: string
  readonly now: () => Date
}

/** What a client presents; nothing before it has joined. */
export interface ClientCredentials {
  readonly keyPem: string
  readonly chainPem: string
}

export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** One immutable context per certificate: contexts made per connection are slow and outlive them. */
export function clientContext(root: Certificate, credentials: ClientCredentials | undefined): SecureContext {
  return createSecureContext({
    ...(credentials === undefined ? {} : { key: credentials.keyPem, cert: credentials.chainPem }),
    ca: encodePem('CERTIFICATE', root.der),
    ...MESH_TLS,
  })
}

/**
 * Opens TLS 1.3 to the API or the broker. Nothing that is written leaves before the peer was checked: OpenSSL's
 * verdict on the chain first, then ours on chain, purpose and the one URI read from the DER. Never resumes a session.
 *
 * The socket fails with a `MeshError` `peer_refused` for a peer that is somebody else.
 */
export function connectPeer(address: PeerAddress, context: SecureContext, expected: ExpectedPeer): TLSSocket {
  return open(address, {
    secureContext: context,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => peerFault(certificate, expected),
  })
}

/** Opens TLS 1.3 to whoever answers: for the mesh root alone, which is believed by its fingerprint. */
export function connectUnverified(address: PeerAddress): TLSSocket {
  return open(address, { rejectUnauthorized: false, checkServerIdentity: () => undefined, ...MESH_TLS })
}

/** Whether a chain (DER, leaf first) is the expected peer's. @throws {MeshError} `peer_refused` */
export function assertPeer(chainDer: readonly Uint8Array[], expected: ExpectedPeer): void {
  const { root, eku } = expected
  let id: string
  try {
    id = uriIdentityOf(validateChain(chainDer, { anchors: [root], at: expected.now(), skewSeconds: 300, eku }).leaf)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new MeshError('peer_refused', `the certificate of the peer is refused: ${cause.message}`, { cause })
  }
  if (id !== expected.id) throw new MeshError('peer_refused', `the peer is ${id}, not ${expected.id}`)
}

function open(address: PeerAddress, options: ConnectionOptions): TLSSocket {
  const { host, port } = address
  const socket = connect({ host, port, ...(isAddress(host) ? {} : { servername: host }), ...options })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  socket.once('secureConnect', () => {
    // Node checks nobody's identity on a resumed session.
    if (socket.isSessionReused()) socket.destroy(new MeshError('peer_refused', 'the peer resumed a session'))
  })
  return socket
}

function peerFault(certificate: PeerCertificate, expected: ExpectedPeer): Error | undefined {
  try {
    assertPeer(chainOf(certificate), expected)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new TypeError('not an error')
  }
}

/** DER, leaf first. The last issuer that Node found points to itself. */
function chainOf(certificate: PeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = []
  let current: Partial<DetailedPeerCertificate> | undefined = certificate
  while (current?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new Uint8Array(current.raw))
    current = current.issuerCertificate === current ? undefined : current.issuerCertificate
  }
  return chain
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':')
}

const MAX_CHAIN = 5
