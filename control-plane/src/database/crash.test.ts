import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { execPath } from 'node:process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { auditRows } from '../audit/export.ts'
import { verifyChain } from '../audit/verify.ts'
import { createDatabase, openDatabase, openForReading } from './open.ts'
import { type Scratch, scratch } from './scratch.ts'
import { many, query } from './unit.ts'

const deps = { now: () => new Date() }

for (const answers of [1, 200, 3_000]) {
  test(`kill -9 after ${answers} answers loses none of them, and leaves one chain`, async () => {
    using place = scratch()
    await createDatabase(place, deps).close()
    const answered = await writeAndKill(place, answers)

    await using database = openDatabase(place, deps)
    const rows = await database.read(() => many(query.selectFrom('organizations').select('org_id').limit(1_000_000)))
    const kept = new Set(rows.map(({ org_id }) => org_id))
    expect(answered.length).toBeGreaterThanOrEqual(answers)
    expect(answered.filter((name) => !kept.has(name))).toEqual([])
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: kept.size })
    const check = sql`pragma integrity_check`.compile(query)
    expect(await database.read(() => many({ compile: () => check }))).toEqual([{ integrity_check: 'ok' }])
  })
}

test('a reader needs no writer to read what kill -9 left in the log', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const answered = await writeAndKill(place, 200)
  await using reader = openForReading(place)
  const verdict = await verifyChain(auditRows(reader))
  expect(verdict.ok && verdict.count).toBeGreaterThanOrEqual(answered.length)
})

test('a second writer is refused with the holder named, until kill -9 frees the lock', async () => {
  using place = scratch()
  await createDatabase(place, deps).close()
  const child = startWriter(place)
  for await (const line of createInterface(child.stdout)) if (line === 'open') break
  expect(() => openDatabase(place, deps)).toThrow(
    expect.objectContaining({
      code: 'database_locked',
      message: expect.stringMatching(new RegExp(`another control plane \\(process ${child.pid}, since 20.*Z\\)$`)),
    }),
  )
  await kill(child)
  await openDatabase(place, deps).close()
})

async function writeAndKill(place: Scratch, answers: number): Promise<readonly string[]> {
  const child = startWriter(place)
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (lines.length === answers + 1) child.kill('SIGKILL')
  }
  await kill(child)
  return lines.slice(1)
}

type Writer = ChildProcessByStdio<Writable, Readable, null>

function startWriter(place: Scratch): Writer {
  const script = new URL('crash-writer.ts', import.meta.url).pathname
  const child = spawn(execPath, [script, place.path], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(place.key)
  return child
}

async function kill(child: Writer): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
