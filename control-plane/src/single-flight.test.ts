import { expect, test } from 'vitest'
import { singleFlight } from './single-flight.ts'

test('calls of one key share one run, also its failure; later ones run again', async () => {
  const once = singleFlight<number>()
  let runs = 0
  const work = async () => {
    runs += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (runs === 1) throw new Error('first')
    return runs
  }
  const shared = await Promise.allSettled([once('a', work), once('a', work)])
  expect(shared.map((one) => one.status)).toEqual(['rejected', 'rejected'])
  const [first, second] = await Promise.all([once('a', work), once('a', work)])
  expect([first, second, runs]).toEqual([2, 2, 2])
})
