/**
 * `make test`: checks, unit tests, whole-system tests; all output as it comes.
 *
 * The last line is the total of all runners, alone, also after a failure or Ctrl-C. Counts come from the runners'
 * machine-readable reports. `ONLY=NAME` runs one of `RUNNERS`.
 */
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChecks } from './check.ts'
import { type ChildResult, runChild } from './child.ts'
import { type Counts, countReport, formatTotal, ONE_FAILED, sum, withEnding } from './counts.ts'
import { abortOnSignals } from './signals.ts'
import { tapCounter } from './tap-counts.ts'
import { countVitest } from './vitest-counts.ts'

const RUNNERS = {
  check: runChecks,
  unit: runUnitTests,
  conformance: (signal) => runReporting('e2e/conformance/main.ts', CONFORMANCE_DEADLINE_MS, signal),
  fuzz: (signal) => runReporting('e2e/fuzz/main.ts', FUZZ_DEADLINE_MS, signal),
  e2e: (signal) => runSystemTests([], {}, signal),
  // The suite of the mesh once more, on keys and a broker that are not ours: SoftHSM and Mosquitto.
  'mesh-softhsm-mosquitto': (signal) => runSystemTests(meshSuite(), OTHERS, signal),
  interop: (signal) => runReporting('e2e/interop/main.ts', INTEROP_DEADLINE_MS, signal),
} as const satisfies Record<string, (signal: AbortSignal) => Promise<Counts>>

const OTHERS = { VCC_E2E_BROKER: 'mosquitto', VCC_E2E_KEYS: 'softhsm' }

const UNIT_DEADLINE_MS = 10 * 60_000
const E2E_DEADLINE_MS = 40 * 60_000
const CONFORMANCE_DEADLINE_MS = 10 * 60_000
const FUZZ_DEADLINE_MS = 15 * 60_000
const INTEROP_DEADLINE_MS = 10 * 60_000

async function runUnitTests(signal: AbortSignal): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-test-'))
  try {
    const report = join(folder, 'report.json')
    const args = ['run', '--project', 'unit', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const result = await runChild('vitest', args, { deadlineMs: UNIT_DEADLINE_MS, signal })
    complain('vitest', result)
    return withEnding(countVitest(await readFile(report, 'utf8')), result.clean)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const meshSuite = (): string[] => globSync('mesh/*.tap.ts', { cwd: 'e2e' }).toSorted()

/** All files without a list of them. */
async function runSystemTests(
  files: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Counts> {
  const counter = tapCounter()
  const result = await runChild('tap', ['--reporter=tap', ...files], {
    cwd: 'e2e',
    env,
    deadlineMs: E2E_DEADLINE_MS,
    signal,
    onStdout: (text) => {
      process.stdout.write(text)
      counter.write(text)
    },
  })
  complain('tap', result)
  return withEnding(counter.end(), result.clean)
}

/** A program of ours that prints its own lines and writes its total where `--report` says. */
async function runReporting(script: string, deadlineMs: number, signal: AbortSignal): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-test-'))
  try {
    const report = join(folder, 'report.json')
    const result = await runChild('node', [script, '--report', report], { deadlineMs, signal })
    complain(script, result)
    return withEnding(countReport(await readFile(report, 'utf8')), result.clean)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function complain(runner: string, { why }: ChildResult): void {
  if (why !== undefined) print(`✗ ${runner}: ${why}`)
}

/** A runner that throws is one failed test; the others still run. */
async function countRunner(name: keyof typeof RUNNERS, signal: AbortSignal): Promise<Counts> {
  try {
    print(`\n== ${name}`)
    const counts = await RUNNERS[name](signal)
    print(`== ${name}: ${formatTotal(counts)}`)
    return counts
  } catch (error) {
    print(`== ${name}: no usable result: ${error instanceof Error ? error.message : String(error)}`)
    return ONE_FAILED
  }
}

/** @throws {TypeError} for a name that is no runner. */
function selectRunners(only: string | undefined): (keyof typeof RUNNERS)[] {
  const names = Object.keys(RUNNERS) as (keyof typeof RUNNERS)[] // the object above has no other keys
  if (only === undefined || only === '') return names
  const selected = names.filter((name) => name === only)
  if (selected.length === 0) throw new TypeError(`no tests are called "${only}"\n  hint: ONLY=${names.join('|')}`)
  return selected
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const interrupted = abortOnSignals()
const counts: Counts[] = []
try {
  for (const name of selectRunners(process.env['ONLY'])) {
    if (!interrupted.signal.aborted) counts.push(await countRunner(name, interrupted.signal))
  }
} catch (error) {
  print(error instanceof Error ? error.message : String(error))
  counts.push(ONE_FAILED)
}
const total = withEnding(sum(counts), !interrupted.signal.aborted)
print(`\n${formatTotal(total)}`)
process.exitCode = interrupted.exitCode() ?? (total.failed > 0 ? 1 : 0)
