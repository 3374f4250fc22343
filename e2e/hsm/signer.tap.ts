/**
 * The signer process is killed, stopped and robbed of its token while certificates are issued: the API says 503 with a
 * code, recovers by itself, and leaves nothing open.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasSoftHsm } from '@vcc/testkit'
import t, { type Test } from 'tap'
import { contradictions, onRecord } from '../crash/record.ts'
import { type ControlPlane, startControlPlane, succeeded } from '../harness/control.ts'
import { eventually } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'
import { issuanceLoad, type Load, type Outcome } from './load.ts'

if (!hasSoftHsm) {
  t.plan(0, 'softhsm2 is not installed; make test installs it')
  process.exit(0)
}

const WORKERS = 12
const folder = await mkdtemp(join(tmpdir(), 'vcc-hsm-'))
await using control = await startControlPlane(join(folder, 'control'), {
  keys: 'softhsm',
})
t.teardown(async () => {
  await control[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** Of the signer process that serves now. */
function signerPid(): number {
  const pid = Number(events(control.process().output(), 'hsm_opened').at(-1)?.['pid'])
  if (!(pid > 1)) throw new Error('no signer process was started')
  return pid
}
const metrics = async () => (await fetch(`http://127.0.0.1:${control.ports.metrics}/metrics`)).text()
const readiness = async () =>
  (await (await fetch(`http://127.0.0.1:${control.ports.metrics}/ready`)).json()) as { reasons: string[] }
const status = () => control.pkiJson('keys', 'status') as Promise<{ state: string; code: string | null }>

const serials = (load: Load, from = 0) => load.outcomes.slice(from).flatMap((one) => ('serial' in one ? [one] : []))
const refusals = (load: Load, from = 0) => load.outcomes.slice(from).flatMap((one) => ('status' in one ? [one] : []))
const codes = (all: readonly Exclude<Outcome, { serial: string }>[]) => [...new Set(all.map(({ code }) => code))]

/** The load goes well: as many certificates in a row as workers, four times over. */
async function isWell(load: Load, what: string): Promise<void> {
  const from = load.outcomes.length
  await eventually(
    what,
    () => {
      const last = load.outcomes.slice(-4 * WORKERS)
      return load.outcomes.length >= from + 4 * WORKERS && last.every((one) => 'serial' in one)
    },
    120_000,
  )
}

let refused = 0

/** What was answered is there, what was not is an orphan, and nothing is open or there twice. */
async function proveRecord(t: Test, load: Load, on: ControlPlane): Promise<void> {
  const record = await onRecord(on)
  t.same(contradictions(record, []), [], 'the record contradicts nothing')
  t.same(
    record.intents.filter(({ state }) => state === 'open'),
    [],
    'no intent is open',
  )
  const issued = new Set(record.certificates.filter(({ state }) => state === 'issued').map(({ serial }) => serial))
  const answered = serials(load).map(({ serial }) => serial)
  t.equal(new Set(answered).size, answered.length, 'no serial was answered twice')
  t.same(
    answered.filter((serial) => !issued.has(serial)),
    [],
    'every certificate that was answered is on record',
  )
  const orphans = record.certificates.filter(({ state }) => state === 'orphaned').length
  refused += refusals(load).length
  t.ok(orphans <= refused, `${orphans} orphans of ${refused} refusals so far`)
}

await t.test('killed in mid-load, again and again', async (t) => {
  await using load = await issuanceLoad(control, WORKERS)
  await isWell(load, 'certificates are issued')
  const pids = new Set<number>()
  for (let kills = 0; kills < 5 || refusals(load).length === 0; kills++) {
    if (kills === 40) throw new Error('forty kills, and nobody noticed')
    const pid = signerPid()
    pids.add(pid)
    process.kill(pid, 'SIGKILL')
    await eventually('another process serves', () => signerPid() !== pid)
    await isWell(load, 'it recovers by itself')
  }
  await load.stop()
  const answers = refusals(load)
  t.ok(answers.length > 0, `${answers.length} of ${load.outcomes.length} requests were refused`)
  t.same(codes(answers), ['hsm_unavailable'])
  t.same([...new Set(answers.map((one) => `${one.status}, again after ${one.retryAfter}`))], ['503, again after 5'])
  const text = await metrics()
  t.ok(metric(text, 'vcc_hsm_signer_restarts_total') >= pids.size, 'the restarts are counted')
  t.equal(metric(text, 'vcc_hsm_breaker', { state: 'closed' }), 1)
  t.ok(metric(text, 'vcc_hsm_operations_total', { operation: 'sign', outcome: 'ok' }) >= serials(load).length)
  t.equal((await status()).state, 'ready')
  await proveRecord(t, load, control)
})

await t.test('stopped without a word: requests are refused, and a new process takes its place', async (t) => {
  await using load = await issuanceLoad(control, WORKERS)
  await isWell(load, 'certificates are issued')
  const pid = signerPid()
  process.kill(pid, 'SIGSTOP')
  await eventually('somebody is refused', () => refusals(load).length > 0)
  await eventually('another process serves', () => signerPid() !== pid)
  await isWell(load, 'it recovers by itself')
  await load.stop()
  t.match(codes(refusals(load)).join(), /^(hsm_unavailable|signer_unavailable|,)+$/)
  t.ok(codes(refusals(load)).includes('hsm_unavailable'))
  t.ok(refusals(load).every(({ status, retryAfter }) => status === 503 && retryAfter === '5'))
  await proveRecord(t, load, control)
})

await t.test('the token is taken out and put back', async (t) => {
  await using load = await issuanceLoad(control, WORKERS)
  await isWell(load, 'certificates are issued')
  await control.token?.takeOut()
  await eventually('requests say so', () => codes(refusals(load)).includes('hsm_token_missing'))
  t.same((await readiness()).reasons, ['hsm_unavailable'])
  t.match(await status(), { state: 'unavailable', code: 'hsm_token_missing' })
  const words = succeeded(await control.pki('keys', 'status')).stdout
  t.match(words, /HSM +does not answer: the token labelled "vcc" is not there .*\[hsm_token_missing\]/)
  const refused = await control.pki('keys', 'list')
  t.equal(refused.code, 7, 'exit 7: unreachable')
  t.match(refused.stderr, /\[hsm_token_missing/)
  t.equal(metric(await metrics(), 'vcc_hsm_breaker', { state: 'open' }), 1)
  await control.token?.putBack()
  await isWell(load, 'it recovers by itself')
  await load.stop()
  t.same((await readiness()).reasons, [])
  t.equal((await status()).state, 'ready')
  await proveRecord(t, load, control)
})

await t.test('the audit chain is whole after all that', async (t) => {
  const verdict = await control.control('audit', 'verify')
  t.equal(verdict.code, 0, verdict.stderr)
})
