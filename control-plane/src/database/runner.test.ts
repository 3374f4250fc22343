import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isUniqueViolation } from './errors.ts'
import { createDatabase, type Database } from './open.ts'
import type { RunnerLimits } from './runner.ts'
import { change, first, many, one, query, type Unit } from './unit.ts'

let folder: string
let database: Database

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vcc-db-'))
  database = open('main.db')
})

afterEach(async () => {
  await database.close()
  rmSync(folder, { recursive: true })
})

describe('a unit', () => {
  test('gets back the rows of each query it yields', async () => {
    const org = await database.runUnit(function* () {
      yield* addOrganization('brandenburg')
      return yield* one(
        query.selectFrom('organizations').select(['id', 'isolation_level']).where('org_id', '=', 'brandenburg'),
      )
    })
    expect(org).toEqual({ id: 1, isolation_level: 'strict' })
  })

  test('learns how many rows a change touched', async () => {
    await database.runUnit(() => addOrganization('a'))
    const rename = (from: string) =>
      database.runUnit(() =>
        change(query.updateTable('organizations').set({ org_name: 'x' }).where('org_name', '=', from)),
      )
    expect(await rename('a')).toBe(1)
    expect(await rename('a')).toBe(0)
  })

  test('that throws leaves nothing behind', async () => {
    const failing = database.runUnit(function* () {
      yield* addOrganization('a')
      throw new TypeError('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await organizations()).toEqual([])
  })

  test('whose query fails cannot go on', async () => {
    let resumed = false
    const failing = database.runUnit(function* () {
      yield* addOrganization('a')
      try {
        yield* addOrganization('a')
      } catch {
        resumed = true
      }
    })
    await expect(failing).rejects.toSatisfy(isUniqueViolation)
    expect(resumed).toBe(false)
    expect(await organizations()).toEqual([])
  })

  test('without the row it asks for is refused', async () => {
    const work = () => one(query.selectFrom('organizations').select('id'))
    await expect(database.runUnit(work)).rejects.toMatchObject({ code: 'row_missing' })
  })

  test('that never ends is ended', async () => {
    const endless = database.runUnit(function* (): Unit<void> {
      for (;;) yield* first(query.selectFrom('organizations').select('id'))
    })
    await expect(endless).rejects.toThrow('more than 10000 statements')
  })

  for (const [name, value] of [
    ['a boolean', true],
    ['a Date', new Date(0)],
    ['a fraction', 0.5],
    ['an integer past 2^53', 2 ** 53],
    ['undefined', undefined],
    ['a bigint', 1n],
    ['an object', {}],
  ] as const) {
    test(`binds no ${name.replace(/^an? /, '')}`, async () => {
      const statement = sql`select ${sql.val(value)}`.compile(query)
      const work = () => many({ compile: () => statement })
      await expect(database.runUnit(work)).rejects.toThrow(TypeError)
    })
  }
})

function* addOrganization(org: string): Unit<void> {
  yield* change(query.insertInto('organizations').values({ org_id: org, org_name: org, created_at: 1 }))
}

async function organizations(): Promise<readonly string[]> {
  const rows = await database.read(() =>
    many(query.selectFrom('organizations').select('org_id').orderBy('id').limit(1_000)),
  )
  return rows.map(({ org_id }) => org_id)
}

function open(name: string, limits: Partial<RunnerLimits> = {}): Database {
  return createDatabase({ path: join(folder, name), key: randomBytes(32), limits }, { now: () => new Date() })
}
