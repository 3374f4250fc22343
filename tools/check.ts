/** `make check`: everything about the source that is checked without running the product. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChildResult, runChild } from './child.ts'
import { type Counts, formatTotal, ONE_FAILED, sum, withEnding } from './counts.ts'
import { abortOnSignals } from './signals.ts'
import { countVitest } from './vitest-counts.ts'

interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  /** What to type when it fails. */
  readonly hint?: string
  /** Counts of its own; without it the step is one test. */
  readonly countsFrom?: 'vitest'
}

const STEPS: readonly Step[] = [
  { name: 'types', command: ['tsc', '-b'] },
  { name: 'lint, type-aware', command: ['oxlint', '--type-aware', '--quiet'] },
  { name: 'formatting', command: ['biome', 'check', '--max-diagnostics=50', '.'], hint: 'npm run format' },
  { name: 'unused code and dependencies', command: ['knip', '--no-progress', '--no-config-hints'] },
  {
    name: 'generated reference is fresh',
    command: ['node', 'tools/reference.ts', '--check'],
    hint: 'npm run reference, and commit what changed',
  },
  { name: 'house rules', command: ['vitest', 'run', '--project', 'house'], countsFrom: 'vitest' },
]

const STEP_DEADLINE_MS = 180_000

/** Runs all steps, two at a time, even after one failed. Prints one line per step, and its output if it failed. */
export async function runChecks(signal: AbortSignal): Promise<Counts> {
  const waiting = [...STEPS]
  const counts: Counts[] = []
  const worker = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift())
      counts.push(await runStep(step, signal))
  }
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker))
  return sum(counts)
}

async function runStep(step: Step, signal: AbortSignal): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-check-'))
  try {
    const report = join(folder, 'report.json')
    const reporters = step.countsFrom ? ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : []
    const [command, ...args] = [...step.command, ...reporters] as [string, ...string[]]
    const started = performance.now()
    let output = ''
    const result = await runChild(command, args, {
      deadlineMs: STEP_DEADLINE_MS,
      signal,
      onOutput: (text) => {
        output += text
      },
    })
    const counts = step.countsFrom ? withEnding(await countReport(report), result.clean) : countStep(result)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    if (counts.failed === 0) print(`✓ ${step.name} (${seconds} s)`)
    else
      print(
        `${output.trimEnd()}\n✗ ${step.name}: ${result.why} (${seconds} s)${step.hint ? `\n  hint: ${step.hint}` : ''}`,
      )
    return counts
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const countStep = ({ clean }: ChildResult): Counts => (clean ? { passed: 1, failed: 0, skipped: 0 } : ONE_FAILED)

/** A report that was not written or cannot be read is a crash of the runner, hence one failed test. */
async function countReport(file: string): Promise<Counts> {
  try {
    return countVitest(await readFile(file, 'utf8'))
  } catch {
    return ONE_FAILED
  }
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

if (import.meta.main) {
  const interrupted = abortOnSignals()
  const counts = await runChecks(interrupted.signal)
  print(formatTotal(counts))
  process.exitCode = interrupted.exitCode() ?? (counts.failed > 0 ? 1 : 0)
}
