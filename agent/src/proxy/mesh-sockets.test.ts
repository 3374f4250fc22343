import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { testPki } from '@vcc/testkit'
import { expect, test } from 'vitest'
import { createNames } from './names.ts'
import {
  bodyOf,
  connectPlain,
  echo,
  eventually,
  leafOf,
  meshUpstream,
  readToEnd,
  startAgent,
  startPair,
  startService,
  tlsClient,
} from './testing/mesh.ts'

test('mesh-S1 a reset of the caller is a reset at the service, over both hops', async () => {
  let ended: Promise<{ error: string | undefined }> | undefined
  await using mesh = await startPair({
    mode: 'tcp',
    onTcp: (socket) => {
      ended = readToEnd(socket)
      socket.write('x')
    },
  })
  const socket = connectPlain(mesh.port)
  await once(socket, 'data')
  socket.resetAndDestroy()
  expect((await ended)?.error).toBe('ECONNRESET')
  await mesh.caller.record(({ code }) => code === 'aborted_by_caller')
  await mesh.callee.record(({ code }) => code === 'aborted_by_caller')
  expect(mesh.caller.plane.status().connections).toMatchObject({ inbound: 0, outbound: 0 })
})

test('mesh-S1 a reset of the service is a reset at the caller, over both hops', async () => {
  await using mesh = await startPair({
    mode: 'tcp',
    onTcp: (socket) => socket.once('data', () => socket.resetAndDestroy()),
  })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await mesh.callee.record(({ code }) => code === 'aborted_by_service')
  await mesh.caller.record(({ code }) => code === 'aborted_by_service')
})

test('mesh-S2 a late answer after a half close arrives, over both hops', async () => {
  await using mesh = await startPair({
    mode: 'tcp',
    onTcp: (socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => setTimeout(() => socket.end(`late: ${Buffer.concat(chunks).toString()}`), 100))
    },
  })
  const socket = connectPlain(mesh.port)
  socket.end('question')
  expect(await readToEnd(socket)).toEqual({ bytes: Buffer.from('late: question'), error: undefined })
})

test('mesh-S2 the service may half close first, and goes on listening', async () => {
  let heard: Promise<{ bytes: Buffer }> | undefined
  await using mesh = await startPair({
    mode: 'tcp',
    onTcp: (socket) => {
      heard = readToEnd(socket)
      socket.end('bye')
    },
  })
  const socket = connectPlain(mesh.port)
  socket.on('data', () => undefined)
  await once(socket, 'end')
  socket.end('still here')
  expect((await heard)?.bytes.toString()).toBe('still here')
})

test('mesh-S2 a half-closed connection on which nothing moves is ended, one that moves is not', async () => {
  await using mesh = await startPair({
    mode: 'tcp',
    limits: { halfCloseMs: 300 },
    onTcp: (socket) => {
      socket.resume()
      socket.on('end', () => {
        // 10 × 100 ms: three times the deadline, but never silent for as long.
        const timer = setInterval(() => socket.write('.'), 100)
        setTimeout(() => clearInterval(timer), 1_050)
      })
    },
  })
  const socket = connectPlain(mesh.port)
  socket.end('x')
  const { bytes, error } = await readToEnd(socket)
  expect(error).toBe('ECONNRESET')
  expect(bytes.length).toBeGreaterThan(5)
  const codes = [await mesh.caller.record(() => true), await mesh.callee.record(() => true)].map(({ code }) => code)
  expect(codes).toContain('half_close_deadline')
})

test('mesh-S3 a slow reader gets every byte, and slows the sender instead of filling memory', async () => {
  const size = 24 * 1024 * 1024
  const block = randomBytes(1024 * 1024)
  const expected = createHash('sha256')
  for (let i = 0; i < size / block.length; i += 1) expected.update(block)
  let written = 0
  await using mesh = await startPair({
    mode: 'tcp',
    onTcp: (socket) => {
      const source = async function* () {
        for (; written < size; written += block.length) yield block
      }
      pipeline(Readable.from(source()), socket).catch(() => undefined)
    },
  })
  const socket = connectPlain(mesh.port)
  await sleep(300) // nobody reads: whatever has been written is in buffers
  const buffered = written
  expect(buffered).toBeLessThan(size)
  const got = createHash('sha256')
  let received = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    got.update(chunk)
    received += chunk.length
    if (received % 7 === 0) await sleep(1)
  }
  expect(received).toBe(size)
  expect(got.digest('hex')).toBe(expected.digest('hex'))
})

test('mesh-S3 both directions at once, in pieces of all sizes, arrive unchanged', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const sent = randomBytes(3_000_000)
  const socket = connectPlain(mesh.port)
  const read = readToEnd(socket)
  for (let at = 0, piece = 1; at < sent.length; at += piece, piece = Math.min(piece * 2 + 1, 100_000)) {
    if (!socket.write(sent.subarray(at, at + piece))) await once(socket, 'drain')
  }
  socket.end()
  expect((await read).bytes.equals(sent)).toBe(true)
  const out = await mesh.caller.record(() => true)
  expect(out).toMatchObject({ code: 'complete', bytesIn: sent.length, bytesOut: sent.length })
  expect(mesh.caller.bytes).toEqual({ in: sent.length, out: sent.length })
})

test('mesh-S3 mesh-R1 certificates change ten times under load without one byte lost', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const block = randomBytes(200_000)
  const load = { isOver: false }
  const pump = async () => {
    let count = 0
    while (!load.isOver) {
      const socket = connectPlain(mesh.port)
      socket.end(block)
      const { bytes, error } = await readToEnd(socket)
      expect({ same: bytes.equals(block), error }).toEqual({ same: true, error: undefined })
      count += 1
    }
    return count
  }
  const pumps = Array.from({ length: 4 }, pump)
  for (let i = 0; i < 10; i += 1) {
    await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
    await mesh.caller.change({ credential: leafOf(mesh.pki, 'argus') })
    await sleep(20)
  }
  load.isOver = true
  expect(Math.min(...(await Promise.all(pumps)))).toBeGreaterThan(0)
  const isIdle = () =>
    mesh.caller.plane.status().connections.outbound + mesh.callee.plane.status().connections.inbound === 0
  await eventually(() => (isIdle() ? true : undefined))
})

test('mesh-S4 the kernel sends keep-alives on all four ends', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  await once(socket, 'data')
  const [service] = [...mesh.service.sockets]
  const [mesh0] = mesh.callee.plane.status().listeners
  const ends = [
    { name: 'local, at the caller', local: mesh.port, remote: socket.localPort },
    { name: 'mesh, at the callee', local: Number(mesh0?.endpoint.split(':')[1]), remote: undefined },
    { name: 'mesh, at the caller', local: undefined, remote: mesh.callee.inboundPort() },
    { name: 'local, at the callee', local: service?.remotePort, remote: service?.localPort },
  ]
  for (const { name, local, remote } of ends) {
    let timers = ''
    // `02` in /proc/net/tcp is the keep-alive timer, `01` that of bytes not yet acknowledged.
    for (let attempt = 0; attempt < 400 && timers !== '02'; attempt += 1) {
      const found = (await establishedSockets()).filter(
        (s) => (local === undefined || s.local === local) && (remote === undefined || s.remote === remote),
      )
      timers = found.map(({ timer }) => timer).join(' ')
      await sleep(5)
    }
    expect(`${name}: ${timers}`).toBe(`${name}: 02`)
  }
  socket.destroy()
})

test('mesh-S6 a head that trickles in is answered 408 and closed, before and behind the mesh', async () => {
  await using mesh = await startPair({
    mode: 'http',
    limits: { headMs: 300 },
    onRequest: (_request, response) => response.end('ok'),
  })
  const local = connectPlain(mesh.port)
  const remote = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), {
    ALPNProtocols: ['http/1.1'],
  })
  for (const socket of [local, remote]) {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
    const trickle = setInterval(() => socket.write('x'), 50)
    const { bytes } = await readToEnd(socket)
    clearInterval(trickle)
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s)
  }
})

test('mesh-S6 a TCP connection on which nothing moves is ended when an idle limit is set', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { idleMs: 200 } })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await mesh.caller.record(({ code }) => code === 'idle' || code === 'aborted_by_service')
})

test('mesh-S1 an answer to half a request leaves no connection behind, and the caller may go on', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => response.writeHead(incoming.method === 'POST' ? 413 : 200).end(),
  })
  const socket = connectPlain(mesh.port)
  const head = (line: string, ...more: string[]) => [line, 'Host: a', ...more].join('\r\n').concat('\r\n\r\n')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  socket.write(`${head('POST / HTTP/1.1', 'Content-Length: 200000')}begun`)
  await eventually(() => (text.includes(' 413 ') ? true : undefined))
  await eventually(() => (mesh.callee.plane.status().connections.inbound === 0 ? true : undefined))
  socket.write(Buffer.alloc(199_995))
  socket.write(head('GET / HTTP/1.1', 'Connection: close'))
  await eventually(() => (/ 413 [^]* 200 /.test(text) ? true : undefined))
  socket.destroy()
})

test('mesh-S6 a request body that stands still is ended when an idle limit is set; one that trickles is not', async () => {
  await using mesh = await startPair({
    mode: 'http',
    limits: { idleMs: 1_500 },
    onRequest: (incoming, response) => {
      bodyOf(incoming).then(
        (body) => response.end(body),
        () => undefined, // the one that is broken off
      )
    },
  })
  const still = connectPlain(mesh.port)
  still.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
  expect((await readToEnd(still)).bytes.toString()).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s)
  const trickling = connectPlain(mesh.port)
  trickling.write('POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n')
  for (let i = 0; i < 10; i += 1) {
    trickling.write(String(i))
    await sleep(200)
  }
  expect((await readToEnd(trickling)).bytes.toString()).toMatch(/^HTTP\/1\.1 200 .*0123456789$/s)
})

test('mesh-S7 names come from the name server, are kept for their TTL, and survive its failure', async () => {
  let asked = 0
  let answers = true
  const server = createSocket('udp4')
  server.on('message', (query, from) => {
    asked += 1
    if (answers) server.send(dnsAnswer(query, 1), from.port, from.address)
    else server.send(dnsFailure(query), from.port, from.address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const nameServers = [`127.0.0.1:${server.address().port}`]
  const pki = testPki()
  await using service = await startService({ onTcp: echo })
  await using covina = await startAgent(pki, { service: 'covina', mode: 'tcp', targetPort: service.port })
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.inboundPort()], 'covina.example')],
    nameServers,
  })
  const call = async () => {
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.end('x')
    return (await readToEnd(socket)).bytes.toString()
  }
  expect(await call()).toBe('x')
  const first = asked
  expect(await call()).toBe('x')
  expect(asked).toBe(first)

  let now = new Date()
  const names = createNames({ now: () => now, servers: nameServers })
  expect(await names.resolve('covina.example')).toEqual(['127.0.0.1'])
  answers = false
  now = new Date(now.getTime() + 60_000)
  expect(await names.resolve('covina.example')).toEqual(['127.0.0.1'])
  await expect(names.resolve('never-seen.example')).rejects.toMatchObject({ code: 'name_unresolved' })
  const before = asked
  expect(await names.resolve('127.0.0.9')).toEqual(['127.0.0.9'])
  expect(await names.resolve('::1')).toEqual(['::1'])
  expect(await names.resolve('localhost')).toEqual(['127.0.0.1', '::1'])
  expect(asked).toBe(before)
  server.close()
})

test('mesh-S9 small writes are not held back on any hop, in either direction', async () => {
  // With Nagle's algorithm on any hop, the second of two small writes waits for an acknowledgement of up to 40 ms.
  await using mesh = await startPair({ mode: 'tcp', onTcp: answerPairs })
  const socket = connectPlain(mesh.port)
  socket.setNoDelay(true)
  const received = { count: 0, wake: () => {} }
  socket.on('data', (chunk: Buffer) => {
    received.count += chunk.length
    received.wake()
  })
  for (let i = 1; i <= 300; i += 1) {
    socket.write('a')
    await sleep(2)
    socket.write('b')
    while (received.count < 2 * i) await new Promise<void>((resolve) => (received.wake = resolve))
  }
  socket.destroy()
}, 10_000)

/** Answers two bytes with two bytes, in two writes far enough apart to be two segments. */
function answerPairs(socket: Socket): void {
  socket.setNoDelay(true)
  let held = 0
  socket.on('data', (chunk: Buffer) => {
    held += chunk.length
    for (; held >= 2; held -= 2) {
      socket.write('.')
      setTimeout(() => socket.write('.'), 2)
    }
  })
}

async function establishedSockets() {
  const table = await readFile('/proc/net/tcp', 'utf8')
  return table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === '01')
    .map(([, local, remote, , , timer]) => ({
      local: portOf(local),
      remote: portOf(remote),
      timer: timer?.slice(0, 2),
    }))
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(':')[1] ?? '', 16)
}

/** An answer with 127.0.0.1 to an A question, and with nothing to any other. */
function dnsAnswer(query: Buffer, ttl: number): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  const isA = question.readUInt16BE(question.length - 4) === 1
  const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0])
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 127, 0, 0, 1])
  return Buffer.concat([head, question, ...(isA ? [record] : [])])
}

function dnsFailure(query: Buffer): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5)
  return Buffer.concat([Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0]), question])
}
