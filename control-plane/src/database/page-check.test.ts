import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createDatabase } from './open.ts'
import { checkPages } from './page-check.ts'
import { scratch } from './scratch.ts'

const deps = { now: () => new Date() }
const never = new AbortController().signal

test('a whole database passes, beside its writer', async () => {
  using place = scratch()
  await using _ = createDatabase(place, deps)
  await checkPages(place, never)
})

test('each page is looked at', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const whole = readFileSync(place.path)
  for (const page of [2, Math.floor(whole.length / 8192), whole.length / 4096 - 1]) {
    const damaged = Buffer.from(whole)
    damaged[page * 4096 + 1000] = (damaged[page * 4096 + 1000] ?? 0) ^ 1
    writeFileSync(place.path, damaged)
    await expect(checkPages(place, never)).rejects.toMatchObject({ code: 'database_corrupt' })
  }
})

test('another key, and no file, are told as such', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  await expect(checkPages({ ...place, key: randomBytes(32) }, never)).rejects.toMatchObject({
    code: 'database_key_wrong',
  })
  const order = { key: place.key, path: `${place.path}.none` }
  await expect(checkPages(order, never)).rejects.toMatchObject({ code: 'database_unreadable' })
})

test('a check that nobody waits for any more ends', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const given = new AbortController()
  const checking = checkPages(place, given.signal)
  given.abort(new Error('the process ends'))
  await expect(checking).rejects.toThrow('the process ends')
})
