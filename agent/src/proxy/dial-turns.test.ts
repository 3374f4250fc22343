import { expect, test } from 'vitest'
import { createDialTurns, NoTurn } from './dial-turns.ts'

const NEVER = new AbortController().signal
const turns = (options: Partial<Parameters<typeof createDialTurns>[0]> = {}) =>
  createDialTurns({ atOnce: 2, maxWaiting: 2, waitMs: 60_000, ...options })

test('so many go on at a time, the next one in the order they came', async () => {
  const { take } = turns()
  const order: string[] = []
  const first = await take('a', NEVER)
  const second = await take('a', NEVER)
  const third = take('a', NEVER).then((turn) => {
    order.push('third')
    return turn
  })
  const fourth = take('a', NEVER).then((turn) => {
    order.push('fourth')
    return turn
  })
  expect(await Promise.race([third, Promise.resolve('waits')])).toBe('waits')
  first.end()
  first.end() // once
  await third
  expect(order).toEqual(['third'])
  second.end()
  await fourth
  expect(order).toEqual(['third', 'fourth'])
})

test('places do not wait for each other', async () => {
  const { take } = turns({ atOnce: 1 })
  await take('a', NEVER)
  await take('b', NEVER)
})

test('a line that is too long or does not move is told', async () => {
  const { take } = turns({ atOnce: 1, maxWaiting: 1, waitMs: 20 })
  await take('a', NEVER)
  const waiting = take('a', NEVER)
  await expect(take('a', NEVER)).rejects.toThrow(NoTurn)
  await expect(waiting).rejects.toThrow('the line did not move')
})

test('whoever goes away leaves the line, and keeps nobody from his turn', async () => {
  const { take } = turns({ atOnce: 1 })
  const first = await take('a', NEVER)
  const leaving = new AbortController()
  const gone = take('a', leaving.signal)
  const next = take('a', NEVER)
  leaving.abort()
  await expect(gone).rejects.toThrow(NoTurn)
  await expect(take('a', AbortSignal.abort())).rejects.toThrow(NoTurn)
  first.end()
  await next
})

test('nobody waits for a place that does not answer', async () => {
  const { take } = turns({ atOnce: 1 })
  const first = await take('a', NEVER)
  const waiting = [take('a', NEVER), take('a', NEVER)]
  const why = new Error('nobody answered in time')
  first.giveUp(why)
  for (const one of waiting) await expect(one).rejects.toBe(why)
  const second = await take('a', NEVER)
  const last = take('a', NEVER)
  first.giveUp(why) // it has no turn any more
  second.end()
  await last
})
