/**
 * kill -9 at every step of an issuance, on every way to a certificate: after a restart of the real program nothing that
 * was signed is unknown, nothing is open, and whoever asked asks again and gets exactly one certificate.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiProblem } from '@vcc/api'
import t, { type Test } from 'tap'
import { succeeded } from '../harness/control.ts'
import { VCC_CONTROL } from '../harness/paths.ts'
import { eventually } from '../harness/process.ts'
import { FLOWS, type Request } from './flows.ts'
import {
  call,
  copyOf,
  doomed,
  type Installation,
  preparedInstallation,
  served,
  serving,
  started,
  vccControl,
} from './installation.ts'
import { type CertificateOnRecord, contradictions, onRecord, signedSerials } from './record.ts'

type Left = 'nothing' | 'orphan' | 'certificate'

interface Moment {
  readonly name: string
  /** What a restart may find of it. */
  readonly left: readonly Left[]
}

const MOMENTS: readonly Moment[] = [
  { name: 'admitted', left: ['nothing'] },
  { name: 'intent_written', left: ['nothing'] },
  // From here to the end of its flush and a little further; when exactly is the scheduler's affair.
  { name: 'intent_committing', left: ['nothing', 'orphan', 'certificate'] },
  { name: 'intent_committed', left: ['orphan'] },
  { name: 'signed', left: ['orphan'] },
  { name: 'certificate_written', left: ['orphan'] },
  { name: 'certificate_committing', left: ['orphan', 'certificate'] },
  { name: 'certificate_committed', left: ['certificate'] },
  { name: 'answered', left: ['certificate'] },
]
/** How long after the write a commit is interrupted: another time in each flow. */
const MICROSECONDS = [0, 150, 400, 800, 1500]

const folder = await mkdtemp(join(tmpdir(), 'vcc-crash-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

const requests = new Map<string, (index: number) => Promise<Request>>()
const original = await preparedInstallation(join(folder, 'original'), async (on) => {
  // One more than moments: for what is not killed.
  for (const flow of FLOWS) requests.set(flow.name, await flow.prepare(on, MOMENTS.length + 1))
})

const requestOf = (flow: string, index: number): Promise<Request> => {
  const make = requests.get(flow)
  if (make === undefined) throw new Error(`there is no flow ${flow}`)
  return make(index)
}

/** The certificates that a request got, or may have got. */
async function certificatesOf(on: Installation, request: Request): Promise<readonly CertificateOnRecord[]> {
  const { certificates } = await onRecord(on)
  return certificates.filter((one) =>
    request.key === undefined ? one.purpose === 'ca' && one.name.includes(request.name) : one.key === request.key,
  )
}

const leftOf = (rows: readonly CertificateOnRecord[]): Left => {
  if (rows.length === 0) return 'nothing'
  return rows.some((one) => one.state === 'issued') ? 'certificate' : 'orphan'
}

async function killed(t: Test, on: Installation, flow: string, index: number): Promise<void> {
  const { name, left: expected } = MOMENTS[index] ?? { name: '', left: [] }
  const request = await requestOf(flow, index)
  const answered = await askedAndKilled(t, on, request, { name, flow })

  const again = await serving(on)
  try {
    const left = await certificatesOf(on, request)
    t.ok(expected.includes(leftOf(left)), `${name}: left ${leftOf(left)}`)
    t.same(contradictions(await onRecord(on), signedSerials(on)), [], `${name}: all is on record, and resolved`)
    for (const orphan of left.filter((one) => one.state === 'orphaned')) {
      const params = { cert_id: `${orphan.ca}-${orphan.serial}` }
      const shown = await call(on, on.admin, (api) => api.call('certStatus', { params }))
      t.match(shown, { state: 'orphaned', revocation_reason: 'superseded' }, `${name}: the API shows the orphan`)
    }
    const kept = left.find((one) => one.state === 'issued')?.serial
    if (answered !== undefined) t.equal(kept, answered, `${name}: what was answered is there`)
    const serial = await request.send(on)
    if (kept !== undefined) t.equal(serial, kept, `${name}: the repeat gets what was issued`)
    t.equal(await request.send(on), serial, `${name}: and so does every further one`)
    const after = await certificatesOf(on, request)
    const issued = after.filter((one) => one.state === 'issued')
    t.same(
      issued.map((one) => one.serial),
      [serial],
      `${name}: one certificate for one request`,
    )
    t.same(contradictions(await onRecord(on), signedSerials(on)), [])
  } finally {
    t.equal(await again.stop(), 0, `${name}: stopped`)
  }
}

/** The serial it answered before it died, if it did. */
async function askedAndKilled(t: Test, on: Installation, request: Request, end: { name: string; flow: string }) {
  const microseconds = MICROSECONDS[FLOWS.findIndex((one) => one.name === end.flow)]
  await using dying = doomed(on, end.name, end.flow, microseconds)
  await served(dying)
  const answered = await request.send(on).catch((error: unknown) => {
    if (error instanceof ApiProblem) throw error // it was to die, not to refuse
    return undefined
  })
  t.equal(await dying.exited, 'SIGKILL', `${end.name}: it died`)
  return answered
}

async function allOf(t: Test, flow: string): Promise<void> {
  const on = await copyOf(original, join(folder, flow))
  for (const index of MOMENTS.keys()) await killed(t, on, flow, index)
  succeeded(await vccControl(on, 'audit', 'verify'))
}

/** The whole `start` of a control plane is issuance, too: its own certificates. Nobody asks for them again. */
async function whileStarting(t: Test): Promise<void> {
  const on = await copyOf(original, join(folder, 'start'))
  for (const { name } of MOMENTS) {
    if (name !== 'answered') t.equal(await doomed(on, name, 'start', 300).exited, 'SIGKILL', name)
  }
  const process = await serving(on)
  t.same(contradictions(await onRecord(on), signedSerials(on)), [], 'the first start that succeeds resolves all of it')
  t.equal(await process.stop(), 0)
  succeeded(await vccControl(on, 'audit', 'verify'))
}

/** Before the issuance of a CA stands its key, in a file. */
async function whileKeyIsWritten(t: Test): Promise<void> {
  const on = await copyOf(original, join(folder, 'key'))
  const order = join(on.folder, 'order')
  for (const [index, step] of ['written', 'renamed'].entries()) {
    await writeFile(order, `*.key ${step}`)
    const env = { VCC_TEST_KILL_ORDER: order }
    const preload = `--import=${new URL('kill-at-write.ts', import.meta.url).href}`
    await using dying = started(on, [preload, VCC_CONTROL, 'run', '--config', on.configFile], env)
    await served(dying)
    const body = { kind: 'services', name: `key-${index}` } as const
    await t.rejects(call(on, on.admin, (api) => api.call('caCreate', { body })))
    t.equal(await dying.exited, 'SIGKILL', `${step}: it died`)
    await using again = await serving(on)
    const left = (await readdir(join(on.data, 'keys'))).filter((name) => !/^[0-9a-f]{32}\.key$/.test(name))
    t.same(left, [], `${step}: nothing half written stays`)
    t.match(await call(on, on.admin, (api) => api.call('caCreate', { body })), { name: body.name, state: 'active' })
    t.same(contradictions(await onRecord(on), []), [])
    t.equal(await again.stop(), 0)
  }
}

/** Refused once by what `moment` does, then asked again in the same process. */
async function refusedOnce(t: Test, moment: string, refusal: object): Promise<void> {
  const on = await copyOf(original, join(folder, moment))
  await using process = doomed(on, moment, 'each')
  await served(process)
  for (const { name } of FLOWS) {
    const request = await requestOf(name, MOMENTS.length)
    const refused = await request.send(on).catch((error: unknown) => error)
    t.match(refused instanceof ApiProblem && refused.problem, refusal, `${name}: refused`)
    const [orphan, ...others] = await certificatesOf(on, request)
    t.match(orphan, { state: 'orphaned', reason: 'superseded' }, `${name}: what may have been signed is on record`)
    t.same(others, [])
    const serial = await request.send(on)
    t.not(serial, orphan?.serial, `${name}: the repeat gets another serial`)
    const issued = (await certificatesOf(on, request)).filter((one) => one.state === 'issued')
    t.same(
      issued.map((one) => one.serial),
      [serial],
    )
  }
  // Late ones are made in the end, and nobody takes them.
  await eventually('every signature was made', () => signedSerials(on).length >= 2 * FLOWS.length)
  t.same(contradictions(await onRecord(on), signedSerials(on)), [])
  t.equal(await process.stop(), 0)
  succeeded(await vccControl(on, 'audit', 'verify'))
}

t.jobs = 2
/** Side by side. tap writes into what it is given. */
const apart = () => ({ buffered: true })
await Promise.all([
  ...FLOWS.map(({ name }) => t.test(`${name}: killed at every step`, apart(), (t) => allOf(t, name))),
  t.test('start: killed at every step', apart(), whileStarting),
  t.test('authority: killed while its key is written', apart(), whileKeyIsWritten),
  t.test('a signature after its deadline is thrown away', apart(), (t) =>
    refusedOnce(t, 'signature_late', { status: 503, code: 'signer_unavailable' }),
  ),
  t.test('an intent that somebody else resolved is not completed', apart(), (t) =>
    refusedOnce(t, 'lease_taken', { status: 409, code: 'issuance_lost' }),
  ),
])
