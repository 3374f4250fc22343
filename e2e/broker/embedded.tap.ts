import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { instanceTopics } from '@vcc/mesh'
import { DEFAULT_OID_ARC, ekuOid, OID } from '@vcc/x509'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually, run } from '../harness/process.ts'

await using mesh = await startMesh({ services: { argus: ['covina'], covina: [] }, control: { broker: 'embedded' } })
const argus = mesh.agent('argus')
const brokerPort = mesh.control.ports.broker
const issuers = await openIssuers(mesh.control)

const works = async () => (await fetch(argus.url('covina'))).status === 200
const { instance } = ((await argus.status()) as unknown as { identity: { instance: string } }).identity
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

function leafOf(commonName: string) {
  return {
    commonName,
    uris: ['spiffe://vcc.internal/org/brandenburg/svc/argus'],
    dnsNames: ['argus.vcc.internal'],
    policies: [`${DEFAULT_OID_ARC}.2.1`],
  }
}

async function subscribed(one: MqttClient, filter: string): Promise<boolean> {
  const [grant] = await one.subscribeAsync(filter, { qos: 1 }).catch(() => [])
  return grant !== undefined && grant.qos !== 128
}
