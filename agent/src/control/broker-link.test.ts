import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { instanceTopics } from '@vcc/mesh'
import { type TestCredential, testPki } from '@vcc/testkit'
import { afterEach, expect, test } from 'vitest'
import { verifyIdentity } from '../identity/identity.ts'
import { parseAgentKey } from '../identity/key.ts'
import { createBrokerLink } from './broker-link.ts'

const INSTANCE = 'abcdefgh01234567'
const pki = testPki()
const stack: (() => PromiseLike<void>)[] = []
afterEach(async () => {
  for (const close of stack.splice(0).toReversed()) await close()
})

interface Behaviour {
  readonly credential?: TestCredential
  /** After the subscriptions were granted. */
  readonly onSubscribed?: (socket: TLSSocket) => void
  readonly isDeafTo?: 'subscribe' | 'publish'
}

/** As much of a broker as the packets of MQTT 3.1.1 that come: CONNECT, SUBSCRIBE, PUBLISH of QoS 1. */
async function broker({ credential = pki.broker(), onSubscribed, isDeafTo }: Behaviour = {}) {
  const seen = { connects: 0, topics: [] as string[] }
  const sockets = new Set<TLSSocket>()
  const server = createServer({
    key: credential.keyPem,
    cert: credential.chainPem,
    ca: pki.rootPem,
    requestCert: true,
    minVersion: 'TLSv1.3',
  })
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (packet: Buffer) => {
      const type = (packet[0] ?? 0) >> 4
      const body = packet.subarray((packet[1] ?? 0) < 0x80 ? 2 : 3)
      if (type === 1) {
        seen.connects += 1
        socket.write(Buffer.from([0x20, 2, 0, 0]))
      }
      if (type === 8 && isDeafTo !== 'subscribe') {
        for (let at = 2; at < body.length; ) {
          const length = body.readUInt16BE(at)
          seen.topics.push(body.toString('utf8', at + 2, at + 2 + length))
          at += length + 3
        }
        socket.write(
          Buffer.from([0x90, 2 + seen.topics.length, body[0] ?? 0, body[1] ?? 0, ...seen.topics.map(() => 1)]),
        )
        onSubscribed?.(socket)
      }
      if (type === 3 && isDeafTo !== 'publish') {
        const length = body.readUInt16BE(0)
        socket.write(Buffer.from([0x40, 2, body[2 + length] ?? 0, body[3 + length] ?? 0]))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  stack.push(close)
  return { url: `mqtts://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, sockets }
}

function link(urls: readonly string[]) {
  const leaf = pki.service('argus', { instance: INSTANCE })
  const identity = verifyIdentity(
    { key: parseAgentKey(leaf.keyPem), chainDer: leaf.chainDer },
    { root: pki.root.certificate, oidArc: pki.oidArc, classOids: undefined, expected: undefined, now: new Date() },
  )
  const statement = { trustDomain: pki.trustDomain, oidArc: pki.oidArc } as never // all that a link reads of it
  const told = { messages: [] as string[], failed: [] as string[], connects: 0, disconnects: 0 }
  const made = createBrokerLink({
    trust: () => ({ root: pki.root.certificate, statement }),
    identity: () => identity,
    urls: () => urls,
    onMessage: (topic, payload) => void told.messages.push(`${topic} ${payload}`),
    onConnect: () => {
      told.connects += 1
    },
    onDisconnect: () => {
      told.disconnects += 1
    },
    onFailed: (code) => void told.failed.push(code),
    now: () => new Date(),
  })
  const ticking = setInterval(() => made.tend(), 20)
  stack.push(async () => {
    clearInterval(ticking)
    await made[Symbol.asyncDispose]()
  })
  return { ...made, told }
}

async function eventually(ask: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !ask(); ) {
    if (performance.now() > end) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('it subscribes to what is for everybody and for itself, publishes, and takes messages', async () => {
  const topic = instanceTopics(INSTANCE).down.state
  const { url, seen } = await broker({
    onSubscribed: (socket) =>
      socket.write(
        Buffer.concat([Buffer.from([0x30, 2 + topic.length + 5, 0, topic.length]), Buffer.from(`${topic}hello`)]),
      ),
  })
  const one = link([url])
  await eventually(() => one.told.messages.length > 0)
  expect(one.told).toMatchObject({ messages: [`${topic} hello`], connects: 1, failed: [] })
  expect([one.isConnected(), one.downSince()]).toEqual([true, undefined])
  expect(seen.topics.toSorted()).toEqual(
    ['fleet/delta', 'fleet/refresh', 'fleet/snapshot', ...Object.values(instanceTopics(INSTANCE).down)].toSorted(),
  )
  expect(await one.publish(instanceTopics(INSTANCE).up.status, 'x')).toBe(true)
})

test('a packet that is too large ends the connection before anybody keeps it', async () => {
  const { url } = await broker({ onSubscribed: (socket) => socket.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])) })
  const one = link([url])
  await eventually(() => one.told.disconnects > 0)
  expect(one.told.messages).toEqual([])
})

test('who is not the broker is told from it, once, and never used', async () => {
  const { url, seen } = await broker({ credential: pki.service('argus') })
  const one = link([url])
  await eventually(() => one.told.failed.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(one.told).toMatchObject({ failed: ['peer_refused'], connects: 0, disconnects: 0 })
  expect([one.isConnected(), seen.connects]).toEqual([false, 0])
  expect(one.downSince()).toBeInstanceOf(Date)
})

test('an address that is none and one that is away are passed over', async () => {
  const { url } = await broker()
  const one = link(['broker', 'mqtts://127.0.0.1:1', url])
  await eventually(() => one.isConnected())
  expect(one.told.failed).toEqual(['broker_failed', 'ECONNREFUSED'])
})

test('a broker that lets in and throws out is asked less and less', async () => {
  const { url, seen } = await broker({ onSubscribed: (socket) => void setTimeout(() => socket.destroy(), 5) })
  const one = link([url])
  await new Promise((resolve) => setTimeout(resolve, 4000))
  expect(seen.connects).toBeGreaterThan(1)
  expect(seen.connects).toBeLessThan(6) // half a second apart it would be eight
  expect(one.told.connects).toBe(one.told.disconnects)
})

test('nothing is published to a connection that is gone, and unconfirmed is not sent', async () => {
  const { url, sockets } = await broker({ isDeafTo: 'publish' })
  const one = link([url])
  expect(await one.publish('a', 'x')).toBe(false)
  await eventually(() => one.isConnected())
  const sending = one.publish('a', 'x')
  for (const socket of sockets) socket.destroy()
  expect(await sending).toBe(false)
  expect(await one.publish('a', 'x')).toBe(false)
})
