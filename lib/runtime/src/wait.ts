import { setTimeout as timer } from 'node:timers/promises'
import { RuntimeError } from './error.ts'

/**
 * Waits `ms` milliseconds of the process's own time, as long as one likes (a bare timer fires at once past 24.8 days).
 * The machine's sleep does not count: for wall-clock instants there is `createSchedule`.
 *
 * @throws the signal's reason when aborted
 */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  for (let rest = ms; rest > 0; rest -= LONGEST_TIMER_MS) {
    try {
      await timer(Math.min(rest, LONGEST_TIMER_MS), undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }
}

/**
 * Waits for `work` at most `ms`. A function gets a signal that aborts at the deadline, or when `signal` does;
 * a bare promise is left behind, and what it does later is not noticed.
 *
 * @param code  Names what was waited for: it is in the message.
 * @throws {RuntimeError} `deadline_exceeded`; the signal's reason when aborted
 */
export async function withDeadline<T>(
  work: Promise<T> | ((signal: AbortSignal) => Promise<T>),
  ms: number,
  code: string,
  signal?: AbortSignal,
): Promise<T> {
  if (typeof work !== 'function') work.catch(() => {}) // what is left behind must not count as unhandled
  signal?.throwIfAborted()
  const ended = new AbortController()
  const given = Promise.withResolvers<never>()
  const giveUp = (reason: unknown) => {
    given.reject(reason)
    ended.abort(reason)
  }
  const late = setTimeout(() => giveUp(new RuntimeError('deadline_exceeded', `${code}: no answer within ${ms} ms`)), ms)
  const aborted = () => giveUp(signal?.reason)
  signal?.addEventListener('abort', aborted, { once: true })
  try {
    return await Promise.race([typeof work === 'function' ? work(ended.signal) : work, given.promise])
  } finally {
    clearTimeout(late)
    signal?.removeEventListener('abort', aborted)
  }
}

export interface BackoffOptions {
  /** Before the second attempt; doubles with each. */
  readonly baseMs: number
  /** The longest wait, before jitter. */
  readonly capMs: number
  /** Attempts in all; without it, until the signal aborts. */
  readonly attempts?: number
  readonly signal?: AbortSignal
  /** `false` ends the attempts at once with this error. */
  readonly retryable?: (error: unknown) => boolean
  readonly onRetry?: (retry: { readonly attempt: number; readonly waitMs: number; readonly error: unknown }) => void
  readonly random?: () => number
}

/**
 * Repeats `run` until it succeeds, waiting twice as long after each failure, ±20 % so that many callers part.
 *
 * @throws what `run` threw last; the signal's reason when aborted
 */
export async function retryWithBackoff<T>(run: (attempt: number) => Promise<T>, options: BackoffOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted()
    try {
      return await run(attempt)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (attempt === options.attempts || options.retryable?.(error) === false) throw error
      const waitMs = backoffMs(attempt, options)
      options.onRetry?.({ attempt, waitMs, error })
      await sleep(waitMs, options.signal)
    }
  }
}

/** The wait after the given attempt (from 1): capped, with ±20 % jitter. */
export function backoffMs(attempt: number, options: Pick<BackoffOptions, 'baseMs' | 'capMs' | 'random'>): number {
  const plain = Math.min(options.capMs, options.baseMs * 2 ** Math.min(attempt - 1, 52))
  return withJitter(plain, options.random)
}

/** `ms` ±20 %. */
export function withJitter(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (0.8 + 0.4 * random()))
}

const LONGEST_TIMER_MS = 2 ** 31 - 1
