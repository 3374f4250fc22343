import { sleep } from '@vcc/runtime'

/** Looks ten times a second until nothing is pending. Answers what still was at the deadline. */
export async function untilNone<T>(
  pending: () => Promise<readonly T[]>,
  limit: { seconds: number; signal: AbortSignal },
): Promise<readonly T[]> {
  const until = performance.now() + limit.seconds * 1000
  for (;;) {
    const left = await pending()
    if (left.length === 0 || performance.now() >= until || limit.signal.aborted) return left
    await sleep(100, limit.signal).catch(() => {}) // the caller is gone: the answer goes nowhere
  }
}
