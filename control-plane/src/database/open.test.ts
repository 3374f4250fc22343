import { createDecipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Driver from 'better-sqlite3-multiple-ciphers'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createDatabase, openDatabase, openForReading, type ReadableDatabase } from './open.ts'
import { type Scratch, scratch } from './scratch.ts'
import { change, many, query } from './unit.ts'

const deps = { now: () => new Date('2026-11-23T10:00:00Z') }

describe('refused', () => {
  const cases: readonly { name: string; code: string; make: (place: Scratch) => unknown }[] = [
    { name: 'missing-file', code: 'database_unreadable', make: () => {} },
    {
      name: 'missing-folder',
      code: 'database_unreadable',
      make: (place) => ({ path: join(place.folder, 'no', 'db') }),
    },
    { name: 'folder-instead-of-file', code: 'database_unreadable', make: ({ path }) => mkdirSync(path) },
    { name: 'dangling-link', code: 'database_unreadable', make: ({ path }) => symlinkSync('nowhere', path) },
    { name: 'wrong-key', code: 'database_key_wrong', make: (place) => created(place, { key: randomBytes(32) }) },
    {
      name: 'one-bit-of-the-key',
      code: 'database_key_wrong',
      make: (place) => created(place, { key: flipped(place.key) }),
    },
    { name: 'random-bytes', code: 'database_key_wrong', make: ({ path }) => writeFileSync(path, randomBytes(8192)) },
    { name: 'first-page-damaged', code: 'database_key_wrong', make: (place) => damaged(place, 100) },
    { name: 'empty-file', code: 'database_not_ours', make: ({ path }) => writeFileSync(path, '') },
    { name: 'plain-sqlite', code: 'database_not_ours', make: ({ path }) => plain(path) },
    { name: 'tables-of-another-program', code: 'database_not_ours', make: foreign },
    { name: 'newer-schema', code: 'database_newer_schema', make: newer },
    {
      name: 'cut-off',
      code: 'database_corrupt',
      make: (place) => created(place, {}, () => truncateSync(place.path, 40_960)),
    },
    { name: 'a-bit-of-a-page-nobody-reads-at-first', code: 'database_corrupt', make: damagedInside },
    { name: 'emptied-beside-its-log', code: 'database_corrupt', make: emptied },
    { name: 'a-second-hard-link', code: 'database_linked', make: linked },
  ]

  for (const { name, code, make } of cases) {
    test(`${name} is ${code}`, async () => {
      using place = scratch()
      const options = { ...place, ...Object(await make(place)) }
      const before = contentOf(options.path)
      if (!ONLY_A_WRITER_LOOKS.has(name))
        expect(() => openForReading(options)).toThrow(expect.objectContaining({ code }))
      expect(() => openDatabase(options, deps)).toThrow(expect.objectContaining({ code }))
      expect(() => openDatabase(options, deps)).toThrow(expect.objectContaining({ code })) // no lock was left
      expect(contentOf(options.path)).toEqual(before)
    })
  }

  /** A reader looks only at what it reads. */
  const ONLY_A_WRITER_LOOKS = new Set(['a-bit-of-a-page-nobody-reads-at-first'])

  test('a key of another length', () => {
    using place = scratch()
    expect(() => createDatabase({ ...place, key: randomBytes(16) }, deps)).toThrow(TypeError)
  })

  test('a second writer in this process, also through a symbolic link', async () => {
    using place = scratch()
    await using first = createDatabase(place, deps)
    const link = join(place.folder, 'link.db')
    symlinkSync(place.path, link)
    for (const path of [first.path, link]) {
      expect(() => openDatabase({ ...place, path }, deps)).toThrow(expect.objectContaining({ code: 'database_locked' }))
    }
  })

  test('creating over a database that exists', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    expect(() => createDatabase(place, deps)).toThrow(expect.objectContaining({ code: 'database_exists' }))
  })

  test('no message repeats the key', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    const key = randomBytes(32)
    try {
      openDatabase({ ...place, key }, deps)
      expect.unreachable()
    } catch (error) {
      const texts = [String(error), String(Object(error).cause), Object(error).stack]
      expect(texts.join('\n').toLowerCase()).not.toContain(key.toString('hex'))
    }
  })
})

describe('an open database', () => {
  test('has full durability in effect', async () => {
    using place = scratch()
    await using database = createDatabase(place, deps)
    expect(
      await pragmas(database, ['journal_mode', 'synchronous', 'foreign_keys', 'trusted_schema', 'temp_store']),
    ).toEqual({
      journal_mode: 'wal',
      synchronous: 2,
      foreign_keys: 1,
      trusted_schema: 0,
      temp_store: 2,
    })
  })

  test('has a first page that opens by the published design of SQLCipher 4', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    const page = firstPage(readFileSync(place.path), place.key)
    expect(page.readUInt16BE(0)).toBe(4096) // page size, at offset 16 of an SQLite header
    expect(page[4]).toBe(80) // bytes reserved per page: IV and HMAC
    expect(page.readUInt32BE(68 - 16)).toBe(0x56434350) // application id
  })

  test('is 0600, its companions too, whatever the mask was', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    chmodSync(place.path, 0o644)
    await using database = openDatabase(place, deps)
    for (const file of [database.path, `${place.path}-wal`, `${place.path}-shm`, `${place.path}.lock`]) {
      expect([file, (statSync(file).mode & 0o777).toString(8)]).toEqual([file, '600'])
    }
  })

  test('is read by another connection while the writer runs', async () => {
    using place = scratch()
    await using writer = createDatabase(place, deps)
    await using reader = openForReading(place)
    const add = query.insertInto('organizations').values({ org_id: 'a', org_name: 'a', created_at: 1 })
    await writer.runUnit(() => change(add))
    expect(await reader.read(() => many(query.selectFrom('organizations').select('org_id')))).toEqual([{ org_id: 'a' }])
    await expect(reader.read(() => change(add))).rejects.toThrow(TypeError)
  })

  test('is read without a writer, and left as it was', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    const before = contentOf(place.path)
    await using reader = openForReading(place)
    expect(await reader.read(() => many(query.selectFrom('organizations').select('org_id')))).toEqual([])
    expect(contentOf(place.path)).toEqual(before)
  })

  test('continues a creation that was interrupted', async () => {
    using place = scratch()
    writeFileSync(place.path, '')
    await createDatabase(place, deps).close()
    await openDatabase(place, deps).close()
  })

  test('locked by a program that ignores the lock file refuses the unit, and goes on later', async () => {
    using place = scratch()
    await using database = createDatabase(place, deps)
    const intruder = keyed(place)
    intruder.exec('begin immediate')
    const add = () => change(query.insertInto('organizations').values({ org_id: 'a', org_name: 'a', created_at: 1 }))
    await expect(database.runUnit(add)).rejects.toMatchObject({ code: 'database_busy' })
    intruder.exec('rollback')
    intruder.close()
    expect(await database.runUnit(add)).toBe(1)
  })

  test('whose file turns out damaged says so, and writes no more', async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    const page = rootPage(place, 'organizations')
    await using database = openDatabase(place, deps)
    damage(place.path, (page - 1) * 4096 + 2000) // after the look at opening, before anything read it
    const add = () => change(query.insertInto('organizations').values({ org_id: 'a', org_name: 'a', created_at: 1 }))
    const read = () => many(query.selectFrom('organizations').select('org_name'))
    await expect(database.read(read)).rejects.toMatchObject({ code: 'database_corrupt' })
    expect(database.broken.aborted).toBe(true)
    await expect(database.runUnit(add)).rejects.toMatchObject({ code: 'database_corrupt' })
    await expect(database.read(read)).rejects.toMatchObject({ code: 'database_corrupt' })
  })
})

function rootPage(place: Scratch, table: string): number {
  const connection = keyed(place)
  const page = connection.prepare('select rootpage from sqlite_schema where name = ?').pluck().get(table)
  connection.close()
  return Number(page)
}

async function created(place: Scratch, options: object, then: () => void = () => {}): Promise<object> {
  await createDatabase(place, deps).close()
  then()
  return options
}

async function damagedInside(place: Scratch): Promise<void> {
  await createDatabase(place, deps).close()
  damage(place.path, (rootPage(place, 'audit_entries') - 1) * 4096 + 2000)
}

async function emptied(place: Scratch): Promise<void> {
  await createDatabase(place, deps).close()
  truncateSync(place.path, 0)
  writeFileSync(`${place.path}-wal`, randomBytes(8192))
}

async function linked(place: Scratch): Promise<object> {
  const path = join(place.folder, 'other.db')
  await createDatabase(place, deps).close()
  linkSync(place.path, path)
  return { path }
}

function damaged(place: Scratch, offset: number): Promise<object> {
  return created(place, {}, () => damage(place.path, offset))
}

function damage(path: string, offset: number): void {
  const content = readFileSync(path)
  content[offset] = (content[offset] ?? 0) ^ 1
  writeFileSync(path, content)
}

function flipped(key: Uint8Array): Uint8Array {
  return key.map((byte, index) => (index === 31 ? byte ^ 1 : byte))
}

function plain(path: string): void {
  const connection = new Driver(path)
  connection.exec('create table t (a)')
  connection.close()
}

function foreign(place: Scratch): void {
  const connection = keyed(place)
  connection.exec('create table t (a)')
  connection.close()
}

async function newer(place: Scratch): Promise<void> {
  await createDatabase(place, deps).close()
  const connection = keyed(place)
  connection.exec("insert into schema_migrations values (999, 'of tomorrow', 0)")
  connection.close()
}

function keyed(place: Scratch) {
  const connection = new Driver(place.path)
  connection.pragma("cipher = 'sqlcipher'")
  connection.pragma('legacy = 4')
  connection.pragma(`key = "x'${Buffer.from(place.key).toString('hex')}'"`)
  return connection
}

function contentOf(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path) : undefined
}

async function pragmas(database: ReadableDatabase, names: readonly string[]): Promise<object> {
  const answers: object[] = []
  for (const name of names) {
    const statement = sql`select ${sql.ref(name)} from ${sql.raw(`pragma_${name}`)}`.compile(query)
    answers.push(...(await database.read(() => many({ compile: () => statement }))).map(Object))
  }
  return Object.assign({}, ...answers)
}

/**
 * Page 1 from offset 16 on, by the published design of SQLCipher 4 with a raw key: AES-256-CBC, a reserve of
 * 16 bytes IV and 64 bytes HMAC-SHA512 over ciphertext, IV and page number, HMAC key by PBKDF2-SHA512 with two
 * rounds over the salt xor 0x3a.
 */
function firstPage(file: Buffer, key: Uint8Array): Buffer {
  const salt = file.subarray(0, 16)
  const hmacKey = pbkdf2Sync(
    key,
    salt.map((byte) => byte ^ 0x3a),
    2,
    32,
    'sha512',
  )
  const ciphertext = file.subarray(16, 4096 - 80)
  const iv = file.subarray(4096 - 80, 4096 - 64)
  const pageNumber = Buffer.from([1, 0, 0, 0])
  const hmac = createHmac('sha512', hmacKey).update(ciphertext).update(iv).update(pageNumber).digest()
  expect(hmac).toEqual(file.subarray(4096 - 64, 4096))
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}
