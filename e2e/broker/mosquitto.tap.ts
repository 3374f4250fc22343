import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import { secondsAfter, testPki } from '@vcc/testkit'
import { connectAsync, type IClientOptions } from 'mqtt'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { startControlPlane, succeeded } from '../harness/control.ts'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { mosquitto } from '../harness/mosquitto.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { eventually } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'

// Mosquitto with the files of `vcc-control broker-config`: it confirms what it refuses, so tests look at delivery.
const broker = mosquitto()
await using mesh = await startMesh({
  services: { argus: ['covina'], covina: [] },
  control: { broker },
})
const { control } = mesh
const argus = mesh.agent('argus')
const issuers = await openIssuers(control)

interface Status {
  identity: { instance: string }
  control_plane: { broker: string }
}
const statusOf = async (agent = argus) => (await agent.status()) as unknown as Status
const brokerOf = async (agent = argus) => (await statusOf(agent)).control_plane.broker
const argusInstance = (await statusOf()).identity.instance
await eventually('argus is at the broker', async () => (await brokerOf()) === 'connected')

const matrix = await readFile(MATRIX_FILE, 'utf8')

/** An instance that has joined and does not run, so that the test may use its certificate. */
async function idleInstance(name: string) {
  const idle = await joinAgent(control, join(mesh.folder, name), { service: 'argus', targetPort: 1, outbound: [] })
  const pem = await readFile(join(idle.stateFolder, 'identity.pem'), 'utf8')
  const instance = new X509Certificate(pem).subject.replace('CN=', '')
  return { instance, keyPem: pem, chainPem: pem }
}
const idle = await idleInstance('idle')

function client(clientId: string, shown: { keyPem: string; chainPem: string }, more: IClientOptions = {}) {
  return connectAsync(`mqtts://127.0.0.1:${control.ports.broker}`, {
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

/** Topics on which a client is told something: what is retained, and what comes while `work` goes on. */
async function heard(shown: typeof idle, filters: readonly string[], work?: () => Promise<void>): Promise<string[]> {
  const one = await client(shown.instance, shown)
  const topics: string[] = []
  one.on('message', (topic, payload) => payload.length > 0 && topics.push(topic))
  await one.subscribeAsync([...filters], { qos: 1 })
  await work?.()
  // A broker answers one connection in order: what it had to say before is here then.
  await one.subscribeAsync(instanceTopics(shown.instance).down.reply, { qos: 1 })
  await one.endAsync(true)
  return [...new Set(topics)].toSorted()
}

let version = 0
/** A change that concerns argus and covina; both have acknowledged it when this is over. */
async function change(): Promise<void> {
  version += 1
  const file = join(mesh.folder, `matrix-${version}.yml`)
  await writeFile(file, version % 2 === 1 ? matrix.replace('[covina, clara, vpb]', '[covina, clara]') : matrix)
  await control.pki('policy', 'apply', file, '--yes', '--wait', '1s', '--accept-pending')
  await eventually('argus and covina have it in force', async () => {
    const { items } = (await control.pkiJson('instances', 'list')) as {
      items: { connected: boolean; in_force: boolean }[]
    }
    return items.filter((one) => one.connected && one.in_force).length === 2
  })
}
const refusedByArgus = async () => metric(await argus.metrics(), 'vcc_agent_state_refused_total')
const refusedByControl = async () => {
  const text = await (await fetch(`http://127.0.0.1:${control.ports.metrics}/metrics`)).text()
  return metric(text, 'vcc_messages_refused_total')
}

await t.test('only certificates of this mesh are let in, over TLS 1.3', async (t) => {
  const good = await client(idle.instance, idle)
  t.ok(good.connected)
  await good.endAsync()
  const foreign = testPki().service('argus', { instance: idle.instance, notAfter: secondsAfter(new Date(), 3600) })
  await t.rejects(client(idle.instance, { keyPem: '', chainPem: '' }), 'no certificate')
  await t.rejects(client(idle.instance, foreign), 'a certificate of another mesh')
  await t.rejects(client(idle.instance, idle, { maxVersion: 'TLSv1.2' } as IClientOptions), 'TLS 1.2')
  const [notBefore, notAfter] = [secondsAfter(new Date(), -7200), secondsAfter(new Date(), -3600)]
  const expired = await issuers.services.leaf({ commonName: idle.instance, notBefore, notAfter })
  await t.rejects(client(idle.instance, expired), 'an expired certificate')
})

await t.test('who asks for the client id of another does not take its place', async (t) => {
  const one = await client(argusInstance, idle)
  await change()
  t.equal(await brokerOf(), 'connected')
  t.same(events(argus.process().output(), 'broker_disconnected'), [], 'argus never was away')
  t.ok(one.connected, 'it goes by the name of its certificate')
  await one.endAsync(true)
})

await t.test('no instance reads what is another’s: filters are confirmed, and stay silent', async (t) => {
  const theirs = instanceTopics(argusInstance)
  const wide = ['#', '+/#', '+/+/+/+', 'a/+/down/state', 'a/+/up/ack', '$SYS/#', `$share/x/${theirs.down.state}`]
  const topics = await heard(idle, [...wide, ...Object.values(theirs.down), ...Object.values(theirs.up)], change)
  const own = new Set<string>([...Object.values(FLEET_TOPICS), ...Object.values(instanceTopics(idle.instance).down)])
  const foreign = topics.filter((topic) => !own.has(topic))
  t.same(foreign, [], 'it hears nothing of them')
  t.ok(topics.includes('fleet/snapshot'), 'what is retained for all comes')
})

await t.test('no instance writes what is not its own: it is confirmed, and reaches nobody', async (t) => {
  const [theirs, mine] = [instanceTopics(argusInstance), instanceTopics(idle.instance)]
  const before = { argus: await refusedByArgus(), control: await refusedByControl() }
  const one = await client(idle.instance, idle)
  const forbidden = [...Object.values(FLEET_TOPICS), ...Object.values(theirs.down), ...Object.values(theirs.up)]
  for (const topic of [...forbidden, ...Object.values(mine.down), `a/${idle.instance}/up/more`, 'elsewhere']) {
    await one.publishAsync(topic, 'forged', { qos: 1, retain: true })
  }
  await one.publishAsync(mine.up.status, 'forged', { qos: 1 })
  await eventually('its own message arrives, last', async () => (await refusedByControl()) > before.control)
  t.equal(await refusedByControl(), before.control + 1, 'and none of the others')
  await one.endAsync(true)
  await change()
  t.equal(await refusedByArgus(), before.argus, 'argus was told nothing of it')
  const kept = await heard(idle, ['fleet/delta', mine.down.reply, 'elsewhere'], change)
  t.same(
    kept.filter((topic) => topic !== 'fleet/delta'),
    [],
    'and nothing of it is retained',
  )
})

await t.test('packets that are too large end the connection', async (t) => {
  const socket = connectTls({
    host: '127.0.0.1',
    port: control.ports.broker,
    rejectUnauthorized: false,
    key: idle.keyPem,
    cert: idle.chainPem,
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.write(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f))
  await closed
  t.pass('a CONNECT that announces 256 MiB')
  const one = await client(idle.instance, idle)
  const ended = new Promise<void>((resolve) => one.once('close', () => resolve()))
  one.publish(instanceTopics(idle.instance).up.status, Buffer.alloc(300 * 1024), { qos: 0 })
  await ended
  t.pass('a message of 300 KiB')
  await one.endAsync(true)
})

await t.test('a renewed certificate is shown after SIGHUP, and open connections stay', async (t) => {
  const serving = () =>
    new Promise<string>((resolve, reject) => {
      const shown = { key: idle.keyPem, cert: idle.chainPem }
      const socket = connectTls({ host: '127.0.0.1', port: control.ports.broker, rejectUnauthorized: false, ...shown })
      socket.on('secureConnect', () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const before = await serving()
  await control.restart() // issues anew, as it does every day
  t.equal(await serving(), before, 'it is not told yet')
  broker.process().signal('SIGHUP')
  await eventually('another certificate is shown', async () => (await serving()) !== before)
  t.equal(await brokerOf(), 'connected')
  t.same(events(argus.process().output(), 'broker_disconnected'), [], 'argus never was away')
  await change()
  t.pass('and a change arrives')
})

await t.test('what an instance leaves retained on its own topic does no harm', async (t) => {
  const one = await client(idle.instance, idle)
  const before = await refusedByControl()
  await one.publishAsync(instanceTopics(idle.instance).up.ack, 'x'.repeat(1000), { qos: 1, retain: true })
  await eventually('it is refused', async () => (await refusedByControl()) > before)
  await control.restart()
  await eventually('and again at the next connect', async () => (await refusedByControl()) === 1)
  await one.publishAsync(instanceTopics(idle.instance).up.ack, '', { qos: 1, retain: true })
  await one.endAsync(true)
  await change()
  t.pass('nothing else happened')
})

await t.test('a withdrawn instance leaves nothing retained; that it may still connect is no use to it', async (t) => {
  const gone = await idleInstance('gone')
  const { down, up } = instanceTopics(gone.instance)
  t.same(await heard(gone, [down.state, down.refresh]), [down.refresh, down.state], 'there it is')
  succeeded(await control.pki('instances', 'deregister', gone.instance, '--yes'))
  await eventually('its topics are cleared', async () => (await heard(gone, [down.state, down.refresh])).length === 0)
  const one = await client(gone.instance, gone)
  t.ok(one.connected, 'Mosquitto knows nothing of a withdrawal')
  const before = await refusedByControl()
  await one.publishAsync(up.status, 'x', { qos: 1 })
  await eventually('what it says is refused', async () => (await refusedByControl()) > before)
  await one.endAsync(true)
})

await t.test('a broker that starts anew, empty, has everything again', async (t) => {
  await broker.stop('SIGKILL')
  await eventually('argus sees it go', async () => (await brokerOf()) === 'away')
  t.equal((await fetch(argus.url('covina'))).status, 200, 'the mesh works without it')
  await broker.start({
    folder: join(control.folder, 'broker'),
    port: control.ports.broker,
    control: control.control,
    certified: async () => {},
  })
  await eventually('argus is back', async () => (await brokerOf()) === 'connected', 120_000)
  const { down } = instanceTopics(idle.instance)
  await eventually('what is retained is there', async () => {
    const filters = ['fleet/snapshot', 'fleet/refresh', down.state, down.refresh]
    return (await heard(idle, filters)).length === filters.length
  })
  await change()
  t.pass('and a change arrives')
})

await t.test('a broker with a key of its own is certified by request', async (t) => {
  const own = mosquitto({ hasOwnKey: true })
  await using second = await startControlPlane(join(mesh.folder, 'second'), { broker: own })
  t.equal((await fetch(`http://127.0.0.1:${second.ports.metrics}/ready`)).status, 200, 'connected')
  const [certificate, key] = [join(second.folder, 'broker', 'broker.crt'), join(second.folder, 'broker', 'broker.key')]
  const shown = new X509Certificate(await readFile(certificate))
  t.ok(shown.checkPrivateKey(createPrivateKey(await readFile(key))), 'for the key that never left the broker')
  t.equal(shown.subjectAltName?.includes('URI:spiffe://vcc.internal/broker'), true)
  const words = second.process().output()
  t.match(words, /broker_certificate_written.*broker\.crt/)
})
