import { setTimeout as sleep } from 'node:timers/promises'
import { createServer } from 'node:tls'
import { FLEET_TOPICS, MESH_TLS } from '@vcc/mesh'
import { ekuOid, encodePem } from '@vcc/x509'
import { expect, test } from 'vitest'
import { createAuthenticator } from '../http/authenticate.ts'
import { issueIdentities } from '../run/identities.ts'
import { testInstallation } from '../testing/installation.ts'
import { issueIdentity } from '../tls/identity.ts'
import { listenOn } from '../tls/listen.ts'
import { peerChain } from '../tls/peer.ts'
import { connectBroker } from './client.ts'
import { startEmbeddedBroker } from './embedded.ts'

/** A broker, and the control plane as its client. */
async function connected() {
  const resources = new AsyncDisposableStack()
  const place = resources.use(await testInstallation())
  const identities = await issueIdentities(place)
  const root = place.authorities.root('mesh-root').certificate
  const brokerTls = async () => {
    const { key, cert } = await issueIdentity('broker', place)
    return { key, cert, ca: encodePem('CERTIFICATE', root.der) }
  }
  const shown: string[] = []
  const { mqttClientIdOf } = createAuthenticator(place)
  let isWithdrawn = false
  const broker = resources.use(
    await startEmbeddedBroker({ host: '127.0.0.1', port: 0 }, await brokerTls(), {
      clientIdOf: async (socket) => {
        shown.push(Buffer.from(peerChain(socket)[0] ?? []).toString('hex'))
        return isWithdrawn ? undefined : mqttClientIdOf(socket)
      },
      events: { connected: () => {}, disconnected: () => {}, refused: () => {}, failed: () => {} },
    }),
  )
  const seen = { connects: 0, disconnects: 0 }
  const client = resources.use(
    connectBroker({
      address: { host: '127.0.0.1', port: broker.port },
      identity: identities.control,
      broker: {
        root,
        id: 'spiffe://vcc.internal/broker',
        eku: ekuOid('1.3.6.1.4.1.55555', 'broker'),
        now: place.now,
      },
      onMessage: () => {},
      onConnect: () => {
        seen.connects += 1
      },
      onDisconnect: () => {
        seen.disconnects += 1
      },
    }),
  )
  await expect.poll(client.isConnected).toBe(true)
  return {
    place,
    identities,
    broker,
    brokerTls,
    client,
    seen,
    shown,
    withdraw: (is: boolean) => {
      isWithdrawn = is
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const leafOf = (pem: string) => Buffer.from(pem.split('-----')[2]?.replaceAll('\n', '') ?? '', 'base64').toString('hex')

test('after a renewal the control plane is back with its new certificate, at a broker with a new one', async () => {
  await using at = await connected()
  expect(at.shown.at(-1)).toBe(leafOf(at.identities.control().cert))
  await at.identities.renew()
  at.broker.renewIdentity(await at.brokerTls())
  at.client.reconnect()
  await expect.poll(() => at.seen.connects).toBe(2)
  expect(at.shown.at(-1)).toBe(leafOf(at.identities.control().cert))
  expect(await at.client.publish(FLEET_TOPICS.refresh, 'x', true)).toBe(true)
})

test('a review ends connections whose certificate is no longer good, and leaves the others', async () => {
  await using at = await connected()
  await at.broker.review()
  expect(at.seen.disconnects).toBe(0)
  at.withdraw(true)
  await at.broker.review()
  await expect.poll(() => at.seen.disconnects).toBe(1)
  at.withdraw(false)
  await expect.poll(at.client.isConnected).toBe(true)
})

test('a connection does not outlive the certificate that opened it', async () => {
  await using at = await connected()
  at.place.advance(8 * 86_400_000)
  await at.broker.review()
  await expect.poll(() => at.seen.disconnects).toBe(1)
})

test('nothing is queued for a broker that is away', async () => {
  await using at = await connected()
  at.withdraw(true)
  await at.broker.review()
  await expect.poll(() => at.seen.disconnects).toBe(1)
  expect(await at.client.publish(FLEET_TOPICS.refresh, 'lost', true)).toBe(false)
})

test('a broker that announces more than an envelope can be is left, and nothing of it is kept', async () => {
  await using place = await testInstallation()
  const identities = await issueIdentities(place)
  const root = place.authorities.root('mesh-root').certificate
  const { key, cert } = await issueIdentity('broker', place)
  const ended = Promise.withResolvers<string>()
  const server = createServer({ ...MESH_TLS, key, cert, ca: encodePem('CERTIFICATE', root.der) }, (socket) => {
    socket.on('error', () => {})
    socket.once('close', () => ended.resolve('closed')).resume()
    socket.write(Buffer.from([0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f]))
  })
  const port = await listenOn(server, { host: '127.0.0.1', port: 0 })
  await using _ = connectBroker({
    address: { host: '127.0.0.1', port },
    identity: identities.control,
    broker: { root, id: 'spiffe://vcc.internal/broker', eku: ekuOid('1.3.6.1.4.1.55555', 'broker'), now: place.now },
    onMessage: () => {},
    onConnect: () => {},
    onDisconnect: () => {},
  })
  // A client that waited for the rest of the packet would stay for as long as its subscription is not answered.
  expect(await Promise.race([ended.promise, sleep(8_000, 'stays')])).toBe('closed')
  server.close()
})
