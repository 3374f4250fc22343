import { describe, expect, test } from 'vitest'
import { answerCache } from './answer-cache.ts'

describe('a cache of answers', () => {
  test('keeps what fits', () => {
    const cache = answerCache<number>(10)
    cache.set('a', 1, 5)
    cache.set('b', 2, 5)
    expect([cache.get('a'), cache.get('b'), cache.size, cache.octets]).toEqual([1, 2, 2, 10])
  })

  test('what was not asked for goes first', () => {
    const cache = answerCache<number>(15)
    for (const [i, key] of ['a', 'b', 'c'].entries()) cache.set(key, i, 5)
    cache.get('a')
    cache.set('d', 3, 5)
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual([0, undefined, 2, 3])
  })

  test('when all were asked for, the oldest goes', () => {
    const cache = answerCache<number>(10)
    cache.set('a', 1, 5)
    cache.set('b', 2, 5)
    cache.get('a')
    cache.get('b')
    cache.set('c', 3, 5)
    expect(cache.octets).toBe(10)
    expect(['a', 'b', 'c'].map((key) => cache.get(key)).filter((value) => value !== undefined)).toHaveLength(2)
    expect(cache.get('a')).toBeUndefined()
  })

  test('a value set again counts once', () => {
    const cache = answerCache<number>(10)
    cache.set('a', 1, 5)
    cache.set('a', 2, 7)
    expect([cache.get('a'), cache.size, cache.octets]).toEqual([2, 1, 7])
  })

  test('a value above the bound is not kept, and what it would replace is gone', () => {
    const cache = answerCache<number>(10)
    cache.set('a', 1, 5)
    cache.set('a', 2, 11)
    expect([cache.get('a'), cache.size, cache.octets]).toEqual([undefined, 0, 0])
  })

  test('never takes more than its bound', () => {
    const cache = answerCache<number>(1000)
    for (let i = 0; i < 5000; i++) {
      cache.set(String(i % 977), i, 1 + ((i * 37) % 90))
      cache.get(String((i * 7) % 977))
      if (cache.octets > 1000) expect.fail(`${cache.octets} octets`)
    }
  })
})
