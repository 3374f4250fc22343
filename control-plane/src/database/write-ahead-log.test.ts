import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createDatabase, openDatabase, openForReading, type ReadableDatabase } from './open.ts'
import { type Scratch, scratch } from './scratch.ts'
import { change, many, query } from './unit.ts'

const deps = { now: () => new Date() }
const HEADER = 32
const FRAME = 24 + 4096

/** A database and its log as kill -9 leaves them: organisations 0 to 19, each in a commit of its own. */
async function killed(place: Scratch): Promise<{ path: string; key: Uint8Array; log: string; frames: number }> {
  const path = join(place.folder, 'killed.db')
  await createDatabase(place, deps).close() // the schema is in the file, the log begins after it
  {
    await using database = openDatabase(place, deps)
    for (let n = 0; n < 20; n++) {
      const row = { org_id: String(n), org_name: 'x'.repeat(2000), created_at: 1 }
      await database.runUnit(() => change(query.insertInto('organizations').values(row)))
    }
    for (const end of ['', '-wal']) copyFileSync(place.path + end, path + end)
  }
  const log = `${path}-wal`
  return { path, key: place.key, log, frames: (statSync(log).size - HEADER) / FRAME }
}

function edit(file: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(file)
  writeFileSync(file, change(bytes) ?? bytes)
}

function flip(file: string, at: number): void {
  edit(file, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  })
}

async function organizations(database: ReadableDatabase): Promise<number> {
  const rows = await database.read(() => many(query.selectFrom('organizations').select('org_id').limit(100)))
  return rows.length
}

describe('a log that is damaged before its end', () => {
  const cases: readonly { name: string; flipped: (frames: number) => number }[] = [
    { name: 'in a page of its middle', flipped: (frames) => HEADER + Math.floor(frames / 2) * FRAME + 2000 },
    { name: 'in its first page', flipped: () => HEADER + 100 },
    { name: 'in the checksum of a frame', flipped: (frames) => HEADER + Math.floor(frames / 2) * FRAME + 16 },
    { name: 'in the salts of a frame', flipped: (frames) => HEADER + Math.floor(frames / 2) * FRAME + 8 },
    { name: 'in the page number of a frame', flipped: (frames) => HEADER + Math.floor(frames / 2) * FRAME + 3 },
    { name: 'in its magic number', flipped: () => 0 },
    { name: 'in its page size', flipped: () => 9 },
    { name: 'in its salts', flipped: () => 18 },
    { name: 'in the checksum of its header', flipped: () => 30 },
  ]
  for (const { name, flipped } of cases) {
    test(`${name} is refused by writer and reader, and left as it was`, async () => {
      using place = scratch()
      const { path, key, log, frames } = await killed(place)
      flip(log, flipped(frames))
      const before = [readFileSync(path), readFileSync(log)]
      const refused = expect.objectContaining({ code: 'database_log_damaged' })
      expect(() => openForReading({ path, key })).toThrow(refused)
      expect(() => openDatabase({ path, key }, deps)).toThrow(refused)
      expect(() => openDatabase({ path, key }, deps)).toThrow(refused)
      expect([readFileSync(path), readFileSync(log)]).toEqual(before)
    })
  }
})

describe('what a crash leaves of a log is taken', () => {
  const cases: readonly { name: string; left: (bytes: Buffer) => Buffer; lost: number }[] = [
    { name: 'whole', left: (bytes) => bytes, lost: 0 },
    { name: 'nothing but a part of its header', left: (bytes) => bytes.subarray(0, 20), lost: 20 },
    { name: 'its header and a part of the first frame’s', left: (bytes) => bytes.subarray(0, HEADER + 10), lost: 20 },
    { name: 'cut in the last frame', left: (bytes) => bytes.subarray(0, -1000), lost: 1 },
    { name: 'cut behind the last frame’s header', left: (bytes) => bytes.subarray(0, 24 - FRAME), lost: 1 },
    {
      name: 'with zeros for the last page',
      left: (bytes) => Buffer.concat([bytes.subarray(0, -4096), Buffer.alloc(4096)]),
      lost: 1,
    },
    { name: 'with another log’s frames behind it', left: withForeignTail, lost: 0 },
  ]
  for (const { name, left, lost } of cases) {
    test(`${name}: ${20 - lost} of 20 commits`, async () => {
      using place = scratch()
      const { path, key, log } = await killed(place)
      edit(log, left)
      await using database = openDatabase({ path, key }, deps)
      expect(await organizations(database)).toBe(20 - lost)
    })
  }
})

/** Frames that a longer log of before left behind: other salts. */
function withForeignTail(bytes: Buffer): Buffer {
  const tail = Buffer.from(bytes.subarray(HEADER, HEADER + 5 * FRAME))
  for (let at = 8; at < tail.length; at += FRAME) tail.fill(0xab, at, at + 8)
  return Buffer.concat([bytes, tail])
}
