import { type Held, isoSeconds, type UpBody } from '@vcc/mesh'
import { errorCode } from '@vcc/runtime'
import type { Certificate } from '@vcc/x509'
import type { RecordedAcks } from '../control/answers.ts'
import { AgentError } from '../errors.ts'
import { type Identity, isExpired } from '../identity/identity.ts'
import type { DataPlane } from '../proxy/data-plane.ts'
import { ListenError } from '../proxy/endpoint.ts'
import { say, type UplinkDeps } from '../report/uplink.ts'
import type { StateKeeper } from '../state/keeper.ts'
import { type BuiltSnapshot, type SnapshotParts, snapshotOf } from '../state/snapshot.ts'
import type { RefusedDocument } from '../status/state-in-force.ts'
import type { AgentEvents } from './events.ts'

export interface InForceDeps {
  readonly root: Certificate
  readonly keyExchange: readonly string[]
  readonly keeper: () => StateKeeper
  /** The newest one. */
  readonly identity: () => Identity
  readonly dataPlane: DataPlane
  readonly uplink: () => UplinkDeps
  readonly events: Pick<AgentEvents, 'state_not_applied'>
  /** A listener cannot be bound: there is nothing to run for. */
  readonly onFatal: (error: ListenError) => void
}

export interface InForce {
  readonly current: () => BuiltSnapshot | undefined
  /** Why the own listener does not serve what it should. */
  readonly listenerFailure: () => string | undefined
  /** Documents that are held and could not be put in force. */
  readonly refused: () => readonly RefusedDocument[]
  /** Why the newest certificate is not the one served, where it is not. */
  readonly identityFailure: () => AgentError | undefined
  /** Puts what is held in force, as one immutable snapshot. Never throws; says afterwards what came of it. */
  readonly apply: () => Promise<void>
  /** Sends the acknowledgements that nobody took yet; `all`: those that were taken, too. */
  readonly acknowledge: (which: 'owed' | 'all') => Promise<void>
  /**
   * What the control plane has on record. What a broker confirmed and that is not among it was lost: it is owed again, and
   * goes over HTTPS.
   */
  readonly noteRecorded: (recorded: RecordedAcks) => void
}

/**
 * What the data plane works by, and what the control plane is told about it: one acknowledgement for each content and
 * each serial served. A refresh, which changes neither, is put in force in silence.
 *
 * What cannot be put in force does not hold up the rest: a certificate that the own listener cannot serve leaves the
 * last good one in use until another one comes, and with a document of the instance that cannot be used the last good
 * one goes on, so that what the fleet denies is denied all the same. Neither is ever the other way round: there is no way
 * back to an older fleet document.
 */
export function inForce(deps: InForceDeps): InForce {
  let built: BuiltSnapshot | undefined
  let lastGood: SnapshotParts | undefined
  let listenerFailure: string | undefined
  let heldBack: { readonly identity: Identity; readonly error: AgentError } | undefined
  const acks = new Map<Held['kind'], Ack>()
  let refused: RefusedDocument[] = []
  let applying: Promise<void> = Promise.resolve()
  let sending: Promise<void> = Promise.resolve()

  async function applyHeld(): Promise<void> {
    const { fleet, agent } = deps.keeper()
    if (fleet === undefined || agent === undefined) return
    const wanted = { root: deps.root, fleet, agent, identity: servable(), keyExchange: deps.keyExchange }
    const first = await applied(wanted)
    const choices = first.error === undefined ? [] : fallbacks(wanted, first)
    let last = first
    while (last.error !== undefined) {
      const next = choices.shift()
      if (next === undefined) break
      last = await applied(next)
    }
    const good = last.error === undefined ? last.parts : undefined
    if (good !== undefined) noteGood(good, wanted, first.error)
    oweAll(wanted, good, first.error, last.cut)
  }

  /** `isBuilt`: it is in force in spite of the error, but the own listener does not serve it as it should. */
  async function applied(parts: SnapshotParts): Promise<Tried> {
    const before = built
    try {
      built = snapshotOf(parts, before)
      const { cut } = await deps.dataPlane.apply(built.snapshot)
      listenerFailure = undefined
      return { parts, cut, isBuilt: true, error: undefined }
    } catch (cause) {
      const error = cause instanceof Error ? cause : new TypeError('what was thrown is not an error', { cause })
      deps.events.state_not_applied({ code: codeOf(error) }, error)
      if (error instanceof ListenError) deps.onFatal(error)
      const isBuilt = built !== before
      if (isBuilt) listenerFailure = error.message
      return { parts, cut: 0, isBuilt, error }
    }
  }

  function noteGood(parts: SnapshotParts, wanted: SnapshotParts, error: Error | undefined): void {
    lastGood = parts
    if (parts.identity === wanted.identity) {
      if (heldBack?.identity === parts.identity) heldBack = undefined
      return
    }
    const message = 'the own listener cannot serve the new certificate; the last good one stays in use'
    const refusal = new AgentError('identity_refused', message, { cause: error, reason: codeOf(error) })
    heldBack = { identity: wanted.identity, error: refusal }
  }

  /** The newest identity, unless it failed before and the last good one still lives. */
  function servable(): Identity {
    const newest = deps.identity()
    if (heldBack?.identity !== newest) heldBack = undefined
    const good = lastGood?.identity
    return heldBack === undefined || good === undefined || isExpired(good, deps.keeper().now()) ? newest : good
  }

  /** What to work by when `wanted` cannot be put in force: the most that is left of it first. */
  function fallbacks(wanted: SnapshotParts, { error, isBuilt }: Tried): SnapshotParts[] {
    if (lastGood === undefined || error instanceof ListenError) return []
    const { identity, agent } = lastGood
    const choices: SnapshotParts[] = []
    const hasOlderIdentity = identity !== wanted.identity && !isExpired(identity, deps.keeper().now())
    // What the listener serves is not a matter of the documents.
    const hasOlderAgent = !isBuilt && agent.content !== wanted.agent.content
    if (hasOlderIdentity) choices.push({ ...wanted, identity })
    if (hasOlderAgent) choices.push({ ...wanted, agent })
    if (hasOlderIdentity && hasOlderAgent) choices.push({ ...wanted, agent, identity })
    return choices
  }

  /** Of exactly the documents that were put in force; newer ones may be held by the time it is sent. */
  function oweAll(wanted: SnapshotParts, parts: SnapshotParts | undefined, failure: unknown, closed: number): void {
    refused = []
    for (const kind of ['fleet', 'agent'] as const) {
      const isApplied = parts?.[kind] === wanted[kind]
      const [at, code] = [isoSeconds(deps.keeper().now()), codeOf(failure)]
      owe(wanted[kind], isApplied ? { result: 'applied', at, closed } : { result: 'refused', code })
      if (built?.parts[kind] !== wanted[kind]) refused.push({ held: wanted[kind], code })
    }
    // Not waited for: the next document is not to be late because nobody takes this message.
    void sendInTurn()
  }

  function owe(held: Held, outcome: UpBody<'ack'>['outcome']): void {
    const serial = deps.dataPlane.status().served?.serialHex ?? null
    const { kind, epoch, generation, contentHash, enforceUntil } = held
    const body = { kind, epoch, generation, contentHash, enforceUntil: isoSeconds(enforceUntil), serial, outcome }
    const key = [epoch, generation, contentHash, serial, outcome.result].join(' ')
    const before = acks.get(kind)
    const isSame = before?.key === key
    acks.set(kind, { key, body, isTaken: isSame && before.isTaken, wasLost: isSame && before.wasLost })
  }

  async function send(): Promise<void> {
    for (const [kind, ack] of acks) {
      if (ack.isTaken) continue
      const isTaken = await say('ack', ack.body, deps.uplink(), ack.wasLost ? 'https' : 'broker')
      if (isTaken && acks.get(kind)?.key === ack.key) acks.set(kind, { ...ack, isTaken })
    }
  }

  /** One message after the other, so that the newest is the last word. */
  function sendInTurn(): Promise<void> {
    sending = sending.then(send)
    return sending
  }

  return {
    current: () => built,
    listenerFailure: () => listenerFailure,
    refused: () => refused,
    identityFailure: () => heldBack?.error,
    apply() {
      applying = applying.then(applyHeld)
      return applying
    },
    acknowledge(which) {
      if (which === 'all') for (const [kind, ack] of acks) acks.set(kind, { ...ack, isTaken: false })
      return sendInTurn()
    },
    noteRecorded(recorded) {
      for (const [kind, ack] of acks) {
        if (isMissing(ack, recorded[kind], recorded)) acks.set(kind, { ...ack, isTaken: false, wasLost: true })
      }
    },
  }
}

interface Ack {
  readonly key: string
  readonly body: UpBody<'ack'>
  readonly isTaken: boolean
  readonly wasLost: boolean
}

/** Taken by somebody, and not on record. A refusal is never on record: it says nothing about what is in force. */
function isMissing({ body, isTaken }: Ack, generation: number | null, { epoch, serial }: RecordedAcks): boolean {
  if (!isTaken || body.outcome.result !== 'applied') return false
  return epoch !== body.epoch || (generation ?? 0) < body.generation || serial !== body.serial
}

interface Tried {
  readonly parts: SnapshotParts
  readonly cut: number
  readonly isBuilt: boolean
  readonly error: Error | undefined
}

/** A code as an acknowledgement may carry it; those of Node and OpenSSL are in the log. */
function codeOf(error: unknown): string {
  const code = errorCode(error)
  return code !== undefined && /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : 'internal_error'
}
