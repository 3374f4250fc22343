import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { decide, type Permit } from '@vcc/policy'
import { connectionId } from './dial-handshake.ts'
import { type Evidence, judgePeer, type PeerIdentity } from './gate.ts'
import { earlier, fromDecision, partyOf, selfParty } from './party.ts'
import type { Snapshot } from './snapshot.ts'
import type { Unit, Verdict } from './unit.ts'

/** What an inbound connection is decided to: both are demanded before anything reaches the local service. */
export interface Admitted {
  readonly peer: PeerIdentity
  readonly permit: Permit
}

/** The unit of an inbound connection; who carries its bytes says how they are counted and how it is cut. */
export interface InboundUnit extends Unit {
  readonly decide: (snapshot: Snapshot, now: Date) => Verdict<Admitted>
  carriedBy(carrier: Pick<Unit, 'bytesIn' | 'bytesOut' | 'cut'>): void
}

export function createInboundUnit(
  socket: TLSSocket,
  raw: Socket,
  evidence: Evidence,
  snapshot: Snapshot,
  reset: () => void,
  deps: { readonly now: () => Date },
): InboundUnit {
  const address = `${raw.remoteAddress ?? '?'}:${raw.remotePort ?? 0}`
  let validUntil = snapshot.self.notAfter
  let carrier: Parameters<InboundUnit['carriedBy']>[0] | undefined
  const unit: InboundUnit = {
    connection: connectionId(socket),
    unit: 'connection',
    direction: 'inbound',
    openedAt: deps.now(),
    source: { id: '', address },
    target: selfParty(snapshot),
    bytesIn: () => carrier?.bytesIn() ?? 0,
    bytesOut: () => carrier?.bytesOut() ?? 0,
    judge: (under, now) => unit.decide(under, now),
    validUntil: () => validUntil,
    cut(why) {
      if (carrier === undefined) reset()
      else carrier.cut(why)
    },
    carriedBy(by) {
      carrier = by
    },
    decide(under, now) {
      const judgement = judgePeer(evidence, 'client', under.trust, now)
      if (!judgement.ok) return { allowed: false, refusal: judgement.refusal }
      const { peer } = judgement
      unit.source = { ...partyOf(peer), address }
      validUntil = earlier(validUntil, peer.validUntil)
      const { id: target, class: targetClass } = under.self
      const verdict = fromDecision(
        decide(under.policy, { source: peer.id, sourceClass: peer.class, target, targetClass }),
      )
      return verdict.allowed ? { ...verdict, proof: { peer, permit: verdict.proof } } : verdict
    },
  }
  return unit
}
