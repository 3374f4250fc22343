import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startHttpService } from '../harness/local-service.ts'
import { startMesh } from '../harness/mesh.ts'
import { openAsAgent } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { openRaw } from '../harness/raw.ts'
import { metric } from '../harness/tables.ts'

const SILENT = 40
const GARBAGE = 20
const SLOW_BODIES = 100
/** Never reached by anything that is to be closed. */
const FAR = 180_000

await using mesh = await startMesh({ services: { argus: ['covina'] } })
let uploads = 0
await using service = await startHttpService({
  '/upload': (request, response) => {
    uploads += 1
    request.resume().on('end', () => response.end('whole'))
    request.on('error', () => {})
  },
})
succeeded(await mesh.control.pki('services', 'register', 'covina'))
await using covina = await joinAgent(mesh.control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: service.port,
  outbound: [],
  extra: ['idle_timeout: 5s'],
})
await covina.restart()
const argus = mesh.agent('argus')
const pem = await readFile(join(argus.stateFolder, 'identity.pem'), 'utf8')
const shown = { keyPem: pem, chainPem: pem }
const works = async () => (await fetch(argus.url('covina'))).status === 200
await eventually('argus reaches covina', works)

const handshakes = async (result: string) =>
  metric(await covina.metrics(), 'vcc_agent_handshakes_total', { direction: 'inbound', result })

// Not 80 to FF, which begin a ClientHello of SSL 2: OpenSSL waits for the rest of that.
const NO_TLS = Buffer.from([0])

// All of them wait for the agent's deadlines at the same time.
const begun = performance.now()
const silent = Array.from({ length: SILENT }, (_, index) => plain(`127.0.0.${2 + (index % 4)}`))
const garbage = Array.from({ length: GARBAGE }, () => plain('127.0.0.7', Buffer.concat([NO_TLS, randomBytes(299)])))
const dribbled = dribble(plain('127.0.0.8'), await clientHello(), 100)
const slowHeads = await Promise.all([tls(['http/1.1']), agentConnection()])
for (const socket of slowHeads)
  dribble(socket, Buffer.from(`GET / HTTP/1.1\r\nHost: covina\r\nX-Slow: ${'a'.repeat(9000)}`), 100)
const slowLocalHead = openRaw(argus.port('covina'))
dribble(slowLocalHead.socket, Buffer.from(`GET / HTTP/1.1\r\nHost: covina\r\nX-Slow: ${'a'.repeat(9000)}`), 100)
const mute = await tls(['http/1.1'])

await t.test('gate-04 silent clients are closed by the handshake timeout, and keep nobody out', async (t) => {
  t.ok(await works(), 'a call goes through beside them')
  await Promise.all(silent.map(ended))
  t.pass(`${SILENT} silent clients are closed after ${seconds()} s`)
  await Promise.all(garbage.map(ended))
  t.pass('so are those that sent no TLS')
  await eventually('each is counted', async () => (await handshakes('timeout')) >= SILENT)
  t.equal(await handshakes('tls_error'), GARBAGE)
  t.ok(await works())
})

await t.test('gate-14 a ClientHello that comes byte by byte is closed, too', async (t) => {
  await ended(dribbled)
  t.pass(`after ${seconds()} s`)
})

await t.test('gate-14 heads that come byte by byte are closed, on both sides of the mesh', async (t) => {
  await Promise.all(slowHeads.map(ended))
  t.pass(`from the mesh after ${seconds()} s`)
  await slowLocalHead.over
  t.match(slowLocalHead.text(), /^HTTP\/1\.1 408 /, `from the local service after ${seconds()} s`)
  await ended(mute)
  t.pass(`one that asks for nothing after ${seconds()} s`)
  t.ok(await works())
})

await t.test('gate-14 bodies that come byte by byte keep nobody out, and leave nothing behind', async (t) => {
  const before = uploads
  const bodies = Array.from({ length: SLOW_BODIES }, () =>
    openRaw(argus.port('covina'), 'POST /upload HTTP/1.1\r\nHost: covina\r\nContent-Length: 100000\r\n\r\na'),
  )
  await eventually('the service waits for all of them', () => uploads === before + SLOW_BODIES)
  for (const { socket } of bodies) dribble(socket, Buffer.alloc(1000, 'a'), 500)
  const open = async () => metric(await covina.metrics(), 'vcc_agent_connections_open', { unit: 'request' })
  t.equal(await open(), SLOW_BODIES)
  t.same(await Promise.all(Array.from({ length: 20 }, works)), Array(20).fill(true), 'calls go through beside them')
  for (const { socket } of bodies) socket.destroy()
  await eventually('nothing of them is left', async () => (await open()) === 0)
})

await t.test('gate-14 a body that stands still ends at the idle timeout', async (t) => {
  const still = openRaw(
    argus.port('covina'),
    'POST /upload HTTP/1.1\r\nHost: covina\r\nContent-Length: 100\r\n\r\nhalf',
  )
  const from = performance.now()
  await still.over
  t.match(still.text(), /^HTTP\/1\.1 (408|504) /, `after ${((performance.now() - from) / 1000).toFixed(1)} s`)
})

function plain(localAddress: string, first?: Buffer): Socket {
  const socket = connect({ host: '127.0.0.1', port: covina.inboundPort, localAddress })
  socket.on('error', () => {}).resume()
  if (first !== undefined) socket.write(first)
  return socket
}

async function tls(ALPNProtocols: string[]): Promise<Socket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: covina.inboundPort,
    ALPNProtocols,
    rejectUnauthorized: false,
    key: shown.keyPem,
    cert: shown.chainPem,
  })
  socket.on('error', () => {}).resume()
  await new Promise<void>((resolve) => socket.once('secureConnect', () => resolve()))
  return socket
}

async function agentConnection(): Promise<Socket> {
  const { socket, said } = await openAsAgent(covina.inboundPort, shown)
  t.equal(said, 'OK')
  return socket
}

/** One byte at a time until the other side has enough of it. */
function dribble<S extends Socket>(socket: S, bytes: Uint8Array, everyMs: number): S {
  let at = 0
  const timer = setInterval(() => {
    if (socket.writable) socket.write(bytes.subarray(at % bytes.length, (at % bytes.length) + 1))
    at += 1
  }, everyMs)
  socket.once('close', () => clearInterval(timer))
  return socket
}

/** What a TLS client says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  const client = connectTls({
    host: '127.0.0.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
  })
  client.on('error', () => {})
  const hello = await new Promise<Buffer>((resolve) =>
    server.once('connection', (socket) => socket.on('error', () => {}).once('data', resolve)),
  )
  client.destroy()
  server.close()
  return hello
}

async function ended(socket: Socket): Promise<void> {
  await eventually('the agent closes the connection', () => socket.closed, FAR)
}

function seconds(): string {
  return ((performance.now() - begun) / 1000).toFixed(1)
}
