/**
 * `make interop`: other people's programs on what the product makes. A line for each program, check and subject: `ok`,
 * `FAIL`, or `skipped` with the reason; then the total. A program that is missing is never `ok`.
 *
 * `--only openssl` runs the checks of one program. `--report FILE` writes the total there as JSON.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Check, Outcome } from './check.ts'
import { makeMaterial } from './material.ts'
import { CURL } from './rows/curl.ts'
import { GNUTLS } from './rows/gnutls.ts'
import { JAVA } from './rows/java.ts'
import { LINTS } from './rows/lints.ts'
import { MOSQUITTO } from './rows/mosquitto.ts'
import { OPENSSL } from './rows/openssl.ts'
import { STATUS } from './rows/status.ts'
import { findTool } from './tool.ts'

/** Every check there is. A new one is a row in the table of its program. */
const CHECKS: readonly Check[] = [...OPENSSL, ...GNUTLS, ...LINTS, ...JAVA, ...CURL, ...MOSQUITTO, ...STATUS]

const { only = '', report } = parseArgs({ options: { only: { type: 'string' }, report: { type: 'string' } } }).values
const wanted = CHECKS.filter(({ tool }) => only === '' || tool === only)
if (wanted.length === 0) {
  process.stderr.write(`no checks of "${only}"; there are ${[...new Set(CHECKS.map(({ tool }) => tool))].join(', ')}\n`)
  process.exitCode = 2
} else {
  const total = await runChecks(wanted)
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
  if (report !== undefined) await writeFile(report, JSON.stringify(total))
  process.exitCode = total.failed > 0 ? 1 : 0
}

async function runChecks(checks: readonly Check[]) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'vcc-interop-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  process.stdout.write('making a certificate of every profile, under roots on P-384 and RSA-4096 …\n')
  const material = await makeMaterial(folder, stack)
  for (const { tool: name, check, run } of checks) {
    const tool = await findTool(name)
    if ('missing' in tool) {
      total.skipped += 1
      line('skipped', name, check, tool.missing)
      continue
    }
    const program = `${name} ${tool.version}`.trim()
    let asked = 0
    try {
      for await (const outcome of run(tool, material)) {
        asked += 1
        tell(program, check, outcome)
        total[outcome.failed === undefined ? 'passed' : 'failed'] += 1
      }
      if (asked === 0) throw new Error('nothing was asked')
    } catch (error) {
      total.failed += 1
      line('FAIL', program, check, error instanceof Error ? error.message : String(error))
    }
  }
  return total
}

function tell(program: string, check: string, { of, failed, known = [] }: Outcome): void {
  const notes = known.length === 0 ? of : `${of} (see docs/divergences.md: ${known.join(', ')})`
  line(failed === undefined ? 'ok' : 'FAIL', program, check, notes)
  if (failed !== undefined) process.stdout.write(`${failed.replaceAll(/^/gm, '        ')}\n`)
}

function line(...[word, ...rest]: readonly [string, ...string[]]): void {
  process.stdout.write(`${word.padEnd(8)}${rest.join('  ')}\n`)
}
