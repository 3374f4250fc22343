import { sleep } from '@vcc/runtime'

/** Asks for each until it is done, ten times a second. Answers those that were not by the deadline. */
export async function untilAll<T>(
  all: readonly T[],
  isDone: (one: T) => Promise<boolean>,
  limit: { seconds: number; signal: AbortSignal },
): Promise<readonly T[]> {
  const until = performance.now() + limit.seconds * 1000
  let pending = all
  for (;;) {
    const done = await Promise.all(pending.map(isDone))
    pending = pending.filter((_, index) => !done[index])
    if (pending.length === 0 || performance.now() >= until || limit.signal.aborted) return pending
    await sleep(100, limit.signal).catch(() => {}) // the caller is gone: the answer goes nowhere
  }
}
