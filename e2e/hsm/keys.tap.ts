/** Keys of a real control plane in a token: made, found again, shown, and seen by other people's tools. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasSoftHsm, softHsmToken } from '@vcc/testkit'
import t from 'tap'
import { startControlPlane, succeeded } from '../harness/control.ts'
import { openDatabase } from '../harness/database.ts'
import { NODE, VCC_CONTROL } from '../harness/paths.ts'
import { eventually, run, start } from '../harness/process.ts'
import { events } from '../harness/tables.ts'

if (!hasSoftHsm) {
  t.plan(0, 'softhsm2 is not installed; make test installs it')
  process.exit(0)
}

const folder = await mkdtemp(join(tmpdir(), 'vcc-hsm-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
await using control = await startControlPlane(join(folder, 'control'), { keys: 'softhsm' })
const { token } = control
if (token === undefined) throw new Error('there is no token')
const pin = (await readFile(token.pinFile, 'utf8')).trim()

interface Key {
  readonly key_label: string
  readonly key_id: string
  readonly purpose: string
  readonly held: string
  readonly used_by: readonly { readonly kind: string; readonly name?: string; readonly role?: string }[]
}
const list = async () => ((await control.pkiJson('keys', 'list')) as { items: Key[] }).items

await t.test('vcc-pki keys list says purpose, where held and what uses it', async (t) => {
  const keys = await list()
  t.equal(keys.length, 10)
  t.ok(keys.every(({ held }) => held === 'hsm'))
  t.ok(keys.every(({ used_by }) => used_by.length === 1))
  const table = succeeded(await control.pki('keys', 'list')).stdout
  t.match(table, /KEY +PURPOSE +KIND +HELD +USED BY/)
  t.match(table, /root-[0-9a-f]{32} +root +P-384 +in the HSM +CA mesh-root/)
  t.match(table, /state-[0-9a-f]{32} +state +P-256 +in the HSM +signer of state \(active\)/)
  t.same(await readdir(join(control.folder, 'data', 'keys')), [], 'no key is in a file')
})

await t.test('pkcs11-tool sees each as sensitive and never extractable', async (t) => {
  const seen = await token.privateKeys()
  t.equal(seen.length, 10)
  for (const { key_id, key_label } of await list()) {
    const about = { label: key_label, Usage: 'sign', Access: 'sensitive, always sensitive, never extractable, local' }
    t.match(
      seen.find(({ ID }) => ID === key_id),
      about,
      key_label,
    )
  }
})

await t.test('openssl verifies what they signed', async (t) => {
  const chains = (await control.pkiJson('authorities', 'list')) as {
    items: { ca_id: string; kind: string; name: string }[]
  }
  for (const { ca_id, kind, name } of chains.items) {
    const file = join(folder, `${name}.pem`)
    succeeded(await control.pki('authorities', 'chain', ca_id, '--output', file))
    if (kind === 'root') {
      t.match(
        succeeded(await run('openssl', ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', file, file])).stdout,
        /OK/,
      )
      continue
    }
    const verified = await run('openssl', ['verify', '-x509_strict', '-CAfile', file, file])
    t.match(succeeded(verified).stdout, /OK/, name)
  }
  const admin = join(folder, 'admin-ca.pem')
  const leaf = await run('openssl', ['verify', '-x509_strict', '-CAfile', admin, control.adminFile])
  t.match(succeeded(leaf).stdout, /OK/, 'a leaf')
})

await t.test('a key is made, shown, and destroyed; one in use is not', async (t) => {
  const made = (await control.pkiJson('keys', 'generate', 'issuing', '--algorithm', 'RSA-3072')) as unknown as Key
  t.match(made, { purpose: 'issuing', held: 'hsm', used_by: [] })
  const pem = join(folder, 'made.pem')
  const shown = succeeded(await control.pki('keys', 'show', made.key_label, '--output', pem)).stdout
  t.match(shown, /never extractable: true/)
  t.match(succeeded(await run('openssl', ['pkey', '-pubin', '-in', pem, '-noout', '-text'])).stdout, /3072 bit/)
  const unasked = await control.pki('keys', 'delete', made.key_label)
  t.equal(unasked.code, 2)
  t.match(unasked.stderr, /\[confirmation_needed\]/)
  succeeded(await control.pki('keys', 'delete', made.key_label, '--yes'))
  const gone = await control.pki('keys', 'show', made.key_label)
  t.equal(gone.code, 5)
  t.match(gone.stderr, /\[key_unknown/)
  const [inUse] = await list()
  const refused = await control.pki('keys', 'delete', inUse?.key_label ?? '', '--yes')
  t.equal(refused.code, 6)
  t.match(refused.stderr, /is the key of [\s\S]*\[key_in_use/)
  const inFile = (await control.pkiJson('keys', 'generate', 'tsa')) as unknown as Key
  t.equal(inFile.held, 'software', 'a purpose that the configuration leaves in files')
  succeeded(await control.pki('keys', 'delete', inFile.key_label, '--yes'))
  const unknown = await control.pki('keys', 'generate', 'everything')
  t.equal(unknown.code, 2)
  t.match(unknown.stderr, /\[request_invalid/)
})

await t.test('after a restart the keys are found again, by their ids', async (t) => {
  const before = await list()
  await control.restart()
  t.same(await list(), before)
  t.match(
    succeeded(
      await control.control('init', '--status-url', `http://127.0.0.1:${control.ports.public}`, '--root-key', 'P-384'),
    ).stdout,
    /nothing was changed/,
  )
  t.same(await list(), before, 'and init makes none')
})

await t.test('the PIN is nowhere but in its file', async (t) => {
  const signer = Number(events(control.process().output(), 'hsm_opened').at(-1)?.['pid'])
  for (const pid of [control.process().pid, signer]) {
    for (const name of ['cmdline', 'environ']) t.notMatch(await readFile(`/proc/${pid}/${name}`, 'utf8'), pin)
  }
  t.notMatch(control.process().output(), pin)
  t.notMatch(await readFile(control.configFile, 'utf8'), pin)
})

await t.test('a wrong PIN ends the start, once and clearly, and is on record', async (t) => {
  await control.process().stop()
  await writeFile(token.pinFile, '999999\n', { mode: 0o600 })
  const refused = await run(NODE, [VCC_CONTROL, 'run', '--config', control.configFile])
  t.not(refused.code, 0)
  t.match(refused.stderr, /the token labelled "vcc" refuses the PIN; it is not tried again [\s\S]*\[hsm_pin_refused\]/)
  t.match(refused.stderr, /hint: correct the file named by keys\.hsm\.pin_file/)
  t.notMatch(refused.stdout + refused.stderr, '999999')
  {
    using database = await openDatabase(control)
    const rows = database.rows('select record from audit_entries where record like \'%"HSM-02"%\'')
    t.equal(rows.length, 1)
    t.match(JSON.parse(String(rows[0]?.['record'])), { outcome: 'failure', reason_code: 'hsm_pin_refused' })
  }
  await writeFile(token.pinFile, `${pin}\n`, { mode: 0o600 })
  await control.restart()
  t.equal((await list()).length, 10)
})

await t.test('an init that is killed leaves keys, and the next one deletes them', async (t) => {
  const place = join(folder, 'killed')
  const own = await softHsmToken(place)
  const configFile = join(place, 'vcc-control.yml')
  const secrets = ['database', 'key-store'].map((name) => `  ${name.replace('-', '_')}_key_file: ${place}/${name}.key`)
  await writeFile(configFile, [`data: ${place}/data`, 'secrets:', ...secrets, ...own.config, ''].join('\n'))
  const args = [
    VCC_CONTROL,
    'init',
    '--status-url',
    'http://pki.vcc.internal',
    '--root-key',
    'RSA-4096',
    '--config',
    configFile,
  ]
  const keys = async () => (await own.privateKeys()).map(({ ID }) => ID ?? '')
  {
    await using first = start({ name: 'init', command: NODE, args, logFile: join(place, 'init.log') })
    await eventually('a key is made', async () => (await keys()).length > 0, 120_000)
    await first.stop('SIGKILL')
  }
  const left = await keys()
  t.ok(left.length > 0, `${left.length} keys are left`)
  succeeded(await run(NODE, args, { timeoutMs: 180_000 }))
  const now = await keys()
  t.equal(now.length, 10)
  t.same(
    now.filter((id) => left.includes(id)),
    [],
    'none of them is of the first',
  )
})
