import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { startControlPlane, succeeded } from '../harness/control.ts'
import { openDatabase } from '../harness/database.ts'
import { startMesh } from '../harness/mesh.ts'
import { commandLinesWith, eventually, run } from '../harness/process.ts'

await using mesh = await startMesh({ services: { argus: ['covina'], covina: [] } })
const { control } = mesh

await t.test('the chain is proved while the control plane writes it', async (t) => {
  const rows: number[] = []
  for (let round = 0; round < 3; round++) {
    await control.pki('instances', 'rotate', '--all', '--wait', '20s')
    const verdict = JSON.parse(succeeded(await control.control('audit', 'verify', '--format', 'json')).stdout) as {
      rows: number
    }
    rows.push(verdict.rows)
  }
  t.ok((rows[0] ?? 0) < (rows[2] ?? 0), 'it grows')
})

await t.test('every certificate is on record and valid, and the file shows nothing in clear', async (t) => {
  const { items } = (await control.pkiJson('certificates', 'list', '--all')) as {
    items: { serial_number: string; purpose: string; state: string }[]
  }
  t.ok(items.length > 10)
  t.ok(items.every((one) => one.state === 'valid'))
  const database = await readFile(join(control.folder, 'data', 'vcc.db'))
  t.notOk(database.includes('argus'), 'the database file holds nothing in clear')
  t.notOk(database.subarray(0, 16).toString('latin1').startsWith('SQLite format'), 'not even its header')
  t.throws(() => new DatabaseSync(join(control.folder, 'data', 'vcc.db')).prepare('select * from certificates').all())
})

await t.test('kill -9 in mid-load: nothing that was answered is lost, nothing is left open', async (t) => {
  const csr = join(mesh.folder, 'admin.csr')
  succeeded(
    await run('openssl', [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      join(mesh.folder, 'k.pem'),
      '-out',
      csr,
      '-subj',
      '/CN=x',
    ]),
  )
  const answered: string[] = []
  let isRunning = true
  const ask = async (worker: number) => {
    for (let index = 0; isRunning; index++) {
      const done = await control.pki(
        'certificates',
        'request',
        '--template',
        'vcc-admin',
        '--csr',
        csr,
        '--account',
        `person-${worker}-${index}`,
        '--format',
        'json',
      )
      if (done.code === 0) answered.push((JSON.parse(done.stdout) as { serial_number: string }).serial_number)
    }
  }
  const workers = [ask(1), ask(2), ask(3)]
  await eventually('certificates are issued', () => answered.length >= 6)
  await control.process().stop('SIGKILL')
  isRunning = false
  await Promise.all(workers)
  await control.restart()
  const { items } = (await control.pkiJson('certificates', 'list', '--all', '--purpose', 'admin')) as {
    items: { serial_number: string; state: string }[]
  }
  const known = new Set(items.map((one) => one.serial_number))
  t.ok(
    answered.every((serial) => known.has(serial)),
    `all ${answered.length} that were answered are on record`,
  )
  t.ok(
    items.every((one) => one.state === 'valid' || one.state === 'orphaned'),
    'each is valid, or an orphan that is revoked',
  )
  succeeded(await control.control('audit', 'verify'))
  using database = await openDatabase(control)
  t.same(database.rows("select intent_id from issuance_intents where state = 'open'"), [], 'no intent is left open')
})

await t.test('an idempotency key answers the same certificate, and refuses another request', async (t) => {
  const csr = join(mesh.folder, 'admin.csr')
  const request = (account: string) =>
    control.pki(
      'certificates',
      'request',
      '--template',
      'vcc-admin',
      '--csr',
      csr,
      '--account',
      account,
      '--idempotency-key',
      'order-0001',
      '--format',
      'json',
    )
  const first = JSON.parse(succeeded(await request('someone')).stdout) as { serial_number: string }
  const again = JSON.parse(succeeded(await request('someone')).stdout) as { serial_number: string }
  t.equal(again.serial_number, first.serial_number)
  const other = await request('somebody else')
  t.equal(other.code, 6)
  t.match(other.stderr, /idempotency_key_reused/)
})

await t.test('the chain holds an attempt before each outcome, and no personal data', async (t) => {
  using database = await openDatabase(control)
  const records = database.rows('select record from audit_entries order by seq').map((row) => String(row['record']))
  const kept = [...records, ...database.rows('select details from audit_details').map((row) => String(row['details']))]
  for (const personal of [/person-\d/, /someone/, /127\.0\.0\.1/, /"admin"\s*:/]) {
    t.notOk(
      kept.some((one) => personal.test(one)),
      `${personal} is nowhere`,
    )
  }
  const phases = new Map<string, string[]>()
  for (const text of records) {
    const one = JSON.parse(text) as { phase?: string; event: string; request_id?: string; target: { id: string } }
    if (one.phase === undefined) continue
    const key = `${one.event} ${one.request_id} ${one.target.id}`
    phases.set(key, [...(phases.get(key) ?? []), one.phase])
  }
  t.ok(phases.size > 10)
  const wrong = [...phases.values()].filter((order) => order[0] !== 'attempt' || order.length > 2)
  t.same(wrong, [])
})

await t.test('a row that was changed is named, as is one that was taken out', async (t) => {
  await control.process().stop()
  const broken = async (row: number) => {
    const verdict = await control.control('audit', 'verify')
    t.equal(verdict.code, 11)
    t.match(verdict.stderr, new RegExp(`row ${row} breaks the audit chain.*\\[audit_chain_broken\\]`, 's'))
  }
  {
    using database = await openDatabase(control)
    t.throws(() => database.run("update audit_entries set record = '{}' where seq = 7"), /append-only/)
    t.throws(() => database.run('delete from audit_entries where seq = 7'), /append-only/)
    database.run('drop trigger audit_entries_keep; drop trigger audit_entries_stay')
    database.run(`create table kept as select seq, record from audit_entries where seq = 7`)
    database.run(`update audit_entries set record = json_set(record, '$.outcome', 'denied') where seq = 7`)
  }
  await broken(7)
  {
    using database = await openDatabase(control)
    database.run(
      'pragma foreign_keys = off; delete from audit_details where seq = 9; delete from audit_entries where seq = 9',
    )
    database.run('update audit_entries set record = (select record from kept) where seq = 7')
  }
  await broken(9)
})

await t.test('init is idempotent, refuses to overwrite, and a wrong key is said clearly', async (t) => {
  await using other = await startControlPlane(join(mesh.folder, 'other'))
  const statusUrl = `http://127.0.0.1:${other.ports.public}`
  const again = await other.control('init', '--status-url', statusUrl, '--root-key', 'P-384')
  t.equal(again.code, 0)
  t.match(again.stdout, /nothing was changed/)
  const different = await other.control('init', '--status-url', 'http://elsewhere.example')
  t.equal(different.code, 6)
  t.match(different.stderr, /\[already_initialised\]/)
  await other.process().stop()
  await run('sh', ['-c', `printf '%064d' 7 > ${join(other.folder, 'secrets', 'database.key')}`])
  const wrong = await other.control('audit', 'verify')
  t.not(wrong.code, 0)
  t.match(wrong.stderr, /\[database_key_wrong\]/)
})

await t.test('nothing stays behind', async (t) => {
  const pids = ['argus', 'covina'].map((name) => mesh.service(name).process.pid)
  await mesh[Symbol.asyncDispose]()
  t.throws(() => process.kill(pids[0] ?? 0, 0), 'the services have ended')
  t.same(await commandLinesWith(mesh.folder), [], 'no process works in the folder of this mesh')
  await t.rejects(readFile(control.configFile), 'and the folder is gone')
})
