import { connect } from 'node:net'
import { clientContext, connectPeer, FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import { ekuOid } from '@vcc/x509'
import type { MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

type Joined = Awaited<ReturnType<TestControlPlane['join']>>

let place: TestControlPlane
let argus: Joined
let covina: Joined
const open: MqttClient[] = []
beforeAll(async () => {
  place = await testControlPlane()
  argus = await place.join('argus')
  covina = await place.join('covina')
})
afterEach(() => {
  for (const client of open.splice(0)) client.end(true)
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

function client(who: Joined, clientId = who.instance, settings: object = {}): MqttClient {
  const made = place.mqtt(who, clientId, settings)
  made.on('error', () => {})
  open.push(made)
  return made
}

const happens = (made: MqttClient, event: 'connect' | 'close') =>
  new Promise<void>((resolve) => made.once(event, () => resolve()))

async function connected(who: Joined, settings: object = {}): Promise<MqttClient> {
  const made = client(who, who.instance, settings)
  await happens(made, 'connect')
  return made
}

/** `connect` or `close`, whichever comes first. */
const verdict = (made: MqttClient) =>
  Promise.race([happens(made, 'connect').then(() => 'connected'), happens(made, 'close').then(() => 'refused')])

describe('who may connect', () => {
  const cases: readonly { name: string; is: 'connected' | 'refused'; id?: () => string; settings?: object }[] = [
    { name: 'the instance of its certificate', is: 'connected' },
    { name: 'another instance', is: 'refused', id: () => covina.instance },
    { name: 'the control plane', is: 'refused', id: () => 'control' },
    { name: 'no client id', is: 'refused', id: () => '' },
    { name: 'a session that is kept', is: 'refused', settings: { clean: false } },
    { name: 'a keepalive of 0', is: 'refused', settings: { keepalive: 0 } },
    { name: 'MQTT 5', is: 'refused', settings: { protocolVersion: 5 } },
    {
      name: 'a will on a topic of another',
      is: 'refused',
      settings: { will: { topic: FLEET_TOPICS.snapshot, payload: Buffer.from('x'), qos: 1, retain: true } },
    },
    {
      name: 'a will on a topic of its own',
      is: 'refused',
      settings: { will: { topic: 'a/x/up/status', payload: Buffer.from('x'), qos: 0, retain: false } },
    },
    { name: 'a CONNECT past 4 KiB', is: 'refused', settings: { username: 'x', password: 'x'.repeat(5000) } },
  ]
  for (const { name, is, id, settings } of cases) {
    test(`${name}: ${is}`, async () => {
      expect(await verdict(client(argus, id?.() ?? argus.instance, settings))).toBe(is)
    })
  }

  test('a certificate of the Admin CA: refused', async () => {
    const admin = { ...argus, ...place.admin }
    expect(await verdict(client(admin))).toBe('refused')
  })

  test('nobody, without a certificate: refused', async () => {
    const expected = {
      root: place.root,
      id: 'spiffe://vcc.internal/broker',
      eku: ekuOid('1.3.6.1.4.1.55555', 'broker'),
      now: () => new Date(),
    }
    const address = { host: '127.0.0.1', port: place.brokerPort }
    const socket = connectPeer(address, clientContext(place.root, undefined), expected)
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
    expect(socket.destroyed).toBe(true)
  })

  test('what speaks no TLS is ended', async () => {
    const socket = connect({ host: '127.0.0.1', port: place.brokerPort })
    socket.on('error', () => {})
    socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))
    await new Promise((resolve) => socket.once('close', resolve))
    expect(socket.destroyed).toBe(true)
  })
})

describe('what an agent may do', () => {
  test('subscribe to the fleet and to its own topics, and to nothing else', async () => {
    const made = await connected(argus)
    const own = instanceTopics(argus.instance)
    const foreign = instanceTopics(covina.instance)
    const wanted: readonly [string, boolean][] = [
      [FLEET_TOPICS.snapshot, true],
      [own.down.state, true],
      [own.down.reply, true],
      [own.up.status, false],
      [foreign.down.state, false],
      [foreign.up.status, false],
      ['#', false],
      ['a/+/down/state', false],
      ['a/+/up/status', false],
      ['$SYS/#', false],
      [`$share/x/${foreign.down.state}`, false],
    ]
    for (const [topic, may] of wanted) {
      const granted = await made.subscribeAsync(topic, { qos: 1 }).then(
        (grants) => grants[0]?.qos !== 128,
        () => false,
      )
      expect([topic, granted]).toEqual([topic, may])
    }
  })

  const publications: readonly { name: string; topic: () => string; retain?: boolean }[] = [
    { name: 'to the fleet', topic: () => FLEET_TOPICS.snapshot },
    { name: 'as another instance', topic: () => instanceTopics(covina.instance).up.status },
    { name: 'state of its own', topic: () => instanceTopics(argus.instance).down.state },
    { name: 'state of another', topic: () => instanceTopics(covina.instance).down.state },
    { name: 'a status that is retained', topic: () => instanceTopics(argus.instance).up.status, retain: true },
    { name: 'to the broker itself', topic: () => '$SYS/x/heartbeat' },
  ]
  for (const { name, topic, retain = false } of publications) {
    test(`publishing ${name} ends its connection, and reaches nobody`, async () => {
      const listener = await connected(covina)
      const heard: string[] = []
      listener.on('message', (on, payload) => heard.push(`${on} ${payload.toString()}`))
      await listener.subscribeAsync([
        ...Object.values(FLEET_TOPICS),
        ...Object.values(instanceTopics(covina.instance).down),
      ])
      const made = await connected(argus)
      const gone = happens(made, 'close')
      made.publish(topic(), 'forged', { qos: 1, retain })
      await gone
      expect(heard.filter((line) => line.endsWith('forged'))).toEqual([])
    })
  }

  test('send 256 KiB at once, and not an octet more', async () => {
    const made = await connected(argus)
    const { status } = instanceTopics(argus.instance).up
    const header = 2 + status.length + 2
    await made.publishAsync(status, Buffer.alloc(256 * 1024 - header), { qos: 1 })
    const gone = happens(made, 'close')
    made.publish(status, Buffer.alloc(256 * 1024 - header + 1), { qos: 1 })
    await gone
  })

  test('keep at most 16 exactly-once messages open', async () => {
    const made = await connected(argus)
    const gone = happens(made, 'close')
    // The client answers each PUBREC by itself: packets by hand do not.
    const { topic } = { topic: instanceTopics(argus.instance).up.status }
    for (let id = 1; id <= 20; id++) made.stream.write(publishQos2(topic, id))
    await gone
  })

  test('and is told what was published before it came', async () => {
    const made = await connected(argus)
    const topics: string[] = []
    made.on('message', (topic) => topics.push(topic))
    await made.subscribeAsync([FLEET_TOPICS.snapshot, FLEET_TOPICS.refresh, instanceTopics(argus.instance).down.state])
    await expect
      .poll(() => topics.toSorted())
      .toEqual([instanceTopics(argus.instance).down.state, FLEET_TOPICS.refresh, FLEET_TOPICS.snapshot].toSorted())
  })
})

describe('a withdrawn instance', () => {
  test('leaves the broker at once, comes back no more, and its state is gone', async () => {
    const doomed = await place.join('covina')
    const made = await connected(doomed)
    const gone = happens(made, 'close')
    const startedAt = performance.now()
    await place.as(place.admin).call('instanceDeregister', { params: { instance_id: doomed.instance } })
    await gone
    expect(performance.now() - startedAt).toBeLessThan(2000)
    expect(await verdict(client(doomed))).toBe('refused')
  })

  test('leaves with its service', async () => {
    const admin = place.as(place.admin)
    await admin.call('serviceRegister', { body: { service_name: 'clara' } })
    const { matrix = '' } = await admin.call('policyShow', { params: { version: 1 } })
    const wider = `${matrix}  clara: { allowed_outbound: [], required_auth: ai_processing_certificate }\n`
    await admin.call('policyApply', { body: { matrix: wider, expected_version: 1, wait_seconds: 0 } })
    const doomed = await place.join('clara')
    const gone = happens(await connected(doomed), 'close')
    await admin.call('serviceDeregister', { params: { service_id: 'clara' } })
    await gone
  })
})

function publishQos2(topic: string, id: number): Buffer {
  const body = Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic), Buffer.from([0, id])])
  return Buffer.concat([Buffer.from([0x34, body.length]), body])
}
