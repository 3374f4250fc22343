import { describe, expect, test } from 'vitest'
import { backoffMs, retryWithBackoff, sleep, withDeadline, withJitter } from './wait.ts'

const never = () => Promise.withResolvers<never>().promise
const reason = new Error('asked to stop')

describe('sleep', () => {
  test('lasts as long as asked', async () => {
    const start = performance.now()
    await sleep(30)
    expect(performance.now() - start).toBeGreaterThanOrEqual(28)
  })
  test('of 30 days does not end at once', async () => {
    const stop = new AbortController()
    const outcome = sleep(30 * 86_400_000, stop.signal).then(
      () => 'slept',
      (error: unknown) => error,
    )
    expect(await Promise.race([outcome, sleep(50).then(() => 'still sleeping')])).toBe('still sleeping')
    stop.abort(reason)
    expect(await outcome).toBe(reason)
  })
  test('with an aborted signal ends with its reason', async () => {
    await expect(sleep(1, AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})

describe('withDeadline', () => {
  test('gives what arrives in time', async () => {
    expect(await withDeadline(async () => 5, 1000, 'answer')).toBe(5)
    expect(await withDeadline(Promise.resolve(5), 1000, 'answer')).toBe(5)
  })
  test('passes a failure on', async () => {
    await expect(withDeadline(Promise.reject(reason), 1000, 'answer')).rejects.toBe(reason)
  })
  test('refuses what does not arrive, and tells the work', async () => {
    let seen: AbortSignal | undefined
    const work = (signal: AbortSignal) => {
      seen = signal
      return never()
    }
    await expect(withDeadline(work, 20, 'state pull')).rejects.toMatchObject({
      name: 'RuntimeError',
      code: 'deadline_exceeded',
      message: 'state pull: no answer within 20 ms',
    })
    expect(seen?.aborted).toBe(true)
  })
  test('ends with the reason of the signal, before and meanwhile', async () => {
    await expect(withDeadline(never(), 1000, 'x', AbortSignal.abort(reason))).rejects.toBe(reason)
    const stop = new AbortController()
    const outcome = withDeadline(never(), 10_000, 'x', stop.signal)
    stop.abort(reason)
    await expect(outcome).rejects.toBe(reason)
  })
  test('a failure after the end is nobody’s unhandled rejection', async () => {
    const late = Promise.withResolvers<never>()
    await expect(withDeadline(late.promise, 5, 'x')).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await expect(withDeadline(Promise.reject(new Error('y')), 5, 'x', AbortSignal.abort(reason))).rejects.toBe(reason)
    late.reject(new Error('too late'))
    await sleep(5)
  })
})

describe('retryWithBackoff', () => {
  const options = { baseMs: 1, capMs: 4, random: () => 0.5 }

  test('repeats until it succeeds', async () => {
    const waits: number[] = []
    const result = await retryWithBackoff(
      async (attempt) => {
        if (attempt < 5) throw reason
        return attempt
      },
      { ...options, onRetry: ({ waitMs }) => waits.push(waitMs) },
    )
    expect(result).toBe(5)
    expect(waits).toEqual([1, 2, 4, 4])
  })
  test('gives up after the attempts allowed, with the last error', async () => {
    let attempts = 0
    const run = async () => {
      attempts++
      throw new Error(`failure ${attempts}`)
    }
    await expect(retryWithBackoff(run, { ...options, attempts: 3 })).rejects.toThrow('failure 3')
    expect(attempts).toBe(3)
  })
  test('does not repeat what cannot get better', async () => {
    let attempts = 0
    const run = async () => {
      attempts++
      throw reason
    }
    await expect(retryWithBackoff(run, { ...options, retryable: () => false })).rejects.toBe(reason)
    expect(attempts).toBe(1)
  })
  test('ends with the reason of the signal while it waits', async () => {
    const stop = new AbortController()
    const run = async () => {
      throw new Error('down')
    }
    const outcome = retryWithBackoff(run, { baseMs: 60_000, capMs: 60_000, signal: stop.signal })
    setTimeout(() => stop.abort(reason), 10)
    await expect(outcome).rejects.toBe(reason)
  })
})

test('waits double up to the cap, ±20 %', () => {
  expect(
    [1, 2, 3, 4, 5, 1000].map((attempt) => backoffMs(attempt, { baseMs: 100, capMs: 1000, random: () => 0.5 })),
  ).toEqual([100, 200, 400, 800, 1000, 1000])
  expect(withJitter(1000, () => 0)).toBe(800)
  expect(withJitter(1000, () => 1)).toBe(1200)
})
