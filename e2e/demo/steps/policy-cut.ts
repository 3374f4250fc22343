import { readFile, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { succeeded } from '../../harness/control.ts'
import type { Mesh } from '../../harness/mesh.ts'
import { MATRIX_FILE } from '../../harness/paths.ts'
import { eventually } from '../../harness/process.ts'
import { expect, quote, seen } from '../report.ts'
import { call } from './call.ts'

/** A stream that was allowed when it began ends when the matrix no longer allows it; a roll-back brings the edge back. */
export async function policyCut(mesh: Mesh): Promise<void> {
  const url = mesh.agent('argus').url('covina')
  const stream = await openStream(`${url}/stream`)
  await eventually('the stream flows', () => stream.lines() >= 3)
  const before = stream.lines()
  const file = join(mesh.folder, 'matrix-without-covina.yml')
  const matrix = await readFile(MATRIX_FILE, 'utf8')
  await writeFile(file, matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
  const applied = succeeded(await mesh.control.pki('policy', 'apply', file, '--yes', '--wait', '30s'))
  quote('vcc-pki policy apply matrix-without-covina.yml', `${applied.stderr}${applied.stdout}`)
  await eventually('the stream is cut', () => stream.isOver())
  seen(`the stream argus → covina had ${before} lines, and was cut by the change`)
  const refused = await call(`${url}/work`)
  expect(refused.status === 403, 'new calls are refused', refused)
  const rule = await eventually('the record of the cut names its rule', () => cutRecord(mesh))
  seen(`new calls: 403, rule ${refused.body.rule}; the agent recorded the cut: ${rule}`)
  const rolledBack = succeeded(await mesh.control.pki('policy', 'rollback', '--yes', '--wait', '30s'))
  quote('vcc-pki policy rollback', rolledBack.stdout)
  await eventually('argus → covina is back', async () => (await call(`${url}/work`)).status === 200)
  seen('argus → covina is allowed again')
}

/** What an agent logged at the end of the connection or request that the policy ended. */
function cutRecord(mesh: Mesh): string | undefined {
  for (const name of ['argus', 'covina']) {
    const lines = mesh.agent(name).process().output().split('\n')
    const line = lines.findLast((one) => one.includes('not_allowed') && one.includes('"rule"'))
    if (line === undefined) continue
    const { rule, code, event } = JSON.parse(line) as { rule?: string; code?: string; event?: string }
    return `${name}’s agent: event ${event}, code ${code}, rule ${rule}`
  }
  return undefined
}

async function openStream(url: string): Promise<{ lines: () => number; isOver: () => boolean }> {
  let lines = 0
  let over = false
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, resolve).on('error', reject)
  })
  expect(response.statusCode === 200, 'the stream begins', response.statusCode)
  response.on('data', (chunk: Buffer) => (lines += chunk.toString('latin1').split('\n').length - 1))
  for (const end of ['end', 'error', 'aborted', 'close']) response.on(end, () => (over = true))
  return { lines: () => lines, isOver: () => over }
}
