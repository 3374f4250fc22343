import { decide, decideDial, type WorkloadId } from '@vcc/policy'
import type { Party } from './close-record.ts'
import { type Evidence, judgePeer } from './gate.ts'
import { earlier, fromDecision, partyOf, selfParty } from './party.ts'
import { type Refusal, RefusedError } from './refusal.ts'
import type { Snapshot } from './snapshot.ts'
import type { Unit, Verdict } from './unit.ts'

/** The unit of an outbound connection; who carries its bytes says how they are counted and how it is cut. */
export interface DialUnit extends Unit {
  carriedBy(carrier: Carrier): void
}

export interface Carrier {
  bytesIn(): number
  bytesOut(): number
  cut: Unit['cut']
}

/** The same while it is being dialled: what is known of the peer grows, and with it what is decided. */
export interface DialingUnit extends DialUnit {
  /** Another address is tried: nothing that a former one showed counts. */
  begins(target: Party): void
  shown(evidence: Evidence, snapshot: Snapshot): void
  /** From here on there is something to reset, whether or not anybody carries bytes yet. */
  stands(reset: () => void): void
  readonly decideEdge: (snapshot: Snapshot) => Verdict<unknown>
  readonly decideCall: (snapshot: Snapshot, now: Date) => Verdict
  readonly decideExternal: (snapshot: Snapshot) => Verdict
}

export function createDialUnit(
  target: WorkloadId,
  callerAddress: string | undefined,
  given: AbortController,
  deps: { readonly current: () => Snapshot | undefined; readonly now: () => Date; readonly newId: () => string },
): DialingUnit {
  let evidence: Evidence | undefined
  let external = false
  let validUntil: Date | undefined
  let carrier: Carrier | undefined
  let reset: (() => void) | undefined
  const source = selfParty(deps.current(), callerAddress)
  const unit: DialingUnit = {
    connection: deps.newId(),
    unit: 'connection',
    direction: 'outbound',
    openedAt: deps.now(),
    source,
    target: { id: target },
    bytesIn: () => carrier?.bytesIn() ?? 0,
    bytesOut: () => carrier?.bytesOut() ?? 0,
    judge: (snapshot, now) => {
      if (external) return unit.decideExternal(snapshot)
      return evidence === undefined ? unit.decideEdge(snapshot) : unit.decideCall(snapshot, now)
    },
    validUntil: () => validUntil,
    cut(why) {
      given.abort(refused(why, unit))
      if (carrier !== undefined) carrier.cut(why)
      else reset?.()
    },
    stands(by) {
      reset = by
    },
    carriedBy(by) {
      carrier = by
    },
    begins(at) {
      unit.target = at
      evidence = undefined
      validUntil = undefined
      reset = undefined
    },
    shown(shown, snapshot) {
      evidence = shown
      validUntil = snapshot.self.notAfter
    },
    decideEdge: (snapshot) => fromDecision(decideDial(snapshot.policy, { source: snapshot.self.id, target })),
    decideExternal(snapshot) {
      external = true
      const { id, class: sourceClass } = snapshot.self
      return fromDecision(decide(snapshot.policy, { source: id, sourceClass, target, targetClass: 'no-certificate' }))
    },
    decideCall(snapshot, now) {
      if (evidence === undefined) throw new TypeError('decided before the handshake')
      const judgement = judgePeer(evidence, 'server', snapshot.trust, now)
      if (!judgement.ok) return { allowed: false, refusal: judgement.refusal }
      const { peer } = judgement
      unit.target = { ...partyOf(peer), ...(unit.target.address === undefined ? {} : { address: unit.target.address }) }
      if (peer.id !== target) return { allowed: false, refusal: { code: 'peer_not_expected', rule: 'identity' } }
      validUntil = earlier(validUntil, peer.validUntil)
      const { id, class: sourceClass } = snapshot.self
      return fromDecision(decide(snapshot.policy, { source: id, sourceClass, target, targetClass: peer.class }))
    },
  }
  return unit
}

/** A refusal of this agent, on its way to whoever dialled. */
export function refused(refusal: Refusal, unit: Unit): RefusedError {
  return new RefusedError(refusal, { side: 'caller', connection: unit.connection })
}
