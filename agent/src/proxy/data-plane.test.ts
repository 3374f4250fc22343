import { secondsAfter, testPki } from '@vcc/testkit'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { createDataPlane } from './data-plane.ts'
import { NO_EVENTS, NO_METRICS } from './observe.ts'
import { createSnapshot } from './snapshot.ts'
import { bodyOf, connectPlain, readToEnd, snapshotInput, startAgent, startPair } from './testing/mesh.ts'

test('an allowed TCP call is carried, and both sides write the same connection id', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.end('hello')
  const { bytes, error } = await readToEnd(socket)
  expect(bytes.toString()).toBe('hello')
  expect(error).toBeUndefined()
  const out = await mesh.caller.record((record) => record.direction === 'outbound')
  const into = await mesh.callee.record((record) => record.direction === 'inbound')
  expect(out.connection).toBe(into.connection)
  expect(out).toMatchObject({
    result: 'carried',
    code: 'complete',
    rule: 'argus.allowed_outbound[0]',
    bytesIn: 5,
    bytesOut: 5,
  })
  expect(into).toMatchObject({
    result: 'carried',
    code: 'complete',
    source: { class: 'mtls_certificate' },
    bytesIn: 5,
    bytesOut: 5,
  })
  expect(into.source.id).toBe('spiffe://vcc.internal/org/brandenburg/svc/argus')
  expect(out.target.id).toBe('spiffe://vcc.internal/org/brandenburg/svc/covina')
})

test('an allowed HTTP call is carried, and the service learns who called', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: async (incoming, response) => {
      response.setHeader('x-seen-caller', String(incoming.headers['x-vcc-caller']))
      response.end(`${incoming.method} ${incoming.url} ${await bodyOf(incoming)}`)
    },
  })
  const response = await request(`http://127.0.0.1:${mesh.port}/a/b?c=d`, { method: 'POST', body: 'body' })
  expect(await response.body.text()).toBe('POST /a/b?c=d body')
  expect(response.headers['x-seen-caller']).toBe(
    'id="spiffe://vcc.internal/org/brandenburg/svc/argus", class="mtls_certificate", permissions=()',
  )
  const into = await mesh.callee.record((record) => record.unit === 'request')
  expect(into).toMatchObject({ result: 'carried', http: { method: 'POST', status: 200 }, bytesIn: 4 })
})

test('the snapshot put in force is the one served', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const { served } = mesh.callee.plane.status()
  expect(served).toMatchObject({ protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'SecP256r1MLKEM768' })
})

test('a certificate that the own listener cannot serve is not forgotten by the next refresh', async () => {
  const pki = testPki()
  await using agent = await startAgent(pki, { service: 'covina', mode: 'tcp' })
  expect(agent.plane.status().served).toBeDefined()
  const expired = pki.service('covina', {
    class: 2,
    notBefore: secondsAfter(pki.now, -7200),
    notAfter: secondsAfter(pki.now, -3600),
  })
  await expect(agent.change({ credential: expired })).rejects.toMatchObject({ code: 'self_check_failed' })
  expect(agent.plane.status().served).toBeUndefined()
  await expect(agent.change({})).rejects.toMatchObject({ code: 'self_check_failed' })
})

test('state that comes while the agent drains opens no listener', async () => {
  const pki = testPki()
  await using plane = createDataPlane(
    {
      inbound: {
        listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
        target: { kind: 'tcp', host: '127.0.0.1', port: 1 },
      },
      outbound: [],
    },
    { now: () => new Date(), events: NO_EVENTS, metrics: NO_METRICS, onClose() {} },
  )
  await plane.drain(0)
  await plane.apply(createSnapshot(snapshotInput(pki, 'covina', 'tcp')))
  expect(plane.status()).toMatchObject({ phase: 'draining', listeners: [] })
})
