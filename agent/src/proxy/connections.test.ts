import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { fakeClock, secondsAfter, testPki } from '@vcc/testkit'
import { request } from 'undici'
import { expect, test } from 'vitest'
import type { CloseRecord } from './close-record.ts'
import { createRegistry } from './connections.ts'
import { NO_METRICS } from './observe.ts'
import { createSnapshot, type Snapshot } from './snapshot.ts'
import {
  answerOf,
  connectPlain,
  eventually,
  leafOf,
  MATRIX,
  MATRIX_WITHOUT_EDGE,
  readToEnd,
  refusalCode,
  snapshotInput,
  startPair,
  tlsClient,
} from './testing/mesh.ts'
import type { Unit, Verdict } from './unit.ts'

test('a policy that changes between registering and deciding is decided again, a thousand times', () => {
  const pki = testPki()
  const allowing = createSnapshot(snapshotInput(pki, 'covina', 'tcp'))
  const denying: Snapshot = { ...allowing, label: { ...allowing.label, agent: 999_999 } }
  for (let i = 0; i < 1_000; i += 1) {
    let current = allowing
    const records: CloseRecord[] = []
    using registry = registryOf(() => current, records)
    const unit = unitOf((snapshot) => (snapshot === denying ? DENIED : ALLOWED))
    const verdict = registry.admit(unit, (snapshot) => {
      const decided = unit.judge(snapshot, new Date())
      current = denying // another document arrives right now
      registry.reassess()
      return decided
    })
    expect(verdict.allowed).toBe(false)
    expect(unit.cuts).toBe(1) // the change met the registered unit: neither side can have missed the other
  }
})

test('a unit that nothing registered is not cut, and one that is released has one record', () => {
  const pki = testPki()
  const snapshot = createSnapshot(snapshotInput(pki, 'covina', 'tcp'))
  const records: CloseRecord[] = []
  using registry = registryOf(() => snapshot, records)
  const unit = unitOf(() => ALLOWED)
  registry.cut(unit, { code: 'draining', rule: 'limits' })
  registry.admit(unit, () => ALLOWED)
  registry.release(unit, { code: 'complete' })
  registry.release(unit, { code: 'complete' })
  registry.cut(unit, { code: 'draining', rule: 'limits' })
  expect(unit.cuts).toBe(0)
  expect(records).toMatchObject([{ code: 'complete', rule: 'a.rule', result: 'carried' }])
})

test('without any state nothing is admitted', () => {
  using registry = registryOf(() => undefined, [])
  expect(
    registry.admit(
      unitOf(() => ALLOWED),
      () => ALLOWED,
    ),
  ).toMatchObject({ refusal: { code: 'not_ready' } })
})

test('a request in flight is cut when its edge goes, and the next one is refused with the rule', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => {
      response.writeHead(200)
      if (incoming.url === '/stream') response.write('begun')
      else response.end('ok')
    },
  })
  const outgoing = httpRequest({ port: mesh.port, path: '/stream' }).end()
  outgoing.on('error', () => undefined)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.on('error', () => undefined).resume()
  await once(response, 'data')
  await mesh.caller.change({ matrix: MATRIX_WITHOUT_EDGE })
  await eventually(() => (response.closed ? true : undefined))
  expect(response.complete).toBe(false)
  await mesh.caller.record(
    ({ unit, result, code, rule }) =>
      unit === 'request' && result === 'cut' && code === 'not_allowed' && rule === 'default-deny',
  )
  expect((await request(`http://127.0.0.1:${mesh.port}/`)).statusCode).toBe(403)
  await mesh.caller.change({ matrix: MATRIX })
  expect((await request(`http://127.0.0.1:${mesh.port}/`)).statusCode).toBe(200)
})

test('a request in flight is cut by the callee alone too', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => response.writeHead(200).write('begun'),
  })
  const outgoing = httpRequest({ port: mesh.port, path: '/' }).end()
  outgoing.on('error', () => undefined)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.on('error', () => undefined).resume()
  await mesh.callee.change({ matrix: MATRIX_WITHOUT_EDGE })
  await eventually(() => (response.closed ? true : undefined))
  expect(response.complete).toBe(false)
  await mesh.callee.record(({ unit, result }) => unit === 'request' && result === 'cut')
  await mesh.callee.record(({ unit, result }) => unit === 'connection' && result === 'cut')
  expect((await request(`http://127.0.0.1:${mesh.port}/`)).statusCode).toBe(403)
})

test('a shared connection survives a change that keeps its edge', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: (_incoming, response) => response.end('ok') })
  await (await request(`http://127.0.0.1:${mesh.port}/`)).body.text()
  await mesh.callee.change({ matrix: MATRIX.replace('[argus, covina]', '[covina]') })
  await mesh.caller.change({ enforceUntil: new Date(Date.now() + 7_200_000) })
  await (await request(`http://127.0.0.1:${mesh.port}/`)).body.text()
  expect(mesh.callee.handshakes).toEqual(['inbound ok'])
})

test('certificates change ten times under HTTP load without one failed request', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: (incoming, response) => void incoming.pipe(response) })
  const phase = { isOver: false }
  const load = async (n: number) => {
    let count = 0
    for (; !phase.isOver; count += 1) {
      const response = await request(`http://127.0.0.1:${mesh.port}/`, { method: 'POST', body: `${n} ${count}` })
      expect([response.statusCode, await response.body.text()]).toEqual([200, `${n} ${count}`])
    }
    return count
  }
  const loads = [load(1), load(2), load(3), load(4)]
  for (let i = 0; i < 10; i += 1) {
    await mesh.caller.change({ credential: leafOf(mesh.pki, 'argus') })
    await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  phase.isOver = true
  expect(Math.min(...(await Promise.all(loads)))).toBeGreaterThan(0)
  // New connections were made, with the new certificates, and the old ones went.
  expect(mesh.callee.handshakes.length).toBeGreaterThan(5)
  await eventually(() => (mesh.callee.plane.status().connections.inbound <= 4 ? true : undefined))
})

test('past enforceUntil live connections close and new ones are refused; a refresh opens again', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  await once(socket, 'data')
  await mesh.callee.change({ enforceUntil: new Date(Date.now() + 300) })
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await mesh.callee.record(({ code, result }) => code === 'state_expired' && result === 'cut')
  const late = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'))
  expect(refusalCode(await answerOf(late))).toBe('state_expired')
  await mesh.callee.change({ enforceUntil: new Date(Date.now() + 3_600_000) })
  const again = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'))
  expect(await answerOf(again)).toBe('OK')
  again.destroy()
})

test('a connection ends with the certificate that opened it, whoever has a newer one', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const short = mesh.pki.service('argus', { class: 1, notAfter: secondsAfter(new Date(), 2) })
  const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, short)
  expect(await answerOf(socket)).toBe('OK')
  await eventually(() => (socket.closed ? true : undefined))
  await mesh.callee.record(({ code, result }) => code === 'certificate_expired' && result === 'cut')
})

test('an agent whose own certificate has expired lets nothing through', async () => {
  const clock = fakeClock(new Date())
  const pki = testPki()
  const snapshot = createSnapshot(
    snapshotInput(pki, 'covina', 'tcp', { enforceUntil: new Date(Date.now() + 30 * 86_400_000) }),
  )
  using registry = createRegistry({
    current: () => snapshot,
    now: clock.now,
    maxConnectionAgeMs: 0,
    onClose: () => undefined,
    metrics: NO_METRICS,
  })
  const unit = unitOf(() => ALLOWED)
  expect(registry.admit(unit, () => ALLOWED).allowed).toBe(true)
  clock.advance(8 * 86_400)
  expect(
    registry.admit(
      unitOf(() => ALLOWED),
      () => ALLOWED,
    ),
  ).toMatchObject({ refusal: { code: 'own_certificate_expired' } })
  expect(registry.reassess().cut).toBeGreaterThan(0)
  expect(unit.cuts).toBe(1)
})

test('a connection ends at its maximum age', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { maxConnectionAgeMs: 300 } })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await eventually(() =>
    [...mesh.caller.records, ...mesh.callee.records].find(({ code }) => code === 'connection_too_old'),
  )
})

test('drain lets requests end, takes no new connections, and says how many it had to cut', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => setTimeout(() => response.end('ok'), 200),
  })
  const underway = request(`http://127.0.0.1:${mesh.port}/`)
  await eventually(() => (mesh.caller.plane.status().connections.outbound > 0 ? true : undefined))
  const [first, drained] = await Promise.all([underway, mesh.caller.plane.drain(20_000)])
  expect(drained).toEqual({ cut: 0 })
  expect(await first.body.text()).toBe('ok')
  expect(mesh.caller.plane.status().phase).toBe('draining')
  await expect(request(`http://127.0.0.1:${mesh.port}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('drain cuts what is still there at the deadline', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  await once(socket, 'data')
  expect(await mesh.caller.plane.drain(50)).toEqual({ cut: 1 })
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await mesh.caller.record(({ code, result }) => code === 'draining' && result === 'cut')
})

const ALLOWED: Verdict<unknown> = { allowed: true, rule: 'a.rule', proof: undefined }
const DENIED: Verdict<unknown> = { allowed: false, refusal: { code: 'not_allowed', rule: 'default-deny' } }

function registryOf(current: () => Snapshot | undefined, records: CloseRecord[]) {
  return createRegistry({
    current,
    now: () => new Date(),
    maxConnectionAgeMs: 0,
    onClose: (record) => records.push(record),
    metrics: NO_METRICS,
  })
}

function unitOf(judge: (snapshot: Snapshot) => Verdict<unknown>): Unit & { cuts: number } {
  const unit = {
    connection: 'c',
    unit: 'connection' as const,
    direction: 'inbound' as const,
    openedAt: new Date(),
    source: { id: 's' },
    target: { id: 't' },
    bytesIn: () => 0,
    bytesOut: () => 0,
    judge,
    validUntil: () => undefined,
    cuts: 0,
    cut: () => void (unit.cuts += 1),
  }
  return unit
}
