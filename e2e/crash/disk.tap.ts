/** Disks that are full, fail, or give other bytes back: each is told by its code, and nothing is lost. */
import { createHash } from 'node:crypto'
import { chmod, cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiProblem } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import t, { type Test } from 'tap'
import { succeeded } from '../harness/control.ts'
import { VCC_CONTROL } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'
import { events } from '../harness/tables.ts'
import {
  alias,
  call,
  copyOf,
  csrOf,
  type Installation,
  newInstallation,
  served,
  serving,
  started,
  vccControl,
} from './installation.ts'
import { newMountNamespace } from './mounts.ts'
import { contradictions, onRecord } from './record.ts'

const folder = await mkdtemp(join(tmpdir(), 'vcc-disk-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const original = await newInstallation(join(folder, 'original'))
const mounts = await newMountNamespace(join(folder, 'mounts.log'))
if (typeof mounts !== 'string') t.teardown(() => mounts[Symbol.asyncDispose]())
const csr = await csrOf(await memorySigner('api', 'P-256'))

/** An admin's certificate: its serial, or the problem. The number is its idempotency key. */
async function request(on: Installation, n: number): Promise<string | ApiProblem['problem']> {
  const body = { template: 'vcc-admin', account: 'ada', csr, idempotency_key: `on-disk-${n}` } as const
  try {
    return (await call(on, on.admin, (api) => api.call('certRequest', { body }))).serial_number
  } catch (error) {
    if (error instanceof ApiProblem) return error.problem
    throw error
  }
}

async function issued(on: Installation, n: number): Promise<string> {
  const answer = await request(on, n)
  if (typeof answer === 'string') return answer
  throw new Error(`refused: ${answer.code}`)
}

async function canRead(on: Installation): Promise<boolean> {
  return (await call(on, on.admin, (api) => api.call('caList', {}))).items.length > 0
}

async function readiness(on: Installation): Promise<{ status: number; reasons?: readonly string[] }> {
  const answer = await fetch(`${on.metricsUrl}/ready`)
  return { ...((await answer.json()) as object), status: answer.status }
}

/** Stopped and started again: every answer is there, nothing is open, the chain is whole. */
async function restarted(t: Test, on: Installation, answered: readonly string[]): Promise<void> {
  await using process = await serving(on)
  const record = await onRecord(on)
  const issued = new Set(record.certificates.filter((one) => one.state === 'issued').map((one) => one.serial))
  t.same(
    answered.filter((serial) => !issued.has(serial)),
    [],
    `all ${answered.length} that were answered are there`,
  )
  t.same(contradictions(record, []), [])
  t.type(await request(on, 9999), 'string', 'and further ones are issued')
  t.equal(await process.stop(), 0)
  succeeded(await vccControl(on, 'audit', 'verify'))
}

async function withMounts(
  name: string,
  work: (t: Test, disk: Exclude<typeof mounts, string>) => Promise<void>,
): Promise<void> {
  if (typeof mounts === 'string') await t.test(name, { skip: mounts }, () => {})
  else await t.test(name, (t) => work(t, mounts))
}

await withMounts('a disk that fills up', async (t, disk) => {
  const data = join(folder, 'small')
  await disk.script('mkdir "$1"; mount -t tmpfs -o size=6m none "$1"; cp -a "$2/." "$1"', data, original.data)
  const on = { ...(await alias(original, join(folder, 'full'), data)), inside: disk.inside }
  const fill = () => disk.script('cat /dev/zero > "$1/ballast" || true', data)
  const makeRoom = () => disk.script('rm "$1/ballast"', data)
  const answered: string[] = []

  const process = await serving(on)
  t.teardown(() => process.stop('SIGKILL'))
  answered.push(await issued(on, 0))
  await fill()
  // What the log was before it was begun anew still has room for a while.
  let n = 1
  const refusal = await eventually('the disk is full for the database, too', async () => {
    const answer = await request(on, n)
    if (typeof answer !== 'string') return answer
    answered.push(answer)
    n += 1
    return undefined
  })
  t.match(refusal, { status: 507, code: 'storage_full', hint: /make room/ })
  t.match(await request(on, n), { status: 507, code: 'storage_full' }, 'it stays so')
  const keysBefore = await disk.script('ls "$1/keys"', data)
  const authority = call(on, on.admin, (api) => api.call('caCreate', { body: { kind: 'services', name: 'no-room' } }))
  t.match(await authority.catch((error: unknown) => error), { problem: { status: 507, code: 'storage_full' } })
  t.equal(await disk.script('ls -A "$1/keys"', data), keysBefore, 'no key, and nothing half written, is left')
  t.match(await readiness(on), { status: 200 }, 'what was there is served')
  t.ok(await canRead(on))

  await makeRoom()
  answered.push(await issued(on, n))
  t.pass('with room again it goes on, without a restart')
  t.equal(await process.stop(), 0)

  await fill()
  const refused = await vccControl(on, 'run')
  t.equal(refused.code, 1, 'it does not start on a full disk')
  t.match(refused.stderr, /\nhint: make room.*\n\[database_full\]\n$/)
  await makeRoom()
  // The disk is the namespace's own: what is on it is looked at in a copy.
  const copied = await copyOf(original, join(folder, 'after-full'))
  await disk.script('rm -r "$2"; cp -a "$1" "$2"', data, copied.data)
  await restarted(t, copied, answered)
})

await t.test('a disk that fails while it is written', async (t) => {
  const on = await copyOf(original, join(folder, 'failing'))
  const answered: string[] = []
  // With a listener for the signal, a write past the limit that it gets is an error like that of a disk.
  const listening = 'data:text/javascript,process.on("SIGXFSZ",()=>{})'
  const process = started(on, ['--import', listening, VCC_CONTROL, 'run', '--config', on.configFile])
  await served(process)
  t.teardown(() => process.stop('SIGKILL'))
  answered.push(await issued(on, 0))
  const { size } = await stat(join(on.data, 'vcc.db-wal'))
  succeeded(await run('prlimit', ['--pid', String(process.pid), `--fsize=${size}:${size}`]))
  const refused = await request(on, 1)
  t.match(refused, { status: 503, code: 'storage_failed' })
  t.match(await request(on, 2), { status: 503, code: 'storage_failed' }, 'nothing further is tried')
  t.match(await readiness(on), { status: 503, reasons: ['database_failed'] })
  t.equal(events(process.output(), 'database_broken').length, 1)
  t.ok(await canRead(on), 'what is there can be read')
  t.equal(await process.stop(), 1, 'its end is no good one: it could not be put on record')
  await restarted(t, on, answered)
})

await withMounts('a disk that is mounted read-only', async (t, disk) => {
  const on = await copyOf(original, join(folder, 'read-only'))
  const inside = { ...on, inside: disk.inside }
  await disk.script('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', on.data)
  const refused = await vccControl(inside, 'run')
  t.equal(refused.code, 1)
  t.match(refused.stderr, /\nhint: mount the disk.*\n\[database_read_only\]/)
  await disk.script('mount -o remount,bind,rw "$1"', on.data)
  const process = await serving(inside)
  t.teardown(() => process.stop('SIGKILL'))
  await disk.script('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', join(on.data, 'keys'))
  const body = { kind: 'services', name: 'no-place' } as const
  const authority = await call(on, on.admin, (api) => api.call('caCreate', { body })).catch((error: unknown) => error)
  t.match(authority, { problem: { status: 503, code: 'storage_failed' } }, 'a key store that cannot be written')
  t.type(await request(on, 0), 'string', 'holds up nothing that needs no new key')
  t.equal(await process.stop(), 0)
})

await t.test('what a start refuses, and leaves as it was', async (t) => {
  /** As kill -9 leaves it: the log is not empty. */
  const killed = await copyOf(original, join(folder, 'killed'))
  const answered: string[] = []
  {
    await using process = await serving(killed)
    for (let n = 0; n < 5; n++) answered.push(await issued(killed, n))
    await process.stop('SIGKILL')
  }
  const [key = ''] = (await readdir(join(killed.data, 'keys'))).filter((name) => name.endsWith('.key'))
  const middle = async (file: string) => flip(file, Math.floor((await stat(file)).size / 2))
  const cases: readonly { name: string; code: string; spoil: (on: Installation) => Promise<void> }[] = [
    { name: 'bits of the database', code: 'database_corrupt', spoil: (on) => flipAll(join(on.data, 'vcc.db')) },
    { name: 'a bit of the log', code: 'database_log_damaged', spoil: (on) => middle(join(on.data, 'vcc.db-wal')) },
    { name: 'a bit of a key file', code: 'key_\\w+', spoil: (on) => middle(join(on.data, 'keys', key)) },
    {
      name: 'another database key',
      code: 'database_key_wrong',
      spoil: (on) => writeFile(join(on.folder, 'secrets', 'database.key'), `${'7'.repeat(64)}\n`),
    },
    {
      name: 'another key-store key',
      code: 'key_wrapping_wrong',
      spoil: (on) => writeFile(join(on.folder, 'secrets', 'key-store.key'), `${'7'.repeat(64)}\n`),
    },
    {
      name: 'a key that others may read',
      code: 'secret_permissions',
      spoil: (on) => chmod(join(on.folder, 'secrets', 'database.key'), 0o644),
    },
    {
      name: 'no key',
      code: 'file_missing',
      spoil: (on) => rm(join(on.folder, 'secrets', 'database.key')),
    },
    { name: 'no database', code: 'database_unreadable', spoil: (on) => rm(join(on.data, 'vcc.db')) },
  ]
  for (const { name, code, spoil } of cases) {
    await t.test(name, async (t) => {
      const on = await copyOf(killed, join(folder, `spoilt ${name}`))
      await spoil(on)
      // A database whose keys are refused afterwards was opened and closed in order, its log is a part of it then.
      const compared = join(on.data, code.startsWith('key_') ? 'keys' : '')
      const before = await contentsOf(compared)
      const refused = await vccControl(on, 'run')
      t.equal(refused.code, 1)
      t.match(refused.stderr, new RegExp(`\n\\[${code}\\]\n$`))
      if (name !== 'no key') t.match(refused.stderr, /\nhint: \S/)
      t.same(await contentsOf(compared), before, 'every file is as it was')
    })
  }
  await restarted(t, killed, answered)
})

await t.test('bits of the database that change while it runs', async (t) => {
  const on = await copyOf(original, join(folder, 'rotting'))
  const answered: string[] = []
  const process = await serving(on)
  t.teardown(() => process.stop('SIGKILL'))
  answered.push(await issued(on, 0))
  const file = join(on.data, 'vcc.db')
  await cp(file, `${file}.whole`)
  // What it has in memory it does not read again: a part of these pages it will.
  await flipAll(file)
  const refused = await eventually('it comes across one', async () => {
    const answer = await request(on, answered.length)
    if (typeof answer !== 'string') return answer
    answered.push(answer)
    await call(on, on.admin, (api) => api.call('certList', { query: {} })).catch(() => {})
    return undefined
  })
  t.match(refused, { status: 503, code: 'storage_failed' })
  t.match(await readiness(on), { status: 503, reasons: ['database_corrupt'] })
  t.equal(events(process.output(), 'database_broken').length, 1)
  t.equal(await process.stop(), 1)
  const again = await vccControl(on, 'run')
  t.equal(again.code, 1)
  t.match(again.stderr, /\nhint: keep the file.*\n\[database_corrupt\]\n$/)
})

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(file, bytes)
}

/** One of each page but the first: the log holds newer ones of some. */
async function flipAll(file: string): Promise<void> {
  const bytes = await readFile(file)
  for (let at = 4096 + 2000; at < bytes.length; at += 4096) bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(file, bytes)
}

/** Hashes by name; what SQLite keeps for its own convenience is no content. */
async function contentsOf(data: string): Promise<Record<string, string>> {
  const names = (await readdir(data, { recursive: true })).filter((name) => !/(\.lock|-shm)$/.test(name))
  const files = await Promise.all(
    names.toSorted().map(async (name) => {
      const path = join(data, name)
      const content = (await stat(path)).isFile() ? await readFile(path) : 'folder'
      return [name, createHash('sha256').update(content).digest('hex')] as const
    }),
  )
  return Object.fromEntries(files)
}
