import { type Held, isoSeconds, type UpBody } from '@vcc/mesh'
import { errorCode } from '@vcc/runtime'
import type { Certificate } from '@vcc/x509'
import type { Identity } from '../identity/identity.ts'
import type { DataPlane } from '../proxy/data-plane.ts'
import { ListenError } from '../proxy/endpoint.ts'
import { say, type UplinkDeps } from '../report/uplink.ts'
import type { StateKeeper } from '../state/keeper.ts'
import { type BuiltSnapshot, type SnapshotParts, snapshotOf } from '../state/snapshot.ts'
import type { AgentEvents } from './events.ts'

export interface InForceDeps {
  readonly root: Certificate
  readonly keyExchange: readonly string[]
  readonly keeper: () => StateKeeper
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
  /** Puts what is held in force, as one immutable snapshot. Never throws; says afterwards what came of it. */
  readonly apply: () => Promise<void>
  /** Sends the acknowledgements that nobody took yet; `all`: those that were taken, too. */
  readonly acknowledge: (which: 'owed' | 'all') => Promise<void>
}

/**
 * What the data plane works by, and what the control plane is told about it: one acknowledgement for each content and
 * each serial served. A refresh, which changes neither, is put in force in silence.
 */
export function inForce(deps: InForceDeps): InForce {
  let built: BuiltSnapshot | undefined
  let listenerFailure: string | undefined
  const acks = new Map<Held['kind'], { key: string; body: UpBody<'ack'>; isTaken: boolean }>()
  let sending: Promise<void> = Promise.resolve()

  /** Of exactly the documents that were put in force; newer ones may be held by the time it is sent. */
  function owe(parts: SnapshotParts, outcome: UpBody<'ack'>['outcome']): void {
    const serial = deps.dataPlane.status().served?.serialHex ?? null
    for (const held of [parts.fleet, parts.agent]) {
      const { kind, epoch, generation, contentHash, enforceUntil } = held
      const body = { kind, epoch, generation, contentHash, enforceUntil: isoSeconds(enforceUntil), serial, outcome }
      const key = [epoch, generation, contentHash, serial, outcome.result].join(' ')
      const before = acks.get(kind)
      acks.set(kind, { key, body, isTaken: before?.key === key && before.isTaken })
    }
  }

  async function send(): Promise<void> {
    for (const [kind, ack] of acks) {
      if (ack.isTaken) continue
      const isTaken = await say('ack', ack.body, deps.uplink())
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
    async apply() {
      const { fleet, agent } = deps.keeper()
      if (fleet === undefined || agent === undefined) return
      const parts = { root: deps.root, fleet, agent, identity: deps.identity(), keyExchange: deps.keyExchange }
      const before = built
      try {
        built = snapshotOf(parts, before)
        const { cut } = await deps.dataPlane.apply(built.snapshot)
        listenerFailure = undefined
        owe(parts, { result: 'applied', at: isoSeconds(deps.keeper().now()), closed: cut })
      } catch (error) {
        const code = errorCode(error) ?? 'internal_error'
        deps.events.state_not_applied({ code }, error)
        if (error instanceof ListenError) deps.onFatal(error)
        if (built !== before) listenerFailure = error instanceof Error ? error.message : code
        owe(parts, { result: 'refused', code })
      }
      // Not waited for: the next document is not to be late because nobody takes this message.
      void sendInTurn()
    },
    acknowledge(which) {
      if (which === 'all') for (const [kind, ack] of acks) acks.set(kind, { ...ack, isTaken: false })
      return sendInTurn()
    },
  }
}
