/**
 * `make conformance`: other people's tests of what lib/x509 verifies, and ours. A table by feature, one JSON line for each
 * suite, then the total, in which each case is one test: one that differs for a reason in docs/divergences.md is skipped.
 *
 * `LIMBO`, `PKITS` and `WYCHEPROOF` name other files of the same form. `--report FILE` writes the total there as JSON. The
 * exit status is 1 below the floor or at a false accept that is not listed, 2 for files that are not there.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fixtures } from './fixtures.ts'
import { limbo } from './limbo.ts'
import { pkits } from './pkits.ts'
import { scoreOf, shortcomings, tableOf, totalOf } from './report.ts'
import type { Outcome, Suite } from './suite.ts'
import { vectorsOf } from './vectors.ts'
import { wycheproof } from './wycheproof.ts'

const SUITES: readonly Suite[] = [limbo, pkits, wycheproof]

const { report } = parseArgs({ options: { report: { type: 'string' } } }).values
try {
  process.exitCode = run()
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  print(`conformance: ${error.message}`)
  process.exitCode = 2
}

function run(): number {
  const results = [
    ...SUITES.map((suite) => [suite.name, outcomesOf(suite)] as const),
    ['fixtures', fixtures()] as const,
  ]
  for (const [name, outcomes] of results) print(`${tableOf(name, outcomes)}\n`)
  for (const [name, outcomes] of results) print(JSON.stringify(scoreOf(name, outcomes)))
  const faults = results.flatMap(([name, outcomes]) => shortcomings(name, outcomes))
  for (const fault of faults) print(`FAIL ${fault}`)
  const total = totalOf(results.flatMap(([, outcomes]) => outcomes))
  print(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  if (report !== undefined) writeFileSync(report, JSON.stringify(total))
  return faults.length > 0 ? 1 : 0
}

function outcomesOf(suite: Suite): readonly Outcome[] {
  const path = vectorsOf(suite)
  if (path !== undefined) return suite.run(path)
  const why = `its vectors are not here; VCC_VECTORS or ${suite.variable} says where they are`
  return [{ id: suite.name, feature: suite.name, isPedantic: false, expected: 'accept', did: { is: 'skipped', why } }]
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
