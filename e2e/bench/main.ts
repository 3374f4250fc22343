import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Row } from './row.ts'
import { keys } from './rows/keys.ts'
import { leaf } from './rows/leaf.ts'
import { ocsp } from './rows/ocsp.ts'
import { policy } from './rows/policy.ts'
import { proxy } from './rows/proxy.ts'

/** Parts by the name that `make bench ONLY=…` takes. */
const PARTS: Readonly<Record<string, () => Promise<readonly Row[]>>> = { keys, leaf, ocsp, policy, proxy }

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url))

const only = process.env['ONLY']
if (only !== undefined && only !== '' && !(only in PARTS)) {
  process.stderr.write(`there is no part "${only}"; known are ${Object.keys(PARTS).join(', ')}\n`)
  process.exitCode = 2
} else {
  const rows: Row[] = []
  for (const [name, measure] of Object.entries(PARTS)) {
    if (only !== undefined && only !== '' && only !== name) continue
    process.stdout.write(`measuring ${name} …\n`)
    rows.push(...(await measure()))
  }
  print(rows)
  await mkdir(RESULTS, { recursive: true })
  await writeFile(`${RESULTS}latest.json`, `${JSON.stringify(rows, null, 2)}\n`)
}

function print(rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    row.id,
    row.what,
    `${figure(row.ours)} ${row.unit}`,
    row.peer === null ? '-' : `${figure(row.peer)} (${row.peerName})`,
    row.ratio === null ? '-' : row.ratio.toFixed(2),
    row.goal === null ? '-' : `≤ ${row.goal}`,
    row.met === null ? '-' : row.met ? 'met' : 'MISSED',
  ])
  const table = [['id', 'what', 'ours', 'peer', 'ratio', 'goal', ''], ...cells]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((line) => (line[column] ?? '').length)))
  for (const line of table) {
    process.stdout.write(
      `${line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    )
  }
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
