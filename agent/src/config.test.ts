import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@vcc/runtime'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAgentConfig } from './config.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(yaml: string) {
  const path = join(folder, 'agent.yaml')
  await writeFile(path, yaml)
  return await readAgentConfig(path)
}

const COMPLETE = `
service: argus
state: /var/lib/vcc-agent
control: https://control.vcc.internal:8444
inbound:
  listen: 0.0.0.0:9443
  advertise: [10.0.0.5:9443]
  target: 127.0.0.1:8000
outbound:
  covina: 127.0.0.1:15001
  land/clara_gpu: unix:/run/vcc/clara.sock
metrics: 127.0.0.1:9464
health: 0.0.0.0:9465
health_check: /health
`

test('a complete file', async () => {
  const config = await read(COMPLETE)
  expect(config).toMatchObject({
    service: 'argus',
    stateFolder: '/var/lib/vcc-agent',
    controlUrl: 'https://control.vcc.internal:8444',
    inbound: {
      listen: { host: '0.0.0.0', port: 9443 },
      advertise: ['10.0.0.5:9443'],
      target: { kind: 'tcp', host: '127.0.0.1', port: 8000 },
    },
    adminSocket: '/var/lib/vcc-agent/admin.sock',
    sharedHost: true,
    healthInterval: { ms: 10_000 },
    keyExchange: ['SecP256r1MLKEM768', 'P-256', 'P-384'],
  })
  expect([...config.outbound]).toEqual([
    ['covina', { kind: 'tcp', host: '127.0.0.1', port: 15_001 }],
    ['land/clara-gpu', { kind: 'unix', path: '/run/vcc/clara.sock' }],
  ])
})

test('the least file advertises what it listens on', async () => {
  const config = await read(
    'state: /s\ncontrol: https://c:8444/\ninbound: { listen: "[fd00::5]:9443", target: "unix:/run/a.sock" }\n',
  )
  expect(config.inbound.advertise).toEqual(['[fd00::5]:9443'])
  expect(config.controlUrl).toBe('https://c:8444')
  expect(config.outbound.size).toBe(0)
})

const LEAST = { state: '/s', control: 'https://c:8444', listen: '10.0.0.5:9443', target: '127.0.0.1:8000' }
function yaml(changes: Partial<typeof LEAST>, more = ''): string {
  const { state, control, listen, target } = { ...LEAST, ...changes }
  return `state: ${state}\ncontrol: ${control}\ninbound:\n  listen: "${listen}"\n  target: "${target}"\n${more}`
}

const refused: readonly { name: string; yaml: string; fields: readonly string[] }[] = [
  { name: 'an empty file', yaml: '', fields: ['state', 'control', 'inbound'] },
  { name: 'a misspelt field', yaml: yaml({}, 'outbond: {}\n'), fields: ['outbond'] },
  { name: 'a relative state folder', yaml: yaml({ state: 'state' }), fields: ['state'] },
  { name: 'a control plane over http', yaml: yaml({ control: 'http://c:8444' }), fields: ['control'] },
  { name: 'a control plane with a path', yaml: yaml({ control: 'https://c:8444/api' }), fields: ['control'] },
  {
    name: 'credentials in the address of the control plane',
    yaml: yaml({ control: 'https://a:b@c:8444' }),
    fields: ['control'],
  },
  { name: 'a listener without a port', yaml: yaml({ listen: '10.0.0.5' }), fields: ['inbound.listen'] },
  { name: 'a listener on port 0', yaml: yaml({ listen: '10.0.0.5:0' }), fields: ['inbound.listen'] },
  { name: 'a listener on a Unix socket', yaml: yaml({ listen: 'unix:/run/a' }), fields: ['inbound.listen'] },
  {
    name: 'a listener everywhere that advertises nothing',
    yaml: yaml({ listen: '0.0.0.0:9443' }),
    fields: ['inbound.advertise'],
  },
  { name: 'the same in IPv6', yaml: yaml({ listen: '[::]:9443' }), fields: ['inbound.advertise'] },
  { name: 'a service on another host', yaml: yaml({ target: '10.0.0.6:8000' }), fields: ['inbound.target'] },
  { name: 'a service that is the agent itself', yaml: yaml({ target: '127.0.0.1:9443' }), fields: ['inbound.target'] },
  {
    name: 'a service that is an outbound port of the agent',
    yaml: yaml({}, 'outbound: { covina: "127.0.0.1:8000" }\n'),
    fields: ['inbound.target'],
  },
  {
    name: 'an outbound port that others can reach',
    yaml: yaml({}, 'outbound: { covina: "0.0.0.0:15001" }\n'),
    fields: ['outbound.covina'],
  },
  {
    name: 'an outbound socket in the place of the admin socket',
    yaml: yaml({}, 'outbound: { covina: "unix:/run/a.sock" }\nadmin: /run/a.sock\n'),
    fields: ['admin'],
  },
  {
    name: 'a service that is the admin socket',
    yaml: yaml({ target: 'unix:/run/a.sock' }, 'admin: /run/a.sock\n'),
    fields: ['inbound.target'],
  },
  {
    name: 'one port for two services',
    yaml: yaml({}, 'outbound: { covina: "127.0.0.1:15001", clara: "127.0.0.1:15001" }\n'),
    fields: ['outbound.clara'],
  },
  {
    name: 'one service in two spellings',
    yaml: yaml({}, 'outbound: { a_b: "127.0.0.1:15001", a-b: "127.0.0.1:15002" }\n'),
    fields: ['outbound.a-b'],
  },
  {
    name: 'a service that is the control plane',
    yaml: yaml({}, 'outbound: { control: "127.0.0.1:15001", land/broker: "127.0.0.1:15002" }\n'),
    fields: ['outbound.control', 'outbound.land/broker'],
  },
  {
    name: 'a service name in capitals',
    yaml: yaml({}, 'outbound: { Covina: "127.0.0.1:15001" }\n'),
    fields: ['outbound.Covina'],
  },
  { name: 'metrics for everybody', yaml: yaml({}, 'metrics: "0.0.0.0:9464"\n'), fields: ['metrics'] },
  { name: 'a health check without a slash', yaml: yaml({}, 'health_check: health\n'), fields: ['health_check'] },
  { name: 'a duration without a unit', yaml: yaml({}, 'drain: 30\n'), fields: ['drain'] },
  { name: 'an unknown key exchange', yaml: yaml({}, 'key_exchange: [P-521]\n'), fields: ['key_exchange[0]'] },
  { name: 'a relative admin socket', yaml: yaml({}, 'admin: admin.sock\n'), fields: ['admin'] },
  {
    name: 'an admin socket that the kernel cannot bind',
    yaml: yaml({ state: `/${'s'.repeat(100)}` }),
    fields: ['state'],
  },
  {
    name: 'several faults at once',
    yaml: yaml({ listen: 'nowhere', target: '10.0.0.6:8000', state: 'x' }, 'metrics: "10.0.0.5:9464"\n'),
    fields: ['inbound.listen', 'metrics', 'inbound.target', 'state'],
  },
]

for (const { name, yaml: text, fields } of refused) {
  test(`${name} is refused`, async () => {
    const error = await read(text).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error instanceof ConfigError ? error.problems.map((problem) => problem.field) : []).toEqual(fields)
  })
}
