import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { agentDocument, instanceTopics, jwsSigner } from '@vcc/mesh'
import { type TestCredential, testInstance } from '@vcc/testkit'
import { DEFAULT_OID_ARC, ekuOid, OID } from '@vcc/x509'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { startHostileBroker } from '../harness/hostile-broker.ts'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { freePorts } from '../harness/ports.ts'
import { eventually, run } from '../harness/process.ts'
import { startRelay } from '../harness/relay.ts'
import { events, metric } from '../harness/tables.ts'

// Agents reach the broker through a relay whose other end the test may exchange.
const [ui = 0, agents = 0, brokerPort = 0, metricsPort = 0] = await freePorts(4)
const way = { to: brokerPort }
await using relay = await startRelay(() => way.to)
await using mesh = await startMesh({
  services: { argus: ['covina'], covina: [] },
  control: {
    ports: { ui, agents, broker: brokerPort, metrics: metricsPort },
    advertise: { api: `https://127.0.0.1:${agents}`, broker: `mqtts://127.0.0.1:${relay.port}` },
  },
})
const argus = mesh.agent('argus')
const issuers = await openIssuers(mesh.control)
const matrix = await readFile(MATRIX_FILE, 'utf8')

interface Status {
  identity: { instance: string }
  state: { agent: string }
  control_plane: { api: string; broker: string }
}
const statusOf = async (agent: typeof argus) => (await agent.status()) as unknown as Status
const works = async () => (await fetch(argus.url('covina'))).status === 200
const { instance } = (await statusOf(argus)).identity
const covinaInstance = (await statusOf(mesh.agent('covina'))).identity.instance
await eventually('argus reaches covina', works)

// An instance that has joined and does not run, so that the test may use its certificate at the broker.
const idle = await joinAgent(mesh.control, join(mesh.folder, 'idle'), { service: 'argus', targetPort: 1, outbound: [] })
const idlePem = await readFile(join(idle.stateFolder, 'identity.pem'), 'utf8')
const idleShown = { keyPem: idlePem, chainPem: idlePem }
const shownInstance = (
  await run('openssl', ['x509', '-noout', '-subject', '-nameopt', 'multiline'], { input: idlePem })
).stdout
const own = /commonName\s*= ([a-z0-9]{16})/.exec(shownInstance)?.[1] ?? ''

/** A client of the real broker, with MQTT.js. */
function client(clientId: string, shown: { keyPem: string; chainPem: string }, more: IClientOptions = {}) {
  return connectAsync(`mqtts://127.0.0.1:${brokerPort}`, {
    clientId,
    key: shown.keyPem,
    cert: shown.chainPem,
    rejectUnauthorized: false,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    protocolVersion: 4,
    ...more,
  })
}

await t.test('the broker lets in the instance of the certificate, under its own id only', async (t) => {
  t.match(own, /^[a-z0-9]{16}$/)
  const good = await client(own, idleShown)
  t.ok(good.connected)
  await good.endAsync()
  await t.rejects(client(instance, idleShown), /Not authorized/, 'the id of another instance')
  await t.rejects(client('control', idleShown), /Not authorized/, 'the id of the control plane')
  const forged = await issuers.services.leaf(leafOf(own))
  await t.rejects(client(own, forged), /Not authorized/, 'a certificate of the right CA that nobody issued')
  const control = await issuers.control.leaf({
    commonName: 'control',
    uris: ['spiffe://vcc.internal/control'],
    extKeyUsage: [OID.serverAuth, OID.clientAuth, ekuOid(DEFAULT_OID_ARC, 'api')],
  })
  await t.rejects(client('control', control), /Not authorized/, 'a forged control plane')
  await t.rejects(client(own, { keyPem: '', chainPem: '' }), 'no certificate')
  await t.rejects(client(own, idleShown, { maxVersion: 'TLSv1.2' } as IClientOptions), 'TLS 1.2')
})

await t.test('no agent reads or writes what is another’s', async (t) => {
  const theirs = instanceTopics(instance)
  const mine = instanceTopics(own)
  for (const filter of [
    '#',
    '+/+/+/+',
    '$SYS/#',
    `a/+/down/state`,
    theirs.down.state,
    theirs.up.status,
    mine.up.status,
  ]) {
    const one = await client(own, idleShown)
    const granted = await subscribed(one, filter)
    t.notOk(granted, `${filter} cannot be read`)
    await one.endAsync(true)
  }
  const reader = await client(own, idleShown)
  t.ok(await subscribed(reader, mine.down.state), 'its own state can')
  t.ok(await subscribed(reader, 'fleet/snapshot'), 'the fleet’s can')
  await reader.endAsync()
  for (const topic of [theirs.up.status, theirs.down.state, mine.down.state, 'fleet/snapshot', 'elsewhere']) {
    const one = await client(own, idleShown)
    const closed = new Promise<void>((resolve) => one.once('close', () => resolve()))
    one.publish(topic, 'forged', { qos: 0 })
    await closed
    t.pass(`${topic} cannot be written`)
    await one.endAsync(true)
  }
  t.ok(await works(), 'nobody else noticed')
})

await t.test('packets that are too large end the connection before they are read', async (t) => {
  const announce = async (bytes: Buffer, shown?: { keyPem: string; chainPem: string }) => {
    const options = shown === undefined ? {} : { key: shown.keyPem, cert: shown.chainPem }
    const socket = connectTls({ host: '127.0.0.1', port: brokerPort, rejectUnauthorized: false, ...options })
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.write(bytes)
    await closed
  }
  // CONNECT announcing 268,435,455 bytes, and one of 5,000; neither sends them.
  await announce(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f), idleShown)
  await announce(Buffer.of(0x10, 0x88, 0x27), idleShown)
  const known = await client(own, idleShown)
  const closed = new Promise<void>((resolve) => known.once('close', () => resolve()))
  known.publish(instanceTopics(own).up.status, Buffer.alloc(300 * 1024), { qos: 0 })
  await closed
  t.pass('each was closed')
  await known.endAsync(true)
})

await t.test('a broker in the wrong hands can delay, and nothing else', async (t) => {
  const held = async (folder: string) =>
    (JSON.parse(await readFile(join(folder, 'agent.json'), 'utf8')) as { state: { document: string } }).state.document
  const old = await held(argus.stateFolder)
  const foreign = await held(mesh.agent('covina').stateFolder)
  await apply('without', matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
  await eventually('argus → covina is refused', async () => !(await works()))
  const current = await held(argus.stateFolder)

  await using hostile = await startHostileBroker(
    await issuers.control.leaf({
      commonName: 'broker',
      uris: ['spiffe://vcc.internal/broker'],
      extKeyUsage: [OID.serverAuth, ekuOid(DEFAULT_OID_ARC, 'broker')],
    }),
  )
  way.to = hostile.port
  relay.cut()
  relay.mend()
  await eventually('argus is connected to it', () => hostile.clients.includes(instance))
  await eventually('argus is sure that it is the broker', async () => {
    return (await statusOf(argus)).control_plane.broker === 'connected'
  })

  const state = ekuOid(DEFAULT_OID_ARC, 'state')
  const signers: readonly [string, TestCredential][] = [
    ['a service', await issuers.services.leaf(leafOf(instance))],
    ['a service with the usage for state', await issuers.services.leaf({ ...leafOf(instance), extKeyUsage: [state] })],
    [
      'a certificate of the Control CA that the trust statement does not name',
      await issuers.control.leaf({ commonName: 'state signer 9', extKeyUsage: [state], ekuCritical: true }),
    ],
  ]
  const signedBy = await Promise.all(
    signers.map(async ([name, shown]) => ({
      name: `state signed by ${name}`,
      text: await forgedState(old, shown),
      code: 'state_signer_refused',
    })),
  )
  const cases: readonly { name: string; text: string; code: string }[] = [
    { name: 'older state, replayed', text: old, code: 'state_stale' },
    { name: 'the state of another instance', text: foreign, code: 'state_foreign' },
    { name: 'state with another payload', text: withPayloadOf(current, old), code: 'state_signature_invalid' },
    { name: 'state cut short', text: current.slice(0, -40), code: 'jws_malformed' },
    { name: 'no signed text at all', text: 'certainly', code: 'jws_malformed' },
    { name: 'a text of 250 KiB', text: 'A'.repeat(250 * 1024), code: 'jws_malformed' },
    ...signedBy,
  ]
  for (const { name, text, code } of cases) {
    const before = metric(await argus.metrics(), 'vcc_agent_state_refused_total', { code })
    hostile.publish(instanceTopics(instance).down.state, text)
    await eventually(`${name} is refused as ${code}`, async () => {
      return metric(await argus.metrics(), 'vcc_agent_state_refused_total', { code }) > before
    })
    t.pass(`${name}: ${code}`)
  }
  const before = hostile.clients.length
  hostile.publish(instanceTopics(instance).down.state, 'A'.repeat(16 * 1024 * 1024))
  await eventually('a packet of 16 MiB ends the connection', () => hostile.clients.length > before)
  const alarms = new Set(events(argus.process().output(), 'state_refused').map((one) => one['code']))
  t.ok(alarms.has('state_signer_refused') && alarms.has('state_foreign'), 'tampering is an alarm in the log')
  t.equal(await held(argus.stateFolder), current, 'argus holds what it held')
  t.notOk(await works(), 'and enforces it')

  await apply('with', matrix)
  relay.cut() // an agent that loses its broker asks the API; otherwise it does every minute
  relay.mend()
  await eventually('a change arrives all the same, by pull', works, 150_000)
  way.to = brokerPort
})

await t.test('a broker without the certificate of the broker is no broker', async (t) => {
  await using impostor = await startHostileBroker(await issuers.services.leaf(leafOf(covinaInstance)))
  way.to = impostor.port
  relay.cut()
  relay.mend()
  await eventually('argus stays away', async () => (await statusOf(argus)).control_plane.broker === 'away')
  t.same(impostor.clients, [], 'nobody told it who they are')
  way.to = brokerPort
  relay.cut()
  relay.mend()
  await eventually('argus is back', async () => (await statusOf(argus)).control_plane.broker === 'connected', 120_000)
  t.ok(await works())
})

function leafOf(commonName = testInstance()) {
  return {
    commonName,
    uris: ['spiffe://vcc.internal/org/brandenburg/svc/argus'],
    dnsNames: ['argus.vcc.internal'],
    policies: [`${DEFAULT_OID_ARC}.2.1`],
  }
}

async function apply(name: string, text: string): Promise<void> {
  const file = join(mesh.folder, `${name}.yml`)
  await writeFile(file, text)
  await mesh.control.pki('policy', 'apply', file, '--yes', '--wait', '1s', '--accept-pending')
}

async function subscribed(one: MqttClient, filter: string): Promise<boolean> {
  const [grant] = await one.subscribeAsync(filter, { qos: 1 }).catch(() => [])
  return grant !== undefined && grant.qos !== 128
}

/** Header and signature of one, payload of the other. */
function withPayloadOf(signed: string, other: string): string {
  const [header, , signature] = signed.split('.')
  return [header, other.split('.')[1], signature].join('.')
}

/** The same content under a far higher generation, signed by whoever wants to. */
async function forgedState(like: string, shown: TestCredential): Promise<string> {
  const payload = JSON.parse(Buffer.from(like.split('.')[1] ?? '', 'base64url').toString('utf8')) as Parameters<
    typeof agentDocument
  >[0]
  const { trustDomain, epoch, content } = payload
  const input = { trustDomain, epoch, generation: 1_000_000, instance, content }
  const lifetimes = { acceptSeconds: 300, enforceSeconds: 3600 }
  return (await agentDocument(input, lifetimes, jwsSigner(shown.signer, shown.chainDer), { now: new Date() })).jws
}
