import { backoffMs, withJitter } from '@vcc/runtime'
import { parsePull, type RecordedAcks } from '../control/answers.ts'
import type { ApiLink } from '../control/api-link.ts'
import { reasonOf } from '../errors.ts'
import type { StateKeeper } from './keeper.ts'
import { pullPace } from './pull-pace.ts'

export interface PullerDeps {
  readonly keeper: StateKeeper
  readonly api: ApiLink
  readonly isBrokerConnected: () => boolean
  /** Before what was pulled is taken: what the control plane has on record of this agent. An older one does not say. */
  readonly onRecorded: (recorded: RecordedAcks) => void
  readonly onPulled: () => Promise<void>
  readonly onAway: (code: string) => void
  readonly now: () => Date
}

/** Signed state over HTTPS: by the schedule, at every connect, and when something was missed. */
export interface Puller {
  /** A failure is told, not thrown. */
  readonly pull: () => Promise<void>
  /** How long after a pull the next one comes by itself. */
  readonly againMs: () => number
  /** Something asks for one: the earliest instant. */
  readonly asked: () => Date
  /** Own clock minus the control plane's, at the last pull. */
  readonly offsetSeconds: () => number | undefined
}

export function puller(deps: PullerDeps): Puller {
  const { keeper, now } = deps
  const pace = pullPace({ now })
  let failures = 0
  let offsetSeconds: number | undefined

  async function take(): Promise<void> {
    const held = heldNames(keeper)
    const pulled = parsePull(await deps.api.call('meshState', { query: held }))
    const at = now()
    const before = keeper.agent?.issuedAt
    if (pulled.acknowledged !== undefined) deps.onRecorded(pulled.acknowledged)
    await keeper.takePulled(pulled)
    failures = 0
    const names = heldNames(keeper)
    pace.pulled(names.fleet !== held.fleet || names.agent !== held.agent)
    const signedAt = keeper.agent?.issuedAt
    // The refresh of a pull is signed for it.
    if (signedAt !== undefined && signedAt !== before) {
      offsetSeconds = Math.floor((at.getTime() - signedAt.getTime()) / 1000)
    }
    await deps.onPulled()
  }

  return {
    async pull() {
      try {
        await take()
      } catch (error) {
        failures += 1
        pace.pulled(false)
        deps.onAway(reasonOf(error))
      }
    },
    againMs() {
      if (failures > 0) return backoffMs(failures, BACKOFF)
      return withJitter(deps.isBrokerConnected() ? PULL_MS : PULL_ALONE_MS)
    },
    asked: pace.asked,
    offsetSeconds: () => offsetSeconds,
  }
}

function heldNames({ fleet, agent }: StateKeeper): { readonly fleet?: string; readonly agent?: string } {
  return {
    ...(fleet === undefined ? {} : { fleet: `${fleet.epoch}.${fleet.generation}` }),
    ...(agent === undefined ? {} : { agent: `${agent.epoch}.${agent.generation}` }),
  }
}

/** With the jitter, each gap is closed within a minute. */
const PULL_MS = 50_000
/** While the broker is away nothing else brings news. */
const PULL_ALONE_MS = 15_000
/** After a pull that failed; the first state after a join comes as soon as it is made. */
const BACKOFF = { baseMs: 500, capMs: 60_000 }
