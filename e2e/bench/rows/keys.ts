import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memorySigner, openPkcs11Store, type Signer } from '@vcc/keys'
import { hasSoftHsm, type SoftHsmToken, softHsmToken } from '@vcc/testkit'
import { pkcs11Options, UNHEARD } from '../../harness/keys.ts'
import { NODE } from '../../harness/paths.ts'
import { run } from '../../harness/process.ts'
import { type Row, row } from '../row.ts'

const ROUNDS = 5
const SIGNATURES = 3000
const SESSIONS = 4
const CALLERS = 32

/** Signatures in a token through the signer process, next to pkcs11js called directly. SoftHSM itself is the slow part. */
export async function keys(): Promise<readonly Row[]> {
  if (!hasSoftHsm) return []
  const folder = await mkdtemp(join(tmpdir(), 'vcc-bench-'))
  try {
    return await measure(await softHsmToken(folder))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure(token: SoftHsmToken): Promise<readonly Row[]> {
  const options = { ...pkcs11Options(token), sessions: SESSIONS }
  await using store = await openPkcs11Store(options, { events: UNHEARD })
  const signer = await store.generate('issuing', 'P-256')
  const software = await memorySigner('issuing', 'P-256')
  const samples = { pool: [] as number[], alone: [] as number[], software: [] as number[], direct: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    // In turn, so that what else the machine does meets all of them.
    samples.pool.push(await microsecondsEach(signer, CALLERS))
    samples.direct.push(await direct(token, await options.readPin()))
    samples.alone.push(await microsecondsEach(signer, 1))
    samples.software.push(await microsecondsEach(software, 1))
  }
  const peer = { name: 'pkcs11js in one process', value: median(samples.direct) }
  const replaced: number[] = []
  for (let round = 0; round < ROUNDS; round++) replaced.push(await replacement(signer, () => store.status().pid))
  return [
    row({
      id: 'keys-pool',
      what: `a P-256 signature in SoftHSM through the signer process, ${CALLERS} callers, ${SESSIONS} sessions`,
      unit: 'µs',
      ours: median(samples.pool),
      peer,
    }),
    row({
      id: 'keys-rate',
      what: 'the same, for 1,000 signatures a second and more',
      unit: 'µs',
      ours: median(samples.pool),
      goal: 1000,
    }),
    row({
      id: 'keys-alone',
      what: 'the same with one caller: the way there and back',
      unit: 'µs',
      ours: median(samples.alone),
      peer,
    }),
    row({
      id: 'keys-software',
      what: 'the same with a key of this process',
      unit: 'µs',
      ours: median(samples.software),
      peer,
    }),
    row({
      id: 'keys-replaced',
      what: 'from kill -9 of the signer process to the next signature',
      unit: 'ms',
      ours: median(replaced),
    }),
  ]
}

/** Time by the clock per signature, all callers together. */
async function microsecondsEach(signer: Signer, callers: number): Promise<number> {
  const work = async (count: number) => {
    let left = count
    const caller = async () => {
      while (left-- > 0) await signer.sign(Buffer.alloc(600, left))
    }
    await Promise.all(Array.from({ length: callers }, caller))
  }
  await work(SIGNATURES / 10)
  const began = performance.now()
  await work(SIGNATURES)
  return ((performance.now() - began) * 1000) / SIGNATURES
}

async function direct({ module, label, environment }: SoftHsmToken, pin: string): Promise<number> {
  const program = fileURLToPath(new URL('../peers/pkcs11-direct.ts', import.meta.url))
  const ended = await run(NODE, [program, module, label, pin, String(SIGNATURES)], { env: environment })
  if (ended.code !== 0) throw new Error(ended.stderr)
  return Number(ended.stdout)
}

/** Milliseconds until a signature is there again. What is refused meanwhile is asked again. */
async function replacement(signer: Signer, pidOf: () => number | undefined): Promise<number> {
  const began = performance.now()
  const pid = pidOf()
  if (pid === undefined) throw new Error('no signer process serves') // 0 would be our own group
  process.kill(pid, 'SIGKILL')
  while (
    !(await signer.sign(Buffer.alloc(600)).then(
      () => true,
      () => false,
    ))
  );
  return performance.now() - began
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
