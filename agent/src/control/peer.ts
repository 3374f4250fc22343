import { constants } from 'node:crypto'
import tls from 'node:tls'
import { type Certificate, encodePem, uriIdentityOf, validateChain, X509Error } from '@vcc/x509'
import { AgentError } from '../errors.ts'

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

/** One immutable context per certificate: contexts made per connection are slow and outlive them. */
export function clientContext(root: Certificate, credentials: ClientCredentials | undefined): tls.SecureContext {
  return tls.createSecureContext({
    ...(credentials === undefined ? {} : { key: credentials.keyPem, cert: credentials.chainPem }),
    ca: encodePem('CERTIFICATE', root.der),
    ...TLS_RULES,
  })
}

/**
 * Opens TLS 1.3 to a peer of the control plane. Nothing that is written leaves before the peer was checked: OpenSSL's
 * verdict on the chain first, then ours on chain, purpose and the one URI read from the DER. Never resumes a session.
 *
 * The socket fails with an `AgentError` `control_peer_refused` for a peer that is somebody else.
 */
export function connectPeer(
  address: { readonly host: string; readonly port: number },
  context: tls.SecureContext,
  expected: ExpectedPeer,
): tls.TLSSocket {
  const socket = tls.connect({
    host: address.host,
    port: address.port,
    secureContext: context,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => peerFault(certificate, expected),
    ...(isAddress(address.host) ? {} : { servername: address.host }),
  })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  socket.once('secureConnect', () => {
    // A resumed session is not checked by anybody: see knowledge of Node's behaviour R4.
    if (socket.isSessionReused()) socket.destroy(new AgentError('control_peer_refused', 'the peer resumed a session'))
  })
  return socket
}

/** What is wrong with the peer, `undefined` when it is the expected one. */
function peerFault(certificate: tls.PeerCertificate, expected: ExpectedPeer): Error | undefined {
  try {
    const { leaf } = validateChain(chainOf(certificate), {
      anchors: [expected.root],
      at: expected.now(),
      skewSeconds: 300,
      eku: expected.eku,
    })
    const id = uriIdentityOf(leaf)
    if (id === expected.id) return undefined
    return new AgentError('control_peer_refused', `the peer is ${id}, not ${expected.id}`, {
      reason: 'peer_not_expected',
    })
  } catch (cause) {
    if (!(cause instanceof X509Error)) return cause instanceof Error ? cause : new TypeError('not an error')
    return new AgentError('control_peer_refused', `the certificate of the peer is refused: ${cause.message}`, {
      cause,
      reason: cause.code,
    })
  }
}

/** DER, leaf first. The last issuer that Node found points to itself. */
function chainOf(certificate: tls.PeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = []
  let current: Partial<tls.DetailedPeerCertificate> | undefined = certificate
  while (current?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(current.raw)
    current = current.issuerCertificate === current ? undefined : current.issuerCertificate
  }
  return chain
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':')
}

export const TLS_RULES = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'SecP256r1MLKEM768:P-256:P-384',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies tls.SecureContextOptions

const MAX_CHAIN = 5
