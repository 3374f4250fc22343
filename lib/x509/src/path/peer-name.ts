import { sameBytes } from '../der/reader.ts'
import { isDnsName } from '../dns-name.ts'
import { X509Error } from '../errors.ts'
import type { GeneralName } from '../general-name.ts'
import { mailboxParts } from '../mailbox.ts'
import type { PathCertificate } from './resolve.ts'

/** Who the leaf is expected to be. `octets`: 4 or 16. */
export type PeerName =
  | { readonly type: 'dns' | 'email'; readonly value: string }
  | { readonly type: 'ip'; readonly octets: Uint8Array }

/**
 * Whether the subject alternative names hold the peer. The subject is not looked at: "the client MUST NOT seek a match for
 * a reference identifier of CN-ID" (RFC 9525 §2, §6.1).
 *
 * @throws {X509Error} `peer_name_mismatch`.
 */
export function checkPeerName({ extensions }: PathCertificate, peer: PeerName): void {
  if ((extensions.subjectAltName ?? []).some((name) => isPeer(name, peer))) return
  throw new X509Error('peer_name_mismatch', 'the certificate does not name the peer')
}

function isPeer(name: GeneralName, peer: PeerName): boolean {
  if (name.type === 'ip') return peer.type === 'ip' && sameBytes(name.octets, peer.octets)
  if (name.type === 'dns') return peer.type === 'dns' && isHost(name.value.toLowerCase(), peer.value.toLowerCase())
  return name.type === 'email' && peer.type === 'email' && isMailbox(name.value, peer.value)
}

/** "the wildcard character is the complete and only content of the left-most label" and stands for one label: RFC 9525 §6.3 */
function isHost(presented: string, wanted: string): boolean {
  if (!isDnsName(wanted)) return false
  if (!presented.startsWith('*.')) return presented === wanted
  const above = presented.slice(2)
  return above.includes('.') && wanted.slice(wanted.indexOf('.') + 1) === above && wanted.includes('.')
}

/** "the local-part … exact match … the host part … case-insensitive": RFC 5280 §7.5 */
function isMailbox(presented: string, wanted: string): boolean {
  const [found, expected] = [mailboxParts(presented), mailboxParts(wanted)]
  return found !== undefined && found.local === expected?.local && found.host === expected.host
}
