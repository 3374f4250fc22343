import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { withDeadline } from './wait.ts'

export interface Job {
  readonly name: string
  /** When it runs for the first time; an instant that has passed means at once. */
  readonly first: Date
  /** When it runs next, asked after each run, failed or not; `undefined` ends it. */
  readonly next: (at: Date, outcome: JobOutcome) => Date | undefined
  readonly run: (signal: AbortSignal) => Promise<void>
  /** A run that takes longer is aborted and counts as failed. */
  readonly timeoutMs: number
}

export type JobOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown }

export interface ScheduledJob {
  /** When it will run; `undefined` while it runs and after its end. */
  readonly due: Date | undefined
  /** Moves the next run; while running, the run that follows. */
  readonly moveTo: (at: Date) => void
  readonly cancel: () => void
}

export interface Schedule extends AsyncDisposable {
  readonly add: (job: Job) => ScheduledJob
}

export interface ScheduleDeps {
  readonly onFailure: (name: string, error: unknown) => void
  readonly clock?: Clock
  /** At most 30 s, the default: how late a job may be after the machine slept or its clock jumped. */
  readonly tickMs?: number
}

/**
 * Runs jobs at wall-clock instants. A tick of at most 30 s compares them with the clock, so that neither the machine's
 * sleep nor an instant weeks ahead matters. A clock that is set back takes what is due with it: a job may then be early
 * by its own reckoning, and has to look.
 *
 * A job never runs twice at a time; different jobs do. Disposal aborts what runs and waits for it.
 * Does not keep the process alive.
 */
export function createSchedule(deps: ScheduleDeps): Schedule {
  const clock = deps.clock ?? systemClock
  const tickMs = Math.min(deps.tickMs ?? MAX_TICK_MS, MAX_TICK_MS)
  const entries = new Set<Entry>()
  const stop = new AbortController()
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let lastTick = clock.now().getTime()

  const arm = () => {
    clearTimeout(timer)
    if (stop.signal.aborted || entries.size === 0) return
    const earliest = Math.min(...[...entries].map((entry) => entry.due?.getTime() ?? Number.POSITIVE_INFINITY))
    timer = setTimeout(tick, Math.max(0, Math.min(tickMs, earliest - clock.now().getTime())))
    timer.unref()
  }

  const tick = () => {
    const at = clock.now()
    const setBackMs = lastTick - at.getTime()
    lastTick = at.getTime()
    for (const entry of entries) {
      if (entry.due === undefined) continue
      if (setBackMs > MAX_TICK_MS) entry.due = new Date(entry.due.getTime() - setBackMs)
      if (entry.due.getTime() <= at.getTime()) start(entry)
    }
    arm()
  }

  const start = (entry: Entry) => {
    entry.due = undefined
    const run = runAndRearm(entry)
    running.add(run)
    void run.finally(() => running.delete(run))
  }

  const runAndRearm = async (entry: Entry) => {
    const { outcome, ended } = await runOnce(entry.job, stop.signal)
    if (!outcome.ok && !stop.signal.aborted) deps.onFailure(entry.job.name, outcome.error)
    await ended
    if (!entries.has(entry)) return
    entry.due = entry.moved ?? entry.job.next(clock.now(), outcome)
    entry.moved = undefined
    if (entry.due === undefined) entries.delete(entry)
    arm()
  }

  return {
    add(job) {
      stop.signal.throwIfAborted()
      if (entries.size === 0) lastTick = clock.now().getTime()
      const entry: Entry = { job, due: job.first, moved: undefined }
      entries.add(entry)
      arm()
      return {
        get due() {
          return entry.due
        },
        moveTo(at) {
          if (entry.due === undefined) entry.moved = at
          else entry.due = at
          arm()
        },
        cancel() {
          entries.delete(entry)
          arm()
        },
      }
    },
    async [Symbol.asyncDispose]() {
      clearTimeout(timer)
      entries.clear()
      stop.abort(new Error('the schedule has ended'))
      await Promise.all(running)
    },
  }
}

/** `next` of a job that repeats: so long after each run. */
export function every(ms: number): (at: Date) => Date {
  return (at) => new Date(at.getTime() + ms)
}

interface Entry {
  readonly job: Job
  due: Date | undefined
  moved: Date | undefined
}

/** The outcome is known at the deadline; `ended` resolves when the run has ended, whatever it does with its signal. */
async function runOnce(job: Job, signal: AbortSignal): Promise<{ outcome: JobOutcome; ended: Promise<void> }> {
  let ended = Promise.resolve()
  const run = (aborted: AbortSignal) => {
    const work = job.run(aborted)
    ended = work.catch(() => {})
    return work
  }
  try {
    await withDeadline(run, job.timeoutMs, job.name, signal)
    return { outcome: { ok: true }, ended }
  } catch (error) {
    return { outcome: { ok: false, error }, ended }
  }
}

const MAX_TICK_MS = 30_000
