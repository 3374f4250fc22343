import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** DER of what the peer sent, leaf first, at most four; nothing when it sent none. Verified is nothing of it. */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let at: X509Certificate | undefined = socket.getPeerX509Certificate()
  while (at !== undefined && chain.length < 4) {
    chain.push(new Uint8Array(at.raw))
    at = at.issuerCertificate
  }
  return chain
}
