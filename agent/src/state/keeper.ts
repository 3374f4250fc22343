import {
  acceptAgent,
  acceptDelta,
  acceptFleet,
  acceptRefresh,
  type ClockReading,
  clockReading,
  type Held,
  type HeldAgent,
  type HeldFleet,
  MESH_FAILURES,
  MeshError,
  type TrustStatement,
} from '@vcc/mesh'
import type { Certificate } from '@vcc/x509'
import type { PulledState } from '../control/answers.ts'
import type { KeptFiles } from './kept-files.ts'
import { assertNotBelow, type Marks, raisedMarks } from './marks.ts'
import type { LoadedState } from './state-files.ts'

export interface KeeperDeps {
  readonly root: Certificate
  /** From join; a newer one in the fleet document wins. */
  readonly statement: TrustStatement
  readonly instance: string
  readonly workload: string
  readonly files: Pick<KeptFiles, 'save' | 'saveMarks'>
  /** The documents changed, or may be worked on for longer. Called after they are on the disk, if that was possible. */
  readonly onChange: (kind: Held['kind']) => Promise<void>
  /** Something was missed, or came too late to be taken by itself: a pull brings it. */
  readonly onGap: () => void
  readonly onRefused: (fact: { what: string; code: string; isAlarm: boolean }, error: MeshError) => void
  readonly now: () => Date
}

/** What a message is, by the topic or answer that carried it. The message proves the rest itself. */
export type StateMessage = 'fleet' | 'delta' | 'agent' | 'fleet-refresh' | 'agent-refresh'

/** Holds the signed state. Takes one message at a time; whatever is older, foreign or tampered changes nothing. */
export class StateKeeper {
  #fleet: HeldFleet | undefined
  #agent: HeldAgent | undefined
  #marks: Marks
  #queue: Promise<void> = Promise.resolve()
  #waiting = 0
  readonly #deps: KeeperDeps

  constructor(loaded: LoadedState, deps: KeeperDeps) {
    this.#fleet = loaded.fleet
    this.#agent = loaded.agent
    this.#marks = marksOf(loaded)
    this.#deps = deps
  }

  get fleet(): HeldFleet | undefined {
    return this.#fleet
  }

  get agent(): HeldAgent | undefined {
    return this.#agent
  }

  get trust(): TrustStatement {
    return this.#fleet?.trust ?? this.#deps.statement
  }

  get floor(): Date | undefined {
    return this.#marks.floor
  }

  /** The instant everything is enforced by: the clock, but never before what was signed. */
  now(): Date {
    const at = this.#deps.now()
    const { floor } = this.#marks
    return floor !== undefined && floor > at ? floor : at
  }

  /** Our clock against what the control plane signed. */
  clock(): ClockReading {
    return clockReading(this.#deps.now(), this.#marks.floor)
  }

  /** Past `MAX_WAITING` messages in line the next ones are dropped, and a pull brings what they said. */
  take(what: StateMessage, jws: string): Promise<void> {
    if (this.#waiting >= MAX_WAITING) {
      this.#deps.onGap()
      return Promise.resolve()
    }
    return this.#inTurn(() => this.#takeOne(what, jws))
  }

  /** An answer of `mesh/state`: each document with the refresh that makes it takeable. */
  takePulled(pulled: PulledState): Promise<void> {
    return this.#inTurn(async () => {
      await this.#takePart('fleet', pulled.fleet)
      await this.#takePart('agent', pulled.agent)
    })
  }

  async #takePart(kind: Held['kind'], part: PulledState['fleet']): Promise<void> {
    if (part.document === undefined)
      return this.#takeOne(kind === 'fleet' ? 'fleet-refresh' : 'agent-refresh', part.refresh)
    return this.#takeOne(kind, part.document, part.refresh)
  }

  async #takeOne(what: StateMessage, jws: string, refresh?: string): Promise<void> {
    const before = { fleet: this.#fleet, agent: this.#agent }
    try {
      this.#accept(what, jws, refresh)
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      if (error.code === 'state_gap' || error.code === 'state_expired') this.#deps.onGap()
      const isAlarm = MESH_FAILURES[error.code].receiver === 'alarm'
      this.#deps.onRefused({ what, code: error.code, isAlarm }, error)
      return
    }
    await this.#changed(before.fleet, this.#fleet)
    await this.#changed(before.agent, this.#agent)
  }

  #accept(what: StateMessage, jws: string, refresh: string | undefined): void {
    const { root, instance, workload, now } = this.#deps
    const by = { root, trust: this.trust, now: now(), floor: this.#marks.floor, refresh }
    if (what === 'fleet') this.#fleet = this.#current(acceptFleet(this.#fleet, jws, by))
    else if (what === 'delta') this.#fleet = acceptDelta(this.#fleet, jws, by)
    else if (what === 'agent')
      this.#agent = this.#current(acceptAgent(this.#agent, jws, { ...by, instance, service: workload }))
    else if (what === 'fleet-refresh') this.#fleet = acceptRefresh(held(this.#fleet), jws, by)
    else this.#agent = acceptRefresh(held(this.#agent), jws, by)
  }

  /** Where nothing is held any more, what was held still counts. */
  #current<H extends Held>(held: H): H {
    assertNotBelow(this.#marks, held)
    return held
  }

  /** The marks after the document, and also where that could not be kept: better nothing after a restart than less. */
  async #changed(before: Held | undefined, after: Held | undefined): Promise<void> {
    if (after === undefined || after === before) return
    const { files, onChange } = this.#deps
    this.#marks = raisedMarks(this.#marks, after)
    await files.save(after)
    await files.saveMarks(this.#marks)
    await onChange(after.kind)
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#waiting += 1
    const turn = this.#queue.then(work).finally(() => {
      this.#waiting -= 1
    })
    this.#queue = turn.catch(() => {})
    return turn
  }
}

/** While one is put in force; a broker may send faster than that, and half a megabyte each. */
const MAX_WAITING = 32

/** The file of the marks may be lost or older than the documents beside it. */
function marksOf({ marks, fleet, agent }: LoadedState): Marks {
  return [fleet, agent].reduce((highest, one) => (one === undefined ? highest : raisedMarks(highest, one)), marks)
}

/** A refresh without a document to extend is a gap like any other. */
function held<H extends Held>(current: H | undefined): H {
  if (current === undefined) throw new MeshError('state_gap', 'a refresh came before its document')
  return current
}
