import { expect, test } from 'vitest'
import { coalesced } from './coalesced.ts'

test('runs never overlap, and every call is followed by a run that began after it', async () => {
  let running = 0
  let most = 0
  let begun = 0
  const update = coalesced(async () => {
    begun += 1
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setTimeout(resolve, 5))
    running -= 1
  })
  const first = update()
  await Promise.all([first, update(), update(), update()])
  await update()
  expect(most).toBe(1)
  expect(begun).toBe(3)
})

test('a run that fails fails its callers and not the next', async () => {
  let runs = 0
  const update = coalesced(() => (++runs === 1 ? Promise.reject(new Error('no')) : Promise.resolve()))
  const first = update()
  const second = update()
  await expect(first).rejects.toThrow('no')
  await expect(second).resolves.toBeUndefined()
})
