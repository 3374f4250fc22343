import { expect, test } from 'vitest'
import { rateLimit } from './rate-limit.ts'

test('ca-35 a burst passes, then so many a second, each key for itself', () => {
  let now = 0
  const passes = rateLimit({ perSecond: 2, burst: 3 }, () => now)
  expect(['a', 'a', 'a', 'a', 'b'].map(passes)).toEqual([true, true, true, false, true])
  now += 500
  expect(['a', 'a'].map(passes)).toEqual([true, false])
  now += 60_000
  expect(['a', 'a', 'a', 'a'].map(passes)).toEqual([true, true, true, false])
})

test('many keys take no more memory than is given: the longest known is forgotten', () => {
  const passes = rateLimit({ perSecond: 1, burst: 1, keys: 2 }, () => 0)
  expect(['a', 'a', 'b', 'c', 'a'].map(passes)).toEqual([true, false, true, true, true])
})
