import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '@vcc/testkit'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { NODE, VCC_AGENT } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'
import { events } from '../harness/tables.ts'

await using mesh = await startMesh({ services: { argus: ['covina', 'veritas'], covina: [] } })
const { control } = mesh
const argus = mesh.agent('argus')
const covina = mesh.agent('covina')

interface Seen {
  headers: [string, string][]
}

/** A configuration in a folder of its own, for an agent that has not joined. */
async function newcomer(name: string, service = 'argus'): Promise<string> {
  const folder = join(mesh.folder, name)
  await mkdir(folder, { recursive: true })
  const [port = 0] = await freePorts(1)
  const file = join(folder, 'vcc-agent.yml')
  const lines = [
    `service: ${service}`,
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

async function newToken(service: string, name: string, ...more: string[]): Promise<string> {
  const file = join(mesh.folder, `${name}.token`)
  succeeded(await control.pki('tokens', 'create', service, '--output', file, ...more))
  return file
}

const joinWith = (config: string, tokenFile: string, fingerprint = control.fingerprint) =>
  run(NODE, [VCC_AGENT, 'join', '--config', config, '--fingerprint', fingerprint, '--token-file', tokenFile])

await t.test('an allowed call arrives over mutual TLS, and the callee learns who called', async (t) => {
  const response = await eventually('argus reaches covina', async () => {
    const one = await fetch(`${argus.url('covina')}/work?x=1`, { headers: { 'X-VCC-Caller': 'id="spiffe://forged"' } })
    return one.status === 200 ? one : undefined
  })
  const { headers } = (await response.json()) as Seen
  const callers = headers.filter(([name]) => name === 'x-vcc-caller')
  t.same(
    callers.map(([, value]) => value),
    ['id="spiffe://vcc.internal/org/brandenburg/svc/argus", class="mtls_certificate", permissions=()'],
  )
  t.equal(response.headers.get('x-vcc-caller'), null, 'nothing of it goes back')
  const record = await eventually('covina records the call', () =>
    events(covina.process().output(), 'access').find(
      (one) => one['code'] === 'complete' && one['direction'] === 'inbound',
    ),
  )
  t.match(record, {
    source: 'spiffe://vcc.internal/org/brandenburg/svc/argus',
    source_class: 'mtls_certificate',
    rule: 'argus.allowed_outbound[0]',
    result: 'carried',
  })
  t.match(await covina.status(), { listener: { protocol: 'TLSv1.3', group: 'SecP256r1MLKEM768' } })
})

await t.test('a forbidden call is refused on the caller’s side, with the rule', async (t) => {
  const response = await fetch(argus.url('veritas'))
  t.equal(response.status, 403)
  t.equal(response.headers.get('content-type'), 'application/problem+json')
  t.match(await response.json(), { code: 'not_allowed', rule: 'default-deny', side: 'caller' })
})

await t.test('past the caller’s agent, the callee’s refuses by itself', async (t) => {
  const pem = join(covina.stateFolder, 'identity.pem')
  const curl = await run('curl', [
    '-sk',
    '--cert',
    pem,
    '--key',
    pem,
    `https://127.0.0.1:${argus.inboundPort}/`,
    '-w',
    '%{http_code}',
  ])
  t.match(curl.stdout, /"rule":"default-deny"/)
  t.match(curl.stdout, /403$/)
  const nobody = await run('curl', ['-sk', `https://127.0.0.1:${argus.inboundPort}/`, '-w', '%{http_code}'])
  t.match(nobody.stdout, /certificate_missing/)
})

await t.test('the same key may repeat a join that was cut short, and gets the same certificate', async (t) => {
  const token = await newToken('argus', 'repeat')
  const config = await newcomer('repeat')
  const state = join(mesh.folder, 'repeat', 'state')
  const key = join(state, 'pending-key.pem')
  // The state of an agent that died after its CSR left: only the pending key is there.
  const first = succeeded(await joinWith(config, token)).stdout
  const identity = await readFile(join(state, 'identity.pem'), 'utf8')
  const again = await newcomer('repeat-again')
  const againState = join(mesh.folder, 'repeat-again', 'state')
  await mkdir(againState, { recursive: true, mode: 0o700 })
  await writeFile(join(againState, 'pending-key.pem'), identity.slice(0, identity.indexOf('-----BEGIN CERTIFICATE')), {
    mode: 0o600,
  })
  const second = succeeded(await joinWith(again, token)).stdout
  t.equal(second.split('\n')[0], first.split('\n')[0], 'the same instance')
  t.equal(await readFile(join(againState, 'identity.pem'), 'utf8'), identity, 'the same certificate')
  await t.rejects(stat(key), 'nothing is pending any more')
  t.equal((await stat(join(state, 'identity.pem'))).mode & 0o777, 0o600)
})

const refusals: readonly {
  name: string
  code: RegExp
  exit: number
  make: () => Promise<[string, string, string?]>
}[] = [
  {
    name: 'a token nobody made',
    code: /token_unknown/,
    exit: 4,
    async make() {
      const file = join(mesh.folder, 'unknown.token')
      await writeFile(file, `vccj_${'A'.repeat(43)}\n`, { mode: 0o600 })
      return [await newcomer('unknown'), file]
    },
  },
  {
    name: 'a token that was withdrawn',
    code: /token_unknown/,
    exit: 4,
    async make() {
      const file = await newToken('argus', 'withdrawn')
      const { items } = (await control.pkiJson('tokens', 'list')) as { items: { token_id: string; state: string }[] }
      succeeded(await control.pki('tokens', 'withdraw', items.find((one) => one.state === 'open')?.token_id ?? ''))
      return [await newcomer('withdrawn'), file]
    },
  },
  {
    name: 'a service without an entry in the matrix',
    code: /service_not_in_matrix/,
    exit: 4,
    async make() {
      succeeded(await control.pki('services', 'register', 'scraper'))
      return [await newcomer('scraper', 'scraper'), await newToken('scraper', 'scraper')]
    },
  },
  {
    name: 'another root than the one meant',
    code: /fingerprint_mismatch/,
    exit: 1,
    make: async () => [await newcomer('wrong-root'), await newToken('argus', 'wrong-root'), `sha256:${'0'.repeat(64)}`],
  },
  {
    name: 'a token file that others may read',
    code: /secret_permissions/,
    exit: 1,
    async make() {
      const file = join(mesh.folder, 'open.token')
      await copyFile(await newToken('argus', 'closed'), file)
      await run('chmod', ['644', file])
      return [await newcomer('open'), file]
    },
  },
]
for (const { name, code, exit, make } of refusals) {
  await t.test(`${name} is refused`, async (t) => {
    const joined = await joinWith(...(await make()))
    t.match(joined.stderr, code)
    t.equal(joined.code, exit, joined.stderr)
  })
}

await t.test('a token on the command line is not an option', async (t) => {
  const help = succeeded(await run(NODE, [VCC_AGENT, 'join', '--help'])).stdout
  t.notMatch(help, /--token[ =]/)
  const config = await newcomer('argv')
  const refused = await run(NODE, [
    VCC_AGENT,
    'join',
    '--config',
    config,
    '--fingerprint',
    control.fingerprint,
    '--token',
    'vccj_x',
  ])
  t.equal(refused.code, 2)
})

await t.test('a deregistered instance gets nothing any more', async (t) => {
  const extra = await joinAgent(control, join(mesh.folder, 'extra'), {
    service: 'argus',
    targetPort: mesh.service('argus').port,
    outbound: ['covina'],
  })
  await using _ = extra
  await extra.restart()
  const { identity } = (await extra.status()) as { identity: { instance: string } }
  succeeded(await control.pki('instances', 'deregister', identity.instance, '--yes'))
  await eventually(
    'the agent sees that it is refused',
    async () => {
      const { control_plane: seen } = (await extra.status()) as { control_plane: { broker: string } }
      return seen.broker === 'away' || events(extra.process().output(), 'control_away').length > 0
    },
    120_000,
  )
  t.pass('it is refused by broker and API')
})
