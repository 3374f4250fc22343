/**
 * `make fuzz`: what is parsed before it is trusted, fed with changed real values. A line for each target: cases, rate, what
 * was refused and taken, what memory grew by. The start value stands first; the same one gives the same cases.
 *
 * `--seed N`, `--cases N` (for each target), `--only NAME`, `--case N` (that one alone), `--report FILE`.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { THREAD_TARGETS } from './targets/all.ts'
import { SOCKET_TARGET_NAMES, startSocketTargets } from './targets/sockets.ts'
import { type FuzzResult, fuzzInThread } from './watch.ts'
import { fuzzSockets } from './watch-sockets.ts'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string' },
    cases: { type: 'string', default: '10000' },
    only: { type: 'string', default: '' },
    case: { type: 'string' },
    report: { type: 'string' },
  },
})
const seed = flags.seed === undefined || flags.seed === '' ? Math.floor(Math.random() * 2 ** 31) : Number(flags.seed)
const cases = Number(flags.cases)
const first = flags.case === undefined ? 0 : Number(flags.case)
const last = flags.case === undefined ? cases : first + 1
const names = [...THREAD_TARGETS.map(({ name }) => name), ...SOCKET_TARGET_NAMES]
const wanted = names.filter((name) => flags.only === '' || name === flags.only)

if (wanted.length === 0 || ![seed, first, last].every(Number.isSafeInteger)) {
  process.stderr.write(`fuzz: --seed, --cases and --case are numbers, --only is one of ${names.join(', ')}\n`)
  process.exitCode = 2
} else {
  process.stdout.write(`fuzz: SEED=${seed}, ${last - first} cases for each target\n`)
  const total = await fuzz()
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`)
  if (flags.report !== undefined) await writeFile(flags.report, JSON.stringify(total))
  process.exitCode = total.failed > 0 ? 1 : 0
}

async function fuzz() {
  const total = { passed: 0, failed: 0, skipped: 0 }
  const tell = (name: string, { ok, line, at }: FuzzResult) => {
    total[ok ? 'passed' : 'failed'] += 1
    process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(24)} ${line}\n`)
    if (!ok) process.stdout.write(`     again: make fuzz SEED=${seed} ONLY=${name} CASE=${at}\n`)
  }
  await using stack = new AsyncDisposableStack()
  const needsSockets = SOCKET_TARGET_NAMES.some((name) => wanted.includes(name))
  // The processes come up while the threads work; what is wrong with them is told when they are waited for.
  const starting = needsSockets ? startSocketTargets(stack) : Promise.resolve([])
  starting.catch(() => {})
  const waiting = THREAD_TARGETS.map(({ name }) => name).filter((name) => wanted.includes(name))
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      tell(name, await fuzzInThread(name, seed, first, last))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, lane))
  for (const target of await starting) {
    if (wanted.includes(target.name)) tell(target.name, await fuzzSockets(target, seed, first, last))
  }
  return total
}
