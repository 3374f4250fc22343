import { describe, expect, test } from 'vitest'
import { OcspRefusal } from './refusal.ts'
import { signingGate } from './signing-gate.ts'

const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the work itself noticed')))
  })
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no refusal',
    (error: unknown) => (error instanceof OcspRefusal ? error.code : String(error)),
  )

describe('a signing gate', () => {
  test('lets so many run and so many wait, in turn', async () => {
    const gate = signingGate({ concurrentSignings: 2, waitingSignings: 2, deadlineMs: 60_000 })
    const order: number[] = []
    const held = Array.from({ length: 4 }, () => Promise.withResolvers<undefined>())
    const runs = held.map(({ promise }, i) => gate.run(() => (order.push(i), promise)))
    expect([gate.running, gate.waiting, order]).toEqual([2, 2, [0, 1]])
    expect(await codeOf(gate.run(async () => 5))).toBe('queue_full')
    held[1]?.resolve(undefined)
    await runs[1]
    expect([gate.running, gate.waiting, order]).toEqual([2, 1, [0, 1, 2]])
    for (const { resolve } of held) resolve(undefined)
    await Promise.all(runs)
    expect([gate.running, gate.waiting, order]).toEqual([0, 0, [0, 1, 2, 3]])
  })

  test('gives what the work gives, and throws what it throws', async () => {
    const gate = signingGate({ concurrentSignings: 1, waitingSignings: 1, deadlineMs: 60_000 })
    expect(await gate.run(async () => 7)).toBe(7)
    await expect(gate.run(() => Promise.reject(new RangeError('of its own')))).rejects.toThrow(RangeError)
    expect(gate.running).toBe(0)
  })

  test('gives up at the deadline, for those that run and those that wait, and is free again', async () => {
    const gate = signingGate({ concurrentSignings: 1, waitingSignings: 1, deadlineMs: 40 })
    const codes = await Promise.all([codeOf(gate.run(hang)), codeOf(gate.run(hang))])
    expect(codes).toEqual(['deadline_passed', 'deadline_passed'])
    await expect.poll(() => [gate.running, gate.waiting]).toEqual([0, 0])
    expect(await gate.run(async () => 'free')).toBe('free')
  })

  test('work that does not notice the deadline keeps its place until it ends', async () => {
    const gate = signingGate({ concurrentSignings: 1, waitingSignings: 0, deadlineMs: 40 })
    const deaf = Promise.withResolvers<undefined>()
    expect(await codeOf(gate.run(() => deaf.promise))).toBe('deadline_passed')
    expect(await codeOf(gate.run(async () => 1))).toBe('queue_full')
    deaf.resolve(undefined)
    await expect.poll(() => gate.running).toBe(0)
    expect(await gate.run(async () => 1)).toBe(1)
  })
})
