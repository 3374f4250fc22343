import type { Party } from './close-record.ts'
import type { PeerIdentity } from './gate.ts'
import type { Refusal } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'
import type { Verdict } from './unit.ts'

/** A decision of the matrix as a verdict of the data plane. */
export function fromDecision<Proof>(
  decision:
    | { readonly allowed: true; readonly rule: string; readonly permit: Proof }
    | { readonly allowed: false; readonly code: Refusal['code']; readonly rule: string; readonly reason: string },
): Verdict<Proof> {
  if (decision.allowed) return { allowed: true, rule: decision.rule, proof: decision.permit }
  return { allowed: false, refusal: { code: decision.code, rule: decision.rule, detail: decision.reason } }
}

/** This agent's own service, as a party of a record. */
export function selfParty(snapshot: Snapshot | undefined, address?: string): Party {
  const { id = '', instance, class: ownClass, serialHex } = snapshot?.self ?? {}
  return {
    id,
    ...(instance === undefined ? {} : { instance }),
    ...(ownClass === undefined ? {} : { class: ownClass }),
    ...(serialHex === undefined ? {} : { serialHex }),
    ...(address === undefined ? {} : { address }),
  }
}

export function partyOf(peer: PeerIdentity): Party {
  return { id: peer.id, instance: peer.instance, class: peer.class, serialHex: peer.serialHex }
}

export function earlier(a: Date | undefined, b: Date): Date {
  return a === undefined || b < a ? b : a
}
