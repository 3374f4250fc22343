import Driver from 'better-sqlite3-multiple-ciphers'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { DatabaseError, isUniqueViolation } from './errors.ts'
import type { Database } from './open.ts'
import { runnerOf } from './runner.ts'
import { scratchDatabase } from './scratch.ts'
import { change, first, many, one, query, type Unit } from './unit.ts'

describe('a unit', () => {
  test('gets back the rows of each query it yields', async () => {
    await using database = scratchDatabase()
    const org = await database.runUnit(function* () {
      yield* addOrganization('brandenburg')
      return yield* one(
        query.selectFrom('organizations').select(['id', 'org_name']).where('org_id', '=', 'brandenburg'),
      )
    })
    expect(org).toEqual({ id: 1, org_name: 'brandenburg' })
  })

  test('learns how many rows a change touched, and 0 when a compare-and-swap is lost', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => addOrganization('a'))
    const swap = () => change(query.updateTable('organizations').set({ org_name: 'b' }).where('org_name', '=', 'a'))
    expect(await database.runUnit(swap)).toBe(1)
    expect(await database.runUnit(swap)).toBe(0)
  })

  test('counts the rows that `returning` gives', async () => {
    await using database = scratchDatabase()
    const insert = query
      .insertInto('organizations')
      .values({ org_id: 'a', org_name: 'a', created_at: 1 })
      .onConflict((conflict) => conflict.column('org_id').doNothing())
      .returning('id')
    expect(await database.runUnit(() => change(insert))).toBe(1)
    expect(await database.runUnit(() => change(insert))).toBe(0)
  })

  test('that throws leaves nothing behind', async () => {
    await using database = scratchDatabase()
    const failing = database.runUnit(function* () {
      yield* addOrganization('a')
      throw new TypeError('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await organizations(database)).toEqual([])
  })

  test('whose query fails cannot go on', async () => {
    await using database = scratchDatabase()
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
    expect(await organizations(database)).toEqual([])
  })

  test('without the row it asks for is refused', async () => {
    await using database = scratchDatabase()
    const work = () => one(query.selectFrom('organizations').select('id'))
    await expect(database.runUnit(work)).rejects.toMatchObject({ code: 'row_missing' })
  })

  test('that never ends is ended', async () => {
    await using database = scratchDatabase({ limits: { steps: 100 } })
    const endless = database.runUnit(function* (): Unit<void> {
      for (;;) yield* first(query.selectFrom('organizations').select('id'))
    })
    await expect(endless).rejects.toThrow('more than 100 statements')
  })

  test('breaking a foreign key rejects', async () => {
    await using database = scratchDatabase()
    const policy = { version: 1, yaml: '', applied_by: '', applied_at: 1, rolled_back_to: null }
    const work = () => change(query.insertInto('policies').values({ ...policy, organization_id: 'nobody' }))
    await expect(database.runUnit(work)).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
  })

  for (const [name, value] of [
    ['boolean', true],
    ['Date', new Date(0)],
    ['fraction', 0.5],
    ['not-a-number', Number.NaN],
    ['integer past 2^53', 2 ** 53],
    ['undefined', undefined],
    ['bigint', 1n],
    ['object', {}],
  ] as const) {
    test(`binds no ${name}`, async () => {
      await using database = scratchDatabase()
      const statement = sql`select ${sql.val(value)}`.compile(query)
      await expect(database.runUnit(() => many({ compile: () => statement }))).rejects.toThrow(TypeError)
    })
  }

  test('binds a number as an integer', async () => {
    await using database = scratchDatabase()
    const statement = sql`select typeof(${sql.val(5)}) as type`.compile(query)
    expect(await database.read(() => many({ compile: () => statement }))).toEqual([{ type: 'integer' }])
  })

  test('that fails does not take its neighbours with it', async () => {
    await using database = scratchDatabase()
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'a', 'c'].map((org) => database.runUnit(() => addOrganization(org))),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(await organizations(database)).toEqual(['a', 'b', 'c'])
  })
})

describe('a group', () => {
  test('of concurrent units is one commit', async () => {
    const { runner, statements } = tracedRunner()
    await Promise.all(Array.from({ length: 100 }, (_, n) => runner.runUnit(() => add(n))))
    expect(statements.filter((text) => text === 'begin immediate')).toHaveLength(1)
    expect(statements.filter((text) => text === 'commit')).toHaveLength(1)
  })

  test('settles nothing before the commit', async () => {
    const { runner, statements } = tracedRunner()
    const seen = await Promise.all([1, 2].map((n) => runner.runUnit(() => add(n)).then(() => statements.at(-1))))
    expect(seen).toEqual(['commit', 'commit'])
  })

  test('closes when it has run long enough, and the rest follows in the next', async () => {
    const { runner, statements } = tracedRunner({ groupMs: 5 })
    await Promise.all(Array.from({ length: 4 }, (_, n) => runner.runUnit(() => slowAdd(n, 10))))
    expect(statements.filter((text) => text === 'commit')).toHaveLength(4)
  })

  test('that loses its transaction rejects as a whole, and the next one works', async () => {
    const { runner, connection } = tracedRunner()
    connection.exec("create trigger t before insert on numbers when new.n = 13 begin select raise(rollback, 'x'); end")
    const outcomes = await Promise.allSettled([1, 13, 2].map((n) => runner.runUnit(() => add(n))))
    const codes = outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)
    expect(codes).toEqual(['database_failed', 'database_failed', 'database_failed'])
    await runner.runUnit(() => add(3))
    expect(connection.prepare('select n from numbers').pluck().all()).toEqual([3])
  })
})

describe('a disk', () => {
  test('that is full rejects what has no room and keeps nothing of it; with room again everything goes on', async () => {
    const { runner, connection } = tracedRunner()
    await runner.runUnit(() => add(1))
    connection.pragma('max_page_count = 3')
    const units = [() => add(2), () => addThousand(), () => add(3)]
    const outcomes = await Promise.allSettled(units.map((unit) => runner.runUnit(unit)))
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'database_full' } })
    const answered = [2, 1000, 3].filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect(connection.prepare('select n from numbers').pluck().all()).toEqual([1, ...answered])
    expect(runner.broken.aborted).toBe(false)
    connection.pragma('max_page_count = 1000')
    await runner.runUnit(addThousand)
    expect(connection.prepare('select count(*) from numbers').pluck().get()).toBe(1 + answered.length + 1000)
  })

  test('that cannot be written rejects the whole group, and nothing more is tried until a restart', async () => {
    const { runner, connection, statements } = tracedRunner()
    await runner.runUnit(() => add(1))
    connection.pragma('query_only = on')
    const outcomes = await Promise.allSettled([2, 3].map((n) => runner.runUnit(() => add(n))))
    const refused = { status: 'rejected', reason: { code: 'database_read_only' } }
    expect(outcomes).toMatchObject([refused, refused])
    expect(runner.broken).toMatchObject({ aborted: true, reason: { code: 'database_read_only' } })
    connection.pragma('query_only = off')
    const before = statements.length
    await expect(runner.runUnit(() => add(4))).rejects.toMatchObject({ code: 'database_read_only' })
    expect(statements).toHaveLength(before)
    expect(connection.prepare('select n from numbers').pluck().all()).toEqual([1])
  })

  test('that somebody else found damaged is written no more; a full one is', async () => {
    const { runner } = tracedRunner()
    runner.distrust(new DatabaseError('database_full', 'for a while'))
    await runner.runUnit(() => add(1))
    runner.distrust(new DatabaseError('database_corrupt', 'page 7'))
    await expect(runner.runUnit(() => add(2))).rejects.toMatchObject({ code: 'database_corrupt' })
  })
})

describe('the queue', () => {
  test('refuses a unit whose deadline passed before its turn, and does not run it', async () => {
    const { runner, connection } = tracedRunner({ group: 1 })
    const slow = runner.runUnit(() => slowAdd(1, 30))
    const late = runner.runUnit(() => add(2), { deadlineMs: 5 })
    await slow
    await expect(late).rejects.toMatchObject({ code: 'queue_deadline' })
    expect(connection.prepare('select n from numbers').pluck().all()).toEqual([1])
  })

  test('refuses what exceeds its bound', async () => {
    const { runner } = tracedRunner({ queued: 2 })
    const outcomes = await Promise.allSettled([1, 2, 3].map((n) => runner.runUnit(() => add(n))))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'database_overloaded' } })
  })

  test('lets go of a unit that is aborted while it waits', async () => {
    const { runner, connection } = tracedRunner()
    const controller = new AbortController()
    const waiting = runner.runUnit(() => add(1), { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toThrow('aborted')
    expect(connection.prepare('select n from numbers').pluck().all()).toEqual([])
  })

  test('is run to its end at close, and refuses afterwards', async () => {
    await using database = scratchDatabase()
    const waiting = database.runUnit(() => addOrganization('a'))
    await database.close()
    await waiting
    await expect(database.runUnit(() => addOrganization('b'))).rejects.toMatchObject({ code: 'database_closed' })
    await expect(organizations(database)).rejects.toMatchObject({ code: 'database_closed' })
  })
})

describe('a read', () => {
  test('that would write is refused', async () => {
    await using database = scratchDatabase()
    await expect(database.read(() => addOrganization('a'))).rejects.toThrow(TypeError)
    expect(await organizations(database)).toEqual([])
  })

  test('does not wait for the group', async () => {
    await using database = scratchDatabase()
    const waiting = database.runUnit(() => addOrganization('a'))
    expect(await organizations(database)).toEqual([])
    await waiting
    expect(await organizations(database)).toEqual(['a'])
  })
})

test('the query builder has no connection', async () => {
  await expect(query.selectFrom('organizations').select('id').execute()).rejects.toThrow('not executed')
})

function* addOrganization(org: string): Unit<void> {
  yield* change(query.insertInto('organizations').values({ org_id: org, org_name: org, created_at: 1 }))
}

async function organizations(database: Database): Promise<readonly string[]> {
  const rows = await database.read(() =>
    many(query.selectFrom('organizations').select('org_id').orderBy('id').limit(100)),
  )
  return rows.map(({ org_id }) => org_id)
}

/** A runner on a plain connection that tells every statement it sends. */
function tracedRunner(limits: Parameters<typeof runnerOf>[1] = {}) {
  const statements: string[] = []
  const connection = new Driver(':memory:', { verbose: (text: unknown) => statements.push(String(text)) })
  connection.exec('create table numbers (n integer primary key) strict')
  return { connection, statements, runner: runnerOf(connection, limits) }
}

function* add(n: number): Unit<void> {
  const statement = sql`insert into numbers values (${sql.val(n)})`.compile(query)
  yield* change({ compile: () => statement })
}

function* addThousand(): Unit<void> {
  for (let n = 1000; n < 2000; n++) yield* add(n)
}

function* slowAdd(n: number, ms: number): Unit<void> {
  yield* add(n)
  for (const until = performance.now() + ms; performance.now() < until; );
}
