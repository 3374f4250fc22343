import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '@vcc/testkit'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { startMesh } from '../harness/mesh.ts'
import { MATRIX_FILE, NODE, VCC_CONTROL } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'
import { startRelay } from '../harness/relay.ts'
import { events, metric } from '../harness/tables.ts'

// Agents reach control plane and broker through relays that the test can cut.
const ports = { agents: 0, broker: 0 }
await using api = await startRelay(() => ports.agents)
await using broker = await startRelay(() => ports.broker)
const [ui = 0, agents = 0, brokerPort = 0, metricsPort = 0] = await freePorts(4)
ports.agents = agents
ports.broker = brokerPort
const controlUrl = `https://127.0.0.1:${api.port}`

await using mesh = await startMesh({
  services: { argus: ['covina'], covina: [] },
  control: {
    ports: { ui, agents, broker: brokerPort, metrics: metricsPort },
    advertise: { api: controlUrl, broker: `mqtts://127.0.0.1:${broker.port}` },
  },
  controlUrl,
})
const argus = mesh.agent('argus')
const covina = mesh.agent('covina')
const matrix = await readFile(MATRIX_FILE, 'utf8')
const works = async () => (await fetch(argus.url('covina'))).status === 200

interface Status {
  control_plane: { api: string; broker: string }
  state: { agent: string; enforce_until: string; enforcement: string }
  warnings: string[]
  healthy: boolean
}
const status = async () => (await argus.status()) as unknown as Status

const instances = async () =>
  ((await mesh.control.pkiJson('instances', 'list')) as { items: { latest_serial: string; served_serial: string }[] })
    .items

/** Demands new certificates and waits until every agent serves one, by whatever way it got there. */
async function rotated(): Promise<number> {
  const before = new Set((await instances()).map((one) => one.latest_serial))
  await mesh.control.pki('instances', 'rotate', '--all', '--wait', '1s')
  const renewed = await eventually(
    'every agent serves a new certificate',
    async () => {
      const now = await instances()
      const isDone = now.every((one) => !before.has(one.latest_serial) && one.served_serial === one.latest_serial)
      return isDone ? now : undefined
    },
    120_000,
  )
  return renewed.length
}

async function apply(name: string, text: string) {
  const file = join(mesh.folder, `${name}.yml`)
  await writeFile(file, text)
  return mesh.control.pki('policy', 'apply', file, '--yes', '--wait', '2s', '--accept-pending')
}

await t.test('the broker is cut: calls, renewals and policy changes go over HTTPS', async (t) => {
  await eventually('the mesh works', works)
  broker.cut()
  await eventually('argus says so', async () => (await status()).control_plane.broker === 'away')
  t.ok(await works(), 'calls go on')
  t.equal(await rotated(), 2, 'certificates are renewed over HTTPS')
  const applied = await apply('without', matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
  t.match(applied.stdout, /in force on \d of 2/)
  await eventually(
    'a change reaches argus by pull',
    async () => (await fetch(argus.url('covina'))).status === 403,
    120_000,
  )
  t.equal((await apply('with', matrix)).code, 0)
  await eventually('and back', works, 120_000)
  broker.mend()
  await eventually('the broker is back', async () => (await status()).control_plane.broker === 'connected')
})

await t.test('the API is cut: everything goes over MQTT', async (t) => {
  api.cut()
  t.ok(await works(), 'calls go on')
  t.equal(await rotated(), 2, 'certificates are renewed over MQTT')
  const applied = await apply('without-2', matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
  t.match(applied.stdout, /in force on 2 of 2/, 'acknowledged over MQTT')
  await eventually('argus → covina is refused', async () => (await fetch(argus.url('covina'))).status === 403)
  t.equal((await apply('with-2', matrix)).code, 0)
  await eventually('and back', works)
  api.mend()
})

await t.test('both are cut: the stored state is worked on, and status and metrics say until when', async (t) => {
  api.cut()
  broker.cut()
  const seen = await eventually(
    'argus sees the outage',
    async () => {
      const now = await status()
      return now.control_plane.api === 'unreachable' && now.control_plane.broker === 'away' ? now : undefined
    },
    120_000,
  )
  t.ok(
    seen.warnings.some((warning) => warning.includes(seen.state.enforce_until)),
    'the warning names the instant',
  )
  const words = (await argus.cli('status')).stdout
  t.match(words, /OUTAGE: the agent works on what it holds until \d{4}-/)
  const text = await argus.metrics()
  t.equal(metric(text, 'vcc_agent_control_plane_up'), 0)
  const until = metric(text, 'vcc_agent_state_enforce_until_timestamp_seconds')
  t.equal(until, Math.floor(Date.parse(seen.state.enforce_until) / 1000), 'status and metric agree')
  t.ok(await works(), 'calls go on')
  await argus.restart()
  t.ok(await works(), 'also after a restart, from the state on the disk')
})

await t.test('the control plane is killed meanwhile and comes back', async (t) => {
  await mesh.control.process().stop('SIGKILL')
  t.ok(await works(), 'calls go on without it')
  await mesh.control.restart()
  api.mend()
  broker.mend()
  await eventually(
    'both agents are back',
    async () => {
      const now = await mesh.control.pkiJson('status')
      return now['connected'] === 2 && now['in_force'] === 2
    },
    120_000,
  )
  t.equal(await rotated(), 2, 'certificates are renewed again')
  const verdict = await mesh.control.control('audit', 'verify')
  t.equal(verdict.code, 0, verdict.stderr)
})

await t.test('gate-09 state on the disk that is not good is refused by its code and fetched anew', async (t) => {
  const file = (name: string) => join(argus.stateFolder, name)
  const good = { fleet: await readFile(file('fleet.json'), 'utf8'), agent: await readFile(file('agent.json'), 'utf8') }
  const foreign = await readFile(join(covina.stateFolder, 'agent.json'), 'utf8')
  const cases: readonly { name: string; fleet?: string; agent?: string; code: string }[] = [
    { name: 'truncated', agent: good.agent.slice(0, good.agent.length / 2), code: 'held_malformed' },
    { name: 'empty', fleet: '', code: 'held_malformed' },
    { name: 'of another instance', agent: foreign, code: 'state_foreign' },
    { name: 'tampered', agent: tampered(good.agent), code: 'held_malformed' },
  ]
  for (const { name, fleet, agent, code } of cases) {
    await argus.process().stop()
    await writeFile(file('fleet.json'), fleet ?? good.fleet, { mode: 0o600 })
    await writeFile(file('agent.json'), agent ?? good.agent, { mode: 0o600 })
    await argus.restart()
    const refused = events(argus.process().output(), 'state_file_refused')
    t.match(refused, [{ code }], `${name}: ${code}`)
    await eventually(`${name}: calls work again`, works)
  }
})

await t.test('an agent that never had state is not started up, to systemd neither, until it has', async (t) => {
  await using second = await joinAgent(mesh.control, join(mesh.folder, 'argus-2'), {
    service: 'argus',
    targetPort: mesh.service('argus').port,
    outbound: [],
    controlUrl,
  })
  api.cut()
  broker.cut()
  const started = second.restart()
  started.catch(() => {}) // awaited below
  const reasons = await eventually('it says why it is not ready', async () => {
    const answer = await fetch(`http://127.0.0.1:${second.healthPort}/ready`)
    const { reasons } = (await answer.json()) as { reasons: { code: string }[] }
    return second.process().output().includes('"event":"waiting_for_state"') ? reasons : undefined
  })
  t.ok(
    reasons.some(({ code }) => code === 'no_state'),
    'no state',
  )
  t.equal((await fetch(`http://127.0.0.1:${second.healthPort}/live`)).status, 200, 'it lives')
  t.same(events(second.process().output(), 'service_ready'), [], 'it told nobody that it is ready')
  api.mend()
  broker.mend()
  await started
  t.equal(events(second.process().output(), 'service_ready').length, 1, 'it does once it can serve')
})

await t.test('a second control plane on the same data refuses, clearly', async (t) => {
  const second = await run(NODE, [VCC_CONTROL, 'run', '--config', mesh.control.configFile])
  t.not(second.code, 0)
  t.match(second.stderr, /in use by another control plane/)
  t.match(second.stderr, /\[database_locked\]/)
})

function tampered(text: string): string {
  const at = text.indexOf('"document":"') + 400
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
}
