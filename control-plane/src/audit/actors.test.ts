import { expect, test } from 'vitest'
import { scratchDatabase } from '../database/scratch.ts'
import { change, many, one, query } from '../database/unit.ts'
import { actorRef, currentActorRef, drawActor, eraseActor, resolveActor } from './actors.ts'

const erika = { account: 'erika', name: 'Erika Mustermann', unit: 'IT', mail: 'erika@example.org' }
const november = new Date('2026-11-23T00:00:00Z')
const january = new Date('2027-01-01T00:00:00Z')

test('a person has one ref per year, 128 random bits', async () => {
  await using database = scratchDatabase()
  const refAt = (at: Date) => database.runUnit(() => actorRef(erika, at, drawActor()))
  const [first, again, next] = [await refAt(november), await refAt(november), await refAt(january)]
  expect(first).toMatch(/^[0-9a-f]{32}$/)
  expect(again).toBe(first)
  expect(next).not.toBe(first)
})

test('every ref of a person resolves to that person', async () => {
  await using database = scratchDatabase()
  const ref = await database.runUnit(() => actorRef(erika, november, drawActor()))
  const next = await database.runUnit(() => currentActorRef(ref, january, drawActor()))
  expect(next).not.toBe(ref)
  for (const known of [ref, next ?? '']) expect(await database.read(() => resolveActor(known))).toEqual(erika)
})

test('a ref nobody has resolves to nobody', async () => {
  await using database = scratchDatabase()
  expect(await database.read(() => resolveActor('ab'.repeat(16)))).toBeUndefined()
  expect(await database.runUnit(() => currentActorRef('ab'.repeat(16), january, drawActor()))).toBeUndefined()
})

test('two people have two keys', async () => {
  await using database = scratchDatabase()
  await database.runUnit(() => actorRef(erika, november, drawActor()))
  await database.runUnit(() => actorRef({ ...erika, account: 'max' }, november, drawActor()))
  const keys = await database.read(() => many(query.selectFrom('actor_keys').select('data_key')))
  expect(new Set(keys.map(({ data_key }) => Buffer.from(data_key).toString('hex'))).size).toBe(2)
})

test('a directory row shows nothing without its key', async () => {
  await using database = scratchDatabase()
  await database.runUnit(() => actorRef(erika, november, drawActor()))
  const { sealed } = await database.read(() => one(query.selectFrom('actors').select('sealed')))
  expect(Buffer.from(sealed).toString('latin1')).not.toMatch(/erika|Muster/i)
})

test('erasing a person leaves refs that resolve no longer, and nobody else changed', async () => {
  await using database = scratchDatabase()
  const max = { ...erika, account: 'max', name: 'Max' }
  const gone = await database.runUnit(() => actorRef(erika, november, drawActor()))
  const kept = await database.runUnit(() => actorRef(max, november, drawActor()))
  expect(await database.runUnit(() => eraseActor('erika'))).toBe(true)
  expect(await database.runUnit(() => eraseActor('erika'))).toBe(false)
  expect(await database.read(() => resolveActor(gone))).toBeUndefined()
  expect(await database.read(() => resolveActor(kept))).toEqual(max)
})

test('a row moved to another ref does not open', async () => {
  await using database = scratchDatabase()
  await database.runUnit(() => actorRef(erika, november, drawActor()))
  const { sealed, nonce, account_id } = await database.read(() =>
    one(query.selectFrom('actors').select(['sealed', 'nonce', 'account_id'])),
  )
  const moved = { actor_ref: '00'.repeat(16), account_id, year: 2025, nonce, sealed }
  await database.runUnit(() => change(query.insertInto('actors').values(moved)))
  await expect(database.read(() => resolveActor('00'.repeat(16)))).rejects.toThrow('authenticate')
})
