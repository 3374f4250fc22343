import type { Permit } from '@vcc/policy'
import { type InnerList, serializeDictionary } from 'structured-headers'
import type { PeerIdentity } from './gate.ts'

/** The one header by which the local service learns who calls. */
export const CALLER_HEADER = 'x-vcc-caller'

/**
 * `id="spiffe://…", class="…", permissions=("a" "b")`: an RFC 8941 dictionary. `permissions` is what the matrix grants
 * the caller at this callee.
 */
export function callerHeader(peer: PeerIdentity, permit: Permit): string {
  const permissions: InnerList = [permit.permissions.map((name) => [name, new Map()]), new Map()]
  return serializeDictionary({ id: peer.id, class: peer.class, permissions })
}
