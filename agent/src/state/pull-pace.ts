import { backoffMs } from '@vcc/runtime'

/** How soon a pull that something asks for may come. */
export interface PullPace {
  /** Something was missed, or a link came or went: the earliest instant at which to pull for it. */
  readonly asked: () => Date
  /** A pull has ended; whether it brought a document that was not held. */
  readonly pulled: (isNew: boolean) => void
}

/**
 * A message that nobody signed is enough to ask for a pull. So each one that was asked for and brought nothing doubles
 * the wait before the next: a broker that lies, a clock that is wrong or a link that flaps costs the control plane ten
 * pulls a minute at most. One that brought something, or that came by the schedule alone, makes the next one prompt.
 */
export function pullPace(deps: { readonly now: () => Date; readonly random?: () => number }): PullPace {
  let fruitless = 0
  let isAsked = false
  let lastEnd = 0
  return {
    asked() {
      isAsked = true
      const now = deps.now().getTime()
      lastEnd = Math.min(lastEnd, now) // the clock may have been set back
      const { random } = deps
      const waitMs = backoffMs(fruitless + 1, { ...PACE, ...(random === undefined ? {} : { random }) })
      return new Date(Math.max(now + PACE.baseMs, lastEnd + waitMs))
    },
    pulled(isNew) {
      fruitless = isNew || !isAsked ? 0 : fruitless + 1
      isAsked = false
      lastEnd = deps.now().getTime()
    },
  }
}

const PACE = { baseMs: 100, capMs: 60_000 }
