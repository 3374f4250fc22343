import { setMaxListeners } from 'node:events'
import type { ResponderLimits } from './policy.ts'
import { OcspRefusal } from './refusal.ts'

/** Lets a bounded number of signings run and a bounded number wait, all of them with a deadline. */
export interface SigningGate {
  /**
   * Runs `work` when it is its turn. It must settle soon after its signal aborts; until then it holds its place, so that a
   * signer that hangs cannot pile up work.
   *
   * @throws {OcspRefusal} `queue_full`, `deadline_passed`; what `work` throws
   */
  run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>
  readonly running: number
  readonly waiting: number
}

export type GateLimits = Pick<ResponderLimits, 'concurrentSignings' | 'waitingSignings' | 'deadlineMs'>

/** Requests that came close together share a timer and a signal: a deadline is late by at most an eighth. */
interface Cohort {
  readonly openUntilMs: number
  readonly ending: AbortController
  readonly giveUp: Set<() => void>
}

export function signingGate(limits: GateLimits): SigningGate {
  const queue: (() => void)[] = []
  let running = 0
  let cohort: Cohort | undefined

  function joinCohort(): Cohort {
    const nowMs = performance.now()
    if (cohort !== undefined && nowMs < cohort.openUntilMs) return cohort
    const opened: Cohort = {
      openUntilMs: nowMs + limits.deadlineMs / 8,
      ending: new AbortController(),
      giveUp: new Set(),
    }
    setMaxListeners(0, opened.ending.signal)
    setTimeout(() => end(opened), limits.deadlineMs * 1.125).unref()
    cohort = opened
    return opened
  }

  function end(late: Cohort): void {
    if (cohort === late) cohort = undefined
    late.ending.abort(new OcspRefusal('deadline_passed', `no signature within ${limits.deadlineMs} ms`))
    for (const giveUp of late.giveUp) giveUp()
  }

  function release(): void {
    running -= 1
    queue.shift()?.()
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return queue.length
    },
    async run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
      if (running >= limits.concurrentSignings && queue.length >= limits.waitingSignings) {
        throw new OcspRefusal('queue_full', `${running} signings run and ${queue.length} wait`)
      }
      const { ending, giveUp } = joinCohort()
      const { signal } = ending
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      const late = () => reject(signal.reason as OcspRefusal) // `end` is the only one who aborts it
      giveUp.add(late)
      const start = () => {
        if (signal.aborted) return release()
        work(signal).then(resolve, reject).finally(release)
      }
      if (running < limits.concurrentSignings) {
        running += 1
        start()
      } else {
        queue.push(() => {
          running += 1
          start()
        })
      }
      try {
        return await promise
      } finally {
        giveUp.delete(late)
      }
    },
  }
}
