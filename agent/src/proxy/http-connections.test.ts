import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { createLanes } from './http-lanes.ts'
import {
  connectPlain,
  eventually,
  leafOf,
  MATRIX_WITHOUT_EDGE,
  startPair,
  startService,
  tlsClient,
} from './testing/mesh.ts'
import { ALPN_FOREIGN } from './wire.ts'

test('a request that comes before the answer to the last one is drained is answered, not lost', async () => {
  const size = 32 * 1024 * 1024
  await using mesh = await startPair({
    mode: 'http',
    async onRequest(incoming, response) {
      let bytes = 0
      for await (const chunk of incoming) bytes += (chunk as Buffer).length
      response.end(incoming.method === 'GET' ? Buffer.alloc(size) : `took ${bytes}`)
    },
  })
  const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), {
    ALPNProtocols: [ALPN_FOREIGN],
  })
  let received = 0
  let last = ''
  socket.write('GET / HTTP/1.1\r\nHost: covina\r\n\r\n')
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    last = (last + chunk.toString('latin1')).slice(-200)
  })
  await eventually(() => (received > 0 ? true : undefined))
  socket.pause()
  await stalled(() => [...mesh.service.sockets].reduce((sum, one) => sum + one.bytesWritten, 0))
  // In one piece, so that several TLS records come with one read.
  const head = 'POST / HTTP/1.1\r\nHost: covina\r\nContent-Length: 163840\r\n\r\n'
  socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(163_840)]))
  socket.resume()
  await eventually(() => (last.includes('took') || socket.closed ? true : undefined))
  expect(last).toContain('took 163840')
  expect(received).toBeGreaterThan(size)
  socket.destroy()
})

for (const { name, matrix, status } of [
  { name: 'an answer before the end of its request', status: 413 },
  { name: 'a refusal before the end of its request', matrix: MATRIX_WITHOUT_EDGE, status: 403 },
]) {
  test(`${name} reaches a caller that writes all first, and its connection serves the next request`, async () => {
    await using mesh = await startPair({
      mode: 'http',
      ...(matrix === undefined ? {} : { callerState: { matrix } }),
      onRequest: (incoming, response) => {
        incoming.pause()
        response.writeHead(incoming.method === 'POST' ? 413 : 200).end('answered')
      },
    })
    const socket = connectPlain(mesh.port)
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.pause()
    await upload(socket, 20 * 1024 * 1024)
    socket.resume()
    await eventually(() => (text.includes(`HTTP/1.1 ${status}`) || socket.closed ? true : undefined))
    expect(text).toContain(`HTTP/1.1 ${status}`)
    text = ''
    socket.write('GET / HTTP/1.1\r\nHost: covina\r\n\r\n')
    await eventually(() => (text !== '' || socket.closed ? true : undefined))
    expect(text).toMatch(/^HTTP\/1\.1 (?:200|403) /)
    socket.destroy()
    await eventually(() => (mesh.callee.plane.status().connections.inbound <= 1 ? true : undefined))
  })
}

test('drain waits for an answer that is under way and for nothing after it', async () => {
  const ending = Promise.withResolvers<void>()
  await using mesh = await startPair({
    mode: 'http',
    async onRequest(_incoming, response) {
      response.write('begun, ')
      await ending.promise
      response.end('ended')
    },
  })
  // A connection that its client keeps for more.
  const dispatcher = new Agent({ keepAliveTimeout: 600_000 })
  const answer = await request(`http://127.0.0.1:${mesh.port}/`, { dispatcher })
  const drained = mesh.callee.plane.drain(20_000)
  ending.resolve()
  expect(await answer.body.text()).toBe('begun, ended')
  expect(await drained).toEqual({ cut: 0 })
  await dispatcher.destroy()
})

test('a connection that is in use learns from its last answer that the callee drains, and loses no request', async () => {
  await using mesh = await startPair({
    mode: 'http',
    async onRequest(incoming, response) {
      for await (const _ of incoming) {
        // read to its end
      }
      response.end('took it')
    },
  })
  const post = async () => {
    const { body, statusCode } = await request(`http://127.0.0.1:${mesh.port}/`, { method: 'POST', body: 'x' })
    return `${statusCode} ${await body.text()}`
  }
  expect(await post()).toBe('200 took it')
  const drained = mesh.callee.plane.drain(20_000)
  expect(await post()).toBe('200 took it')
  expect(await drained).toEqual({ cut: 0 })
})

test('a request is over when its caller has the answer, so that no drain cuts off the end of it', async () => {
  let answered = 0
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => {
      response.once('finish', () => (answered += 1))
      response.end(Buffer.alloc(12 * 1024))
    },
  })
  const socket = connectPlain(mesh.port)
  let received = 0
  socket.on('data', (chunk: Buffer) => (received += chunk.length))
  socket.pause()
  // Answers that nobody reads, until one of them has no more room on its way.
  let sent = 0
  for (let isMoving = true; isMoving && sent < 5_000; ) {
    socket.write('GET / HTTP/1.1\r\nHost: covina\r\n\r\n')
    sent += 1
    isMoving = await within(5_000, () => answered === sent)
  }
  expect(mesh.caller.records.length).toBe(answered - 1)
  socket.resume()
  await eventually(() => (mesh.caller.records.length === sent ? true : undefined))
  expect(received).toBeGreaterThan(sent * 12 * 1024)
  socket.destroy()
})

test('a connection that was idle for too long is not used again, however late the timers are', async () => {
  await using service = await startService({ onRequest: (_incoming, response) => response.end('ok') })
  const lanes = createLanes({
    async open() {
      const socket: Socket = connect(service.port, '127.0.0.1')
      await once(socket, 'connect')
      return { socket, onClosed() {}, isCurrent: () => true }
    },
    maxLanes: 8,
    maxWaiting: 8,
    waitMs: 5_000,
    keepAliveMs: 1_500,
    responseMs: 5_000,
    idleMs: 0,
    maxHeadBytes: 16_384,
  })
  const { signal } = new AbortController()
  const first = await lanes.take(signal)
  first.giveBack()
  const second = await lanes.take(signal)
  expect(second.isReused).toBe(true)
  second.giveBack()
  const until = performance.now() + 1_600
  while (performance.now() < until) {
    // No timer has its turn meanwhile.
  }
  const third = await lanes.take(signal)
  expect(third.isReused).toBe(false)
  third.giveBack()
  lanes.close()
})

test('a client that resets its connection and comes again from the same port is served', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: (_incoming, response) => response.end('ok') })
  const port = mesh.callee.inboundPort()
  let localPort = 0
  for (let round = 0; round < 30; round += 1) {
    const raw = connect({ port, host: '127.0.0.1', ...(localPort === 0 ? {} : { localPort }) })
    raw.on('error', () => undefined)
    await once(raw, 'connect')
    localPort = raw.localPort ?? 0
    if (round % 2 === 0) {
      raw.resetAndDestroy()
      continue
    }
    const socket = await tlsClient(port, mesh.pki, leafOf(mesh.pki, 'argus'), {
      socket: raw,
      ALPNProtocols: [ALPN_FOREIGN],
    })
    socket.write('GET / HTTP/1.1\r\nHost: covina\r\nConnection: close\r\n\r\n')
    const [answer] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => ['closed'])])) as [
      Buffer | string,
    ]
    expect(String(answer)).toContain('HTTP/1.1 200')
    raw.resetAndDestroy()
  }
})

/** Nothing has moved for a while: every buffer on the way is full. */
async function stalled(count: () => number): Promise<void> {
  for (let before = -1, now = count(); now !== before; now = count()) {
    before = now
    await sleep(300)
  }
}

async function within(ms: number, isSo: () => boolean): Promise<boolean> {
  for (const until = performance.now() + ms; performance.now() < until; await sleep(1)) if (isSo()) return true
  return isSo()
}

/** Writes all of a request before anything of its answer is read, as many clients do. */
async function upload(socket: Socket, bytes: number): Promise<void> {
  socket.write(`POST / HTTP/1.1\r\nHost: covina\r\nContent-Length: ${bytes}\r\n\r\n`)
  const block = Buffer.alloc(64 * 1024)
  for (let left = bytes; left > 0; left -= block.length) {
    if (!socket.write(block.subarray(0, Math.min(left, block.length)))) await once(socket, 'drain')
  }
}
