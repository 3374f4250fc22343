import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { ROUTES, type Route, type RouteName } from '@vcc/api'
import { type Dispatcher, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

type Who = 'nobody' | 'agent' | 'admin'

let place: TestControlPlane
let agent: Awaited<ReturnType<TestControlPlane['join']>>
let dispatchers: Record<Who, Dispatcher>
beforeAll(async () => {
  place = await testControlPlane()
  agent = await place.join('argus')
  dispatchers = {
    nobody: place.dispatcherOf(undefined),
    agent: place.dispatcherOf(agent),
    admin: place.dispatcherOf(place.admin),
  }
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

type Sent = Partial<Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'>> & { port?: string }

async function send(who: Who, path: string, { port, ...options }: Sent = {}) {
  const origin = `https://127.0.0.1:${port ?? place.ports.agents}`
  const answer = await request(origin + path, { dispatcher: dispatchers[who], ...options })
  const text = await answer.body.text()
  return {
    status: answer.statusCode,
    type: answer.headers['content-type'],
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  }
}

const json = (body: string, type = 'application/json'): Sent => ({
  method: 'POST',
  headers: { 'content-type': type },
  body,
})

/** What each caller may do beyond the door: a body that fits no schema then is the next thing to be refused. */
const expectedStatus: Record<Who, (route: Route) => boolean> = {
  nobody: ({ access }) => access === 'open',
  agent: ({ access }) => access === 'open' || access === 'agent',
  admin: ({ access }) => access !== 'agent',
}

describe('who may call what', () => {
  const routes = Object.entries(ROUTES) as [RouteName, Route][]
  // An agent that is refused often is told to wait: every twentieth route is asked by another one.
  for (const [index, [name, route]] of routes.entries()) {
    if (index % 20 === 19) {
      test(`another agent from ${name} on`, async () => {
        dispatchers.agent = place.dispatcherOf(await place.join('argus'))
      })
    }
    for (const who of ['nobody', 'agent', 'admin'] as const) {
      const isAllowed = expectedStatus[who](route)
      test(`${name} as ${who}: ${isAllowed ? 'passes the door' : 'stays outside'}`, async () => {
        const path = route.path.replaceAll(/:(\w+)/g, '!')
        const options = route.method === 'POST' ? json('{"surprise":true}') : { method: route.method }
        const { status, type, body } = await send(who, path, options)
        if (isAllowed) {
          expect([200, 400, 404].includes(status) || body['code'] === 'token_unknown').toBe(true)
          return
        }
        expect(status).toBe(who === 'nobody' ? 401 : 403)
        expect(type).toMatch(/^application\/problem\+json/)
        expect(body).toMatchObject({ code: who === 'nobody' ? 'client_certificate_required' : 'not_allowed', status })
      })
    }
  }
})

describe('the listener for browsers', () => {
  for (const [name, status] of [
    ['health', 200],
    ['openapi', 200],
    ['meshRoot', 404],
    ['meshStatus', 404],
  ] as const) {
    test(`${name}: ${status}`, async () => {
      const port = place.ports.ui
      expect((await send('admin', ROUTES[name].path, { port })).status).toBe(status)
    })
  }
})

describe('what is no request of ours', () => {
  const bad: readonly { name: string; path?: string; options: Sent; status: number; code: string }[] = [
    { name: 'no JSON', options: json('{'), status: 400, code: 'request_invalid' },
    { name: 'no body', options: json(''), status: 400, code: 'request_invalid' },
    { name: 'a prototype in it', options: json('{"__proto__":{"a":1}}'), status: 400, code: 'request_invalid' },
    {
      name: 'an unknown field',
      options: json('{"source":"a","target":"b","x":1}'),
      status: 400,
      code: 'request_invalid',
    },
    {
      name: 'another type',
      options: json('a=b', 'application/x-www-form-urlencoded'),
      status: 415,
      code: 'media_type_unsupported',
    },
    {
      name: 'more than 64 KiB',
      options: json(`{"source":"${'a'.repeat(70_000)}"}`),
      status: 413,
      code: 'body_too_large',
    },
    {
      name: 'an escape that is none',
      path: '/api/v1/vcc/services/%zz',
      options: {},
      status: 400,
      code: 'request_invalid',
    },
    { name: 'a path nobody serves', path: '/api/v1/nothing', options: {}, status: 404, code: 'route_unknown' },
    {
      name: 'a query nobody reads',
      path: '/api/v1/vcc/services?surprise=1',
      options: {},
      status: 400,
      code: 'request_invalid',
    },
    {
      name: 'a cursor of somebody else',
      path: '/api/v1/vcc/services?after=xxxx',
      options: {},
      status: 400,
      code: 'cursor_invalid',
    },
  ]
  for (const { name, path = '/api/v1/vcc/communication/check', options, status, code } of bad) {
    test(`${name}: ${code}`, async () => {
      const answer = await send('admin', path, options)
      expect(answer.status).toBe(status)
      expect(answer.type).toMatch(/^application\/problem\+json/)
      expect(answer.body).toMatchObject({ type: `urn:vcc:problem:${code}`, status, code })
      expect(answer.body['request_id']).toEqual(expect.any(String))
    })
  }

  test('a body of somebody who may not call is not read', async () => {
    const answer = await send('nobody', '/api/v1/vcc/policies', json(`{"matrix":"${'a'.repeat(1_000_000)}"}`))
    expect(answer.status).toBe(401)
  })

  test('no HTTP at all gets one answer and the end of the connection', async () => {
    const socket = connectTls({ port: Number(place.ports.ui), host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('secureConnect', () => socket.write('\r\nnot http\r\n\r\n'))
    const text = (await socket.toArray()).join('')
    expect(text).toContain('HTTP/1.1 400')
    expect(text).toContain('"code":"request_invalid"')
  })

  test('no TLS at all ends', async () => {
    const socket = connect({ port: Number(place.ports.agents), host: '127.0.0.1' })
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await expect.poll(() => socket.destroyed || socket.readableEnded).toBe(true)
  })
})

describe('a caller that is known', () => {
  test('and goes on asking for what it may not is told to wait, and fills no audit chain', async () => {
    const covina = await place.join('covina')
    dispatchers.agent = place.dispatcherOf(covina)
    const codes: unknown[] = []
    for (let i = 0; i < 40; i++) codes.push((await send('agent', ROUTES.caList.path)).status)
    dispatchers.agent = place.dispatcherOf(agent)
    expect(codes.filter((status) => status === 403).length).toBeLessThanOrEqual(31)
    expect(codes.at(-1)).toBe(429)
  })

  test('is nobody any more on the same connection once it is deregistered', async () => {
    const covina = await place.join('covina')
    const client = place.as(covina)
    await client.call('meshState', { query: {} })
    await place.as(place.admin).call('instanceDeregister', { params: { instance_id: covina.instance } })
    await expect(client.call('meshState', { query: {} })).rejects.toMatchObject({ code: 'client_certificate_refused' })
  })

  test('who leaves ends the wait for agents', async () => {
    await place.as(place.admin).call('policyShow', { params: { version: 1 } })
    const leaving = AbortSignal.timeout(200)
    const waiting = place
      .as(place.admin)
      .call('instanceRotate', { body: { all: true, wait_seconds: 60 } }, { signal: leaving })
    await expect(waiting).rejects.toThrow()
  })
})

test('an answer that waits for agents waits as long as it was asked to, and says who is missing', async () => {
  const startedAt = performance.now()
  const { matrix = '' } = await place.as(place.admin).call('policyShow', { params: { version: 1 } })
  const body = { matrix: `${matrix}\n`, expected_version: 1, wait_seconds: 1 }
  const applied = await place.as(place.admin).call('policyApply', { body })
  expect(performance.now() - startedAt).toBeGreaterThan(900)
  expect(applied.in_force).toBe(0)
  expect(applied.pending.map((one) => one.instance_id)).toContain(agent.instance)
})

test('a request that comes before the answers to others are drained is answered, and the connection goes on', async () => {
  const socket = connectTls({ port: Number(place.ports.agents), host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: control\r\n\r\n`
  // More than all buffers on the way hold while nobody reads.
  socket.write(get(ROUTES.openapi.path).repeat(150))
  socket.pause()
  await sleep(1000)
  const body = JSON.stringify({ token: 'x'.repeat(40_000) })
  const head = `POST ${ROUTES.meshJoin.path} HTTP/1.1\r\nHost: control\r\ncontent-type: application/json\r\n`
  // In one piece, so that several TLS records come with one read.
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}${get('/last')}`)
  let tail = ''
  socket.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString('latin1')).slice(-2000)))
  socket.resume()
  await expect.poll(() => tail.includes('there is no GET /last') || socket.closed, { timeout: 30_000 }).toBe(true)
  expect(tail).toContain('HTTP/1.1 400')
  expect(tail).toContain('there is no GET /last')
  socket.destroy()
})
