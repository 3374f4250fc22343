import { connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { joinAgent, type MeshAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { randomStream, randomStreamHash, startTcpService } from '../harness/local-service.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually } from '../harness/process.ts'
import { openRaw, type RawConnection } from '../harness/raw.ts'
import { events, metric } from '../harness/tables.ts'

// argus' agent dials; covina speaks any protocol and is the test's own process, which sees every byte.
const LARGE = 64 * 1024 * 1024
await using mesh = await startMesh({ services: { argus: ['covina'] } })
await using service = await startTcpService()
succeeded(await mesh.control.pki('services', 'register', 'covina', '--mode', 'tcp'))
await using covina = await joinAgent(mesh.control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: service.port,
  outbound: [],
})
await covina.restart()
const argus = mesh.agent('argus')

const ask = (first: string | Uint8Array): RawConnection => openRaw(argus.port('covina'), first)
const served = (asked: string) => eventually(`covina is asked for ${asked}`, () => findServed(asked))
const findServed = (asked: string) => service.connections.findLast((one) => one.asked === asked)

/** A record of this end in the access log of an agent. */
const recorded = (agent: MeshAgent, code: string) =>
  eventually(`${agent.service} records ${code}`, () =>
    events(agent.process().output(), 'access').find((one) => one['code'] === code && one['unit'] === 'connection'),
  )

const nothingOpen = (agent: MeshAgent) =>
  eventually(`${agent.service} has nothing open`, async () => {
    return metric(await agent.metrics(), 'vcc_agent_connections_open') === 0
  })

await eventually('argus reaches covina', async () => {
  const { socket, over, text: answer } = ask('echo\nhello')
  socket.end()
  await over
  return answer() === 'hello'
})

await t.test('mesh-S2 an answer arrives after the client has ended its half', async (t) => {
  const connection = ask('hash\n')
  randomStream(1_000_000).pipe(connection.socket)
  t.equal(await connection.over, 'end')
  t.equal(connection.text(), randomStreamHash(1_000_000))
})

await t.test('mesh-S2 what the client sends arrives after the service has ended its half', async (t) => {
  const connection = ask('first-to-end\n')
  const { socket } = await served('first-to-end')
  const hashed = new Promise((resolve) => socket.once('hashed', resolve))
  t.equal(await connection.over, 'end')
  t.equal(connection.text(), 'goodbye')
  randomStream(1_000_000).pipe(connection.socket)
  t.equal(await hashed, randomStreamHash(1_000_000))
})

await t.test('mesh-S1 a reset by the client reaches the service as a reset', async (t) => {
  const connection = ask('hold\n')
  const seen = await served('hold')
  connection.socket.resetAndDestroy()
  await eventually('the service sees the reset', () => seen.end !== 'open')
  t.equal(seen.end, 'ECONNRESET')
  t.match(await recorded(argus, 'aborted_by_caller'), { direction: 'outbound', result: 'carried' })
  t.match(await recorded(covina, 'aborted_by_caller'), { direction: 'inbound', result: 'carried' })
})

await t.test('mesh-S1 a reset by the service reaches the client as a reset', async (t) => {
  const connection = ask('reset\nnow')
  t.equal(await connection.over, 'ECONNRESET')
  await recorded(argus, 'aborted_by_service')
  await recorded(covina, 'aborted_by_service')
})

await t.test('64 MiB each way arrive as they were sent', async (t) => {
  const up = ask('hash\n')
  randomStream(LARGE).pipe(up.socket)
  t.equal(await up.over, 'end')
  t.equal(up.text(), randomStreamHash(LARGE), 'up')
  const down = ask(`send ${LARGE}\n`)
  t.equal(await down.over, 'end')
  t.equal(down.bytes(), LARGE)
  t.equal(down.hash(), randomStreamHash(LARGE), 'down')
  down.socket.end()
})

await t.test('mesh-S3 a reader that stands still holds the sender back, and loses nothing', async (t) => {
  const SLOW = LARGE + 1 // told apart from the transfer before
  const reader = ask(`send ${SLOW}\n`)
  reader.socket.pause()
  const { socket } = await served(`send ${SLOW}`)
  let before = -1
  await eventually('the service is held back', async () => {
    const now = socket.bytesWritten
    const stands = now === before && now > 0
    before = now
    await new Promise((resolve) => setTimeout(resolve, 300))
    return stands
  })
  t.ok(before < LARGE / 2, `held back after ${before} bytes`)
  const drip = setInterval(() => {
    reader.socket.resume()
    setImmediate(() => reader.bytes() < LARGE / 4 && reader.socket.pause())
  }, 1)
  t.equal(await reader.over, 'end')
  clearInterval(drip)
  t.equal(reader.hash(), randomStreamHash(SLOW))
  reader.socket.end()
})

await t.test('both sides send at once', async (t) => {
  const size = 8 * 1024 * 1024
  const echo = ask('echo\n')
  randomStream(size).pipe(echo.socket)
  t.equal(await echo.over, 'end')
  t.equal(echo.hash(), randomStreamHash(size))
})

await t.test('a thousand writes of one byte arrive in order', async (t) => {
  const echo = ask('echo\n')
  echo.socket.setNoDelay(true)
  for (let index = 0; index < 1000; index++) {
    echo.socket.write(String(index % 10))
    if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  echo.socket.end()
  t.equal(await echo.over, 'end')
  t.equal(echo.text(), '0123456789'.repeat(100))
})

await t.test('two hundred connections come and go', async (t) => {
  const one = async (index: number) => {
    const echo = ask(`echo\nconnection ${index}`)
    echo.socket.end()
    await echo.over
    return echo.text() === `connection ${index}`
  }
  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => one(index)))
    t.ok(answers.every(Boolean), `round ${round}: every one got its own answer`)
  }
})

await t.test('HTTP/2 with prior knowledge passes, streams and trailers too', async (t) => {
  const session = connectHttp2(`http://127.0.0.1:${argus.port('covina')}`)
  const calls = Array.from({ length: 10 }, async (_, index) => {
    const stream = session.request({ ':method': 'POST', ':path': `/call/${index}`, te: 'trailers' })
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.once('trailers', resolve))
    stream.end(`message ${index}`)
    t.equal(await text(stream), `message ${index}`)
    t.match(await trailers, { 'grpc-status': '0', 'seen-path': `/call/${index}` })
  })
  await Promise.all(calls)
  await new Promise<void>((resolve) => session.close(resolve))
})

await t.test('an upgrade passes where the service is declared as tcp', async (t) => {
  const socket = ask('GET /chat HTTP/1.1\r\nHost: covina\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await eventually('the protocol is switched', () => socket.text().startsWith('HTTP/1.1 101 '))
  socket.socket.end('frames')
  await socket.over
  t.match(socket.text(), /frames$/)
})

await t.test('mesh-H1 silent and garbage clients at the inbound port starve nobody and are closed', async (t) => {
  const silent = Array.from({ length: 40 }, () => openRaw(covina.inboundPort))
  const garbage = Array.from({ length: 20 }, (_, index) =>
    openRaw(covina.inboundPort, index % 2 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' : Buffer.alloc(2000, index)),
  )
  for (let index = 0; index < 10; index++) {
    const echo = ask('echo\nreal')
    echo.socket.end()
    await echo.over
    t.equal(echo.text(), 'real', 'a real call is answered meanwhile')
  }
  await Promise.all(garbage.map(async ({ over }) => over))
  const ends = await Promise.all(silent.map(async ({ over }) => over))
  t.ok(
    ends.every((end) => end === 'ECONNRESET' || end === 'end' || end === 'close'),
    'every silent client is closed',
  )
  for (const { socket } of [...silent, ...garbage]) socket.destroy()
  const seen = await covina.metrics()
  const handshakes = (result: string) => metric(seen, 'vcc_agent_handshakes_total', { direction: 'inbound', result })
  t.equal(handshakes('timeout'), 40)
  t.equal(handshakes('tls_error'), 20)
})

await t.test('a service that is not there closes the connection of the caller, with the reason', async (t) => {
  await nothingOpen(argus)
  await service[Symbol.asyncDispose]()
  const refused = ask('echo\n')
  await refused.over
  t.equal(refused.bytes(), 0)
  t.match(await recorded(covina, 'service_unreachable'), { result: 'refused', rule: 'service' })
  t.match(await recorded(argus, 'service_unreachable'), { result: 'refused', direction: 'outbound' })
})

await t.test('what was opened is closed', async (t) => {
  for (const agent of [argus, covina]) {
    await nothingOpen(agent)
    const seen = await agent.metrics()
    const opened = metric(seen, 'vcc_agent_connections_opened_total')
    t.ok(opened > 200, `${agent.service} opened ${opened}`)
    t.equal(metric(seen, 'vcc_agent_connections_closed_total'), opened)
  }
})
