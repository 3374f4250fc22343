import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { freePorts, testSigner } from '@vcc/testkit'
import { buildCsr } from '@vcc/x509'
import t from 'tap'
import { Agent, request } from 'undici'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { NODE, VCC_AGENT } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'

const AGENTS = 10
const CLIENTS = 40

await using mesh = await startMesh({ services: { argus: [] } })
const { control } = mesh

/** A configuration in a folder of its own, for an agent that has not joined. */
async function newcomer(name: string): Promise<string> {
  const folder = join(mesh.folder, name)
  await mkdir(folder, { recursive: true })
  const [port = 0] = await freePorts(1)
  const file = join(folder, 'vcc-agent.yml')
  const lines = [
    'service: argus',
    `state: ${join(folder, 'state')}`,
    `control: https://127.0.0.1:${control.ports.agents}`,
    'inbound:',
    `  listen: 127.0.0.1:${port}`,
    `  target: 127.0.0.1:${mesh.service('argus').port}`,
    '',
  ]
  await writeFile(file, lines.join('\n'))
  return file
}

const pendingKeyOf = (config: string) => join(dirname(config), 'state', 'pending-key.pem')

await t.test('gate-20 fifty keys race for one token: exactly one wins', async (t) => {
  const tokenFile = join(mesh.folder, 'race.token')
  succeeded(await control.pki('tokens', 'create', 'argus', '--output', tokenFile))
  const token = (await readFile(tokenFile, 'utf8')).trim()
  // Ten agents, and forty clients that say at the same moment what an agent says.
  const configs = await Promise.all(Array.from({ length: AGENTS }, (_, index) => newcomer(`race-${index}`)))
  const csrs = await Promise.all(Array.from({ length: CLIENTS }, async () => buildCsr(testSigner('api'))))
  const dispatcher = new Agent({ connections: CLIENTS, connect: { rejectUnauthorized: false } })
  const ask = async (csr: Uint8Array) => {
    const body = { token, csr: Buffer.from(csr).toString('base64'), stateFormats: [1], version: '0.1.0' }
    const answer = await request(`https://127.0.0.1:${control.ports.agents}/api/v1/mesh/join`, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const { code } = (await answer.body.json()) as { code?: string }
    return { won: answer.statusCode === 201, why: code ?? '' }
  }
  const agents = configs.map(async (config) => {
    const args = ['--config', config, '--fingerprint', control.fingerprint, '--token-file', tokenFile]
    const { code, stderr } = await run(NODE, [VCC_AGENT, 'join', ...args])
    return { won: code === 0, why: stderr }
  })
  // The clients would be first by a second otherwise: they begin when the first agent has the root and makes its key.
  await eventually('the agents are under way', () => configs.some((config) => existsSync(pendingKeyOf(config))))
  const outcomes = await Promise.all([...csrs.map(ask), ...agents])
  await dispatcher.close()
  t.equal(outcomes.filter((one) => one.won).length, 1, 'one joined')
  t.equal(outcomes.filter((one) => one.why.includes('token_bound')).length, 49, 'the others are told why')
  const { items } = (await control.pkiJson('instances', 'list', '--service', 'argus')) as { items: unknown[] }
  t.equal(items.length, 2, 'the one that was there, and the one that won')
})
