import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { type CompiledQuery, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { MIGRATIONS } from './migrations/all.ts'
import type { Migration } from './migrations/migration.ts'
import { createDatabase, openDatabase, openForReading, type ReadableDatabase } from './open.ts'
import { scratch, scratchDatabase } from './scratch.ts'
import { change, many, query, type Unit } from './unit.ts'

const deps = { now: () => new Date('2026-11-23T10:00:00Z') }
const coming = MIGRATIONS.length + 1
const good: Migration = { version: coming, name: 'good', statements: 'create table extra (a integer) strict' }
const bad: Migration = {
  version: coming + 1,
  name: 'bad',
  statements: 'create table half (a integer) strict; select nothing',
}

test('the released migrations are numbered without a gap', () => {
  expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, index) => index + 1))
})

test('an older schema is copied, then brought forward', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  await using database = openDatabase({ ...place, migrations: [...MIGRATIONS, good] }, deps)
  const copy = `${place.path}.schema-${MIGRATIONS.length}-1795428000`
  expect(database.migrated).toEqual({ from: MIGRATIONS.length, to: coming, copy })
  expect(await tables(database)).toContain('extra')
  expect((statSync(copy).mode & 0o777).toString(8)).toBe('600')
  await using old = openForReading({ ...place, path: copy })
  expect(await tables(old)).not.toContain('extra')
})

test('a current schema is left alone', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  await using database = openDatabase(place, deps)
  expect(database.migrated).toBeUndefined()
  expect(readdirSync(place.folder).filter((name) => name.includes('schema'))).toEqual([])
})

test('a step that fails leaves the steps before it and nothing of its own', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const failing = { ...place, migrations: [...MIGRATIONS, good, bad] }
  expect(() => openDatabase(failing, deps)).toThrow(expect.objectContaining({ code: 'migration_failed' }))
  await using database = openDatabase({ ...place, migrations: [...MIGRATIONS, good] }, deps)
  const names = await tables(database)
  expect([names.includes('extra'), names.includes('half')]).toEqual([true, false])
})

test('nothing is migrated when the copy cannot be made', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  writeFileSync(`${place.path}.schema-${MIGRATIONS.length}-1795428000`, '')
  const open = () => openDatabase({ ...place, migrations: [...MIGRATIONS, good] }, deps)
  expect(open).toThrow(expect.objectContaining({ code: 'migration_failed' }))
  await using database = openDatabase(place, deps)
  expect(await tables(database)).not.toContain('extra')
})

test('a reader refuses an older schema instead of changing it', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const open = () => openForReading({ ...place, migrations: [...MIGRATIONS, good] })
  expect(open).toThrow(expect.objectContaining({ code: 'database_older_schema' }))
})

describe('the schema', () => {
  const at = { created_at: 1 }
  const org = query.insertInto('organizations').values({ ...at, org_id: 'a', org_name: 'a' })
  const policy = { organization_id: 'a', version: 1, yaml: '', applied_by: 'x', applied_at: 1 }
  const state = {
    kind: 'fleet',
    instance_id: '',
    epoch: 1,
    generation: 2,
    content_hash: '',
    content: '{}',
    jws: '',
    issued_at: 1,
    accept_until: 1,
    enforce_until: 1,
  } as const
  const entry = query.insertInto('audit_entries').values({ seq: 1, record: '{"event":"SYS-01"}' })
  const service = {
    ...at,
    organization_id: 'a',
    service_id: 's',
    service_type: 'api',
    mode: 'http',
    status: 'active',
  } as const

  const refused: readonly { name: string; first: readonly Compilable[]; next: Compilable; says: string }[] = [
    {
      name: 'a policy is never changed',
      first: [org, query.insertInto('policies').values(policy)],
      next: sql`update policies set yaml = 'x'`,
      says: 'append-only',
    },
    {
      name: 'a policy is never deleted',
      first: [org, query.insertInto('policies').values(policy)],
      next: query.deleteFrom('policies'),
      says: 'append-only',
    },
    {
      name: 'an audit entry is never changed',
      first: [entry],
      next: sql`update audit_entries set record = '{}'`,
      says: 'append-only',
    },
    {
      name: 'an audit entry is never deleted',
      first: [entry],
      next: query.deleteFrom('audit_entries'),
      says: 'append-only',
    },
    {
      name: 'a state document never goes back a generation',
      first: [query.insertInto('state_documents').values(state)],
      next: query.updateTable('state_documents').set({ generation: 1 }),
      says: 'never goes back',
    },
    {
      name: 'a state document never goes back an epoch, even with a higher generation',
      first: [query.insertInto('state_documents').values({ ...state, epoch: 2 })],
      next: query.updateTable('state_documents').set({ epoch: 1, generation: 9 }),
      says: 'never goes back',
    },
    {
      name: 'there is one fleet document',
      first: [query.insertInto('state_documents').values(state)],
      next: query.insertInto('state_documents').values({ ...state, generation: 3 }),
      says: 'UNIQUE',
    },
    {
      name: 'a service name is canonical',
      first: [org],
      next: query.insertInto('vcc_services').values({ ...service, kind: 'mesh', service_name: 'a_b' }),
      says: 'CHECK',
    },
    {
      name: 'an external service has its trust',
      first: [org],
      next: query.insertInto('vcc_services').values({ ...service, kind: 'external', service_name: 'db' }),
      says: 'CHECK',
    },
    {
      name: 'a row belongs to an organisation that exists',
      first: [],
      next: query.insertInto('policies').values(policy),
      says: 'FOREIGN KEY',
    },
    {
      name: 'a column has one type',
      first: [],
      next: sql`insert into organizations (org_id, org_name, created_at) values ('a', 'a', 'today')`,
      says: 'cannot store TEXT',
    },
  ]

  for (const { name, first, next, says } of refused) {
    test(name, async () => {
      await using database = scratchDatabase()
      for (const statement of first) await database.runUnit(() => run(statement))
      await expect(database.runUnit(() => run(next))).rejects.toThrow(says)
    })
  }
})

type Compilable = { compile: (on: typeof query) => CompiledQuery }

function run(statement: Compilable): Unit<number> {
  return change({ compile: () => statement.compile(query) })
}

async function tables(database: ReadableDatabase): Promise<readonly unknown[]> {
  const names = sql<{ name: string }>`select name from sqlite_schema where type = 'table'`.compile(query)
  return (await database.read(() => many({ compile: () => names }))).map(({ name }) => name)
}
