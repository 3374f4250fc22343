import { appendFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { hashOf, randomStream, randomStreamHash, startHttpService } from '../harness/local-service.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually, run } from '../harness/process.ts'
import { exchangeRaw, openRaw, problemIn } from '../harness/raw.ts'
import { events, metric } from '../harness/tables.ts'

const LARGE = 64 * 1024 * 1024
const held = { open: 0, gone: 0 }

const answers: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  '/upload': (request, response) => void hashOf(request).then((hash) => response.end(hash)),
  '/download': (_request, response) => void pipeline(randomStream(LARGE), response).catch(() => {}),
  '/hold': (request) => {
    held.open += 1
    request.socket.once('close', () => (held.gone += 1))
  },
  '/trailers': (_request, response) => {
    response.writeHead(200, { trailer: 'x-checksum, x-vcc-caller' })
    response.write('body')
    response.addTrailers({ 'x-checksum': 'abc', 'x-vcc-caller': 'forged' })
    response.end()
  },
  '/identity': (_request, response) => {
    response.setHeader('X-VCC-Caller', 'forged')
    response.setHeader('x_vcc_anything', 'forged')
    response.setHeader('X-Forwarded-Client-Cert', 'forged')
    response.setHeader('Connection', 'x-one-hop')
    response.setHeader('x-one-hop', 'secret')
    response.setHeader('x-end-to-end', 'kept')
    response.end('answered')
  },
  '/breaks': (request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('a part', () => request.socket.resetAndDestroy())
  },
  '/empty': (_request, response) => void response.writeHead(204).end(),
  '/sized': (_request, response) => void response.writeHead(200, { 'content-length': '12345', etag: '"1"' }).end(),
}

await using mesh = await startMesh({ services: { argus: ['covina'] } })
await using service = await startHttpService(answers)
succeeded(await mesh.control.pki('services', 'register', 'covina'))
await using covina = await joinAgent(mesh.control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: service.port,
  outbound: [],
  extra: ['log_level: error'],
})
await covina.restart()
const argus = mesh.agent('argus')
const url = argus.url('covina')
const port = argus.port('covina')
const CALLER = 'id="spiffe://vcc.internal/org/brandenburg/svc/argus", class="mtls_certificate", permissions=()'
const lines = (...all: string[]) => `${all.join('\r\n')}\r\n\r\n`

/** Headers of the last request that arrived, names in lower case. */
function lastHeaders(): [string, string][] {
  const raw = service.arrived.at(-1)?.rawHeaders ?? []
  return raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1] ?? ''] as [string, string]] : [],
  )
}

await eventually('argus reaches covina', async () => (await fetch(url)).status === 200)
// Waits for its end meanwhile: a head that never gets complete.
const slowHead = openRaw(port, 'GET / HTTP/1.1\r\nHost: covina\r\nX-Slow: ')

await t.test('mesh-5d identity headers of the caller are removed in every spelling, and one is set', async (t) => {
  const forged = [
    'X-VCC-Caller: id="spiffe://vcc.internal/org/brandenburg/svc/vpb"',
    'x-vcc-caller: second',
    'X_VCC_CALLER: underscores',
    'x-vcc_caller: mixed',
    'X-Vcc-Permissions: all',
    'X-Forwarded-Client-Cert: By=spiffe://x',
    'x_forwarded_client_cert: By=spiffe://x',
    'X-Client-Cert: pem',
    'Client-Cert: :pem:',
    'Ssl-Client-Verify: SUCCESS',
    'X-SPIFFE-ID: spiffe://x',
    'l5d-client-id: x',
  ]
  const answer = await exchangeRaw(port, lines('GET /work HTTP/1.1', 'Host: covina', ...forged, 'Connection: close'))
  t.match(answer, /^HTTP\/1\.1 200 /)
  const identities = lastHeaders().filter(([name]) => /vcc|client|spiffe|l5d|cert/.test(name.replaceAll('_', '-')))
  t.same(identities, [['x-vcc-caller', CALLER]])
})

await t.test('mesh-5d identity headers in trailers and of a client without agent do not pass either', async (t) => {
  const chunked = lines('POST /work HTTP/1.1', 'Host: covina', 'Transfer-Encoding: chunked', 'Connection: close')
  const answer = await exchangeRaw(port, `${chunked}4\r\nbody\r\n0\r\nX-VCC-Caller: forged\r\n\r\n`)
  t.match(answer, /^HTTP\/1\.1 200 /)
  t.equal(service.arrived.at(-1)?.body.toString(), 'body')
  t.same(service.arrived.at(-1)?.rawTrailers, [])
  t.equal(lastHeaders().filter(([name]) => name === 'x-vcc-caller').length, 1)
  const pem = join(argus.stateFolder, 'identity.pem')
  const args = ['-sk', '--cert', pem, '--key', pem, '-H', 'x-vcc-caller: forged', '-H', 'X_Vcc_Caller: forged']
  const curl = await run('curl', [...args, `https://127.0.0.1:${covina.inboundPort}/work`])
  t.equal(curl.stdout, 'arrived')
  t.same(
    lastHeaders().filter(([name]) => name.includes('caller')),
    [['x-vcc-caller', CALLER]],
  )
})

await t.test('mesh-5d what concerns one hop stays on it, both ways', async (t) => {
  const hop = ['Connection: x-secret, close', 'X-Secret: 1', 'Keep-Alive: timeout=5', 'TE: trailers']
  const more = ['Proxy-Authorization: Basic eA==', 'Proxy-Connection: keep-alive', 'X-Kept: yes']
  await exchangeRaw(port, lines('GET /work HTTP/1.1', 'Host: covina', ...hop, ...more))
  const names = lastHeaders().map(([name]) => name)
  t.ok(names.includes('x-kept') && names.includes('host'))
  for (const gone of ['x-secret', 'keep-alive', 'te', 'proxy-authorization', 'proxy-connection']) {
    t.notOk(names.includes(gone), `${gone} does not arrive`)
  }
  const answer = await exchangeRaw(port, lines('GET /identity HTTP/1.1', 'Host: covina', 'Connection: close'))
  t.match(answer, /x-end-to-end: kept/i)
  t.notMatch(answer, /forged|secret/i)
})

await t.test('mesh-5d a path that has no canonical form is refused, any other is forwarded in it', async (t) => {
  const before = service.arrived.length
  const refused = ['/a/../b', '/a/./b', '//a', '/a//b', '/%2e%2e/a', '/a/%2E%2e', '/a%2fb', '/a%5Cb', '/a\\b', '/a%00b']
  for (const path of [...refused, '/%252e%252e/a', '/a%zz', '/a#b', '*', 'http://covina/a', '/%2e']) {
    const answer = await exchangeRaw(port, lines(`GET ${path} HTTP/1.1`, 'Host: covina', 'Connection: close'))
    t.match(answer, /^HTTP\/1\.1 400 /, path)
    t.match(answer, /path_not_canonical|request_malformed/)
  }
  t.equal(service.arrived.length, before, 'none of them arrived')
  for (const [path, canonical] of [
    ['/%7euser/%41', '/~user/A'],
    ['/caf%c3%a9?q=%2f..//', '/caf%C3%A9?q=%2f..//'],
    ['/a/..b/...', '/a/..b/...'],
  ] as const) {
    await exchangeRaw(port, lines(`GET ${path} HTTP/1.1`, 'Host: covina', 'Connection: close'))
    t.equal(service.arrived.at(-1)?.url, canonical)
  }
})

await t.test('mesh-5d a request whose length or host is ambiguous is refused', async (t) => {
  const before = service.arrived.length
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: covina\r\n\r\n'
  const cases: readonly [string, string][] = [
    ['both lengths', lines('POST / HTTP/1.1', 'Host: covina', 'Content-Length: 4', 'Transfer-Encoding: chunked')],
    ['two lengths', lines('POST / HTTP/1.1', 'Host: covina', 'Content-Length: 4', 'Content-Length: 5')],
    ['a length of two', lines('POST / HTTP/1.1', 'Host: covina', 'Content-Length: 4, 4')],
    ['a signed length', lines('POST / HTTP/1.1', 'Host: covina', 'Content-Length: +4')],
    ['an unknown coding', lines('POST / HTTP/1.1', 'Host: covina', 'Transfer-Encoding: gzip, chunked')],
    ['chunked twice', lines('POST / HTTP/1.1', 'Host: covina', 'Transfer-Encoding: chunked, chunked')],
    ['chunked with a tab', lines('POST / HTTP/1.1', 'Host: covina', 'Transfer-Encoding: \vchunked')],
    ['two hosts', lines('GET / HTTP/1.1', 'Host: covina', 'Host: argus')],
    ['no host', lines('GET / HTTP/1.1', 'X-A: b')],
    ['a folded line', lines('GET / HTTP/1.1', 'Host: covina', 'X-A: b', '  c')],
    ['a space before the colon', lines('GET / HTTP/1.1', 'Host: covina', 'X-VCC-Caller : forged')],
    ['a bare CR', lines('GET / HTTP/1.1', 'Host: covina', 'X-A: b\rX-VCC-Caller: forged')],
    ['a connection that names the host', lines('GET / HTTP/1.1', 'Host: covina', 'Connection: host')],
    ['HTTP/1.0 in chunks', lines('POST / HTTP/1.0', 'Host: covina', 'Transfer-Encoding: chunked')],
    ['a tunnel', lines('CONNECT covina:443 HTTP/1.1', 'Host: covina:443')],
    ['no HTTP at all', `\x16\x03\x01${'\x00'.repeat(50)}\r\n\r\n`],
  ]
  for (const [name, request] of cases) {
    const answer = await exchangeRaw(port, `${request}${name.includes('length') ? smuggled : ''}`)
    t.match(answer, /^HTTP\/1\.1 (400|501) /, `${name} is refused`)
    t.match(problemIn(answer), { side: 'caller' })
  }
  t.equal(service.arrived.length, before, 'none of them arrived')
})

await t.test('an upgrade is refused where the service speaks HTTP; an offer of h2c is passed over', async (t) => {
  const upgrade = lines('GET / HTTP/1.1', 'Host: covina', 'Connection: Upgrade, close', 'Upgrade: websocket')
  const refused = await exchangeRaw(port, upgrade)
  t.match(refused, /^HTTP\/1\.1 501 /)
  t.match(problemIn(refused), { code: 'upgrade_refused' })
  const offer = ['Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
  t.match(await exchangeRaw(port, lines('GET /work HTTP/1.1', 'Host: covina', ...offer)), /^HTTP\/1\.1 200 /)
  t.notOk(lastHeaders().some(([name]) => name === 'upgrade' || name === 'http2-settings'))
  const preface = await exchangeRaw(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  t.match(preface, /^HTTP\/1\.1 400 /, 'HTTP/2 with prior knowledge')
})

await t.test('trailers of an answer arrive, without identities', async (t) => {
  const answer = await exchangeRaw(port, lines('GET /trailers HTTP/1.1', 'Host: covina', 'Connection: close'))
  t.match(answer, /\r\n0\r\nx-checksum: abc\r\n\r\n$/)
  t.notMatch(answer, /forged/)
})

await t.test('100 Continue comes when somebody is there to take the body', async (t) => {
  const expect = ['Host: covina', 'Content-Length: 4', 'Expect: 100-continue', 'Connection: close']
  const connection = openRaw(port, lines('POST /work HTTP/1.1', ...expect))
  await eventually('the caller may go on', () => connection.text().startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  connection.socket.write('body')
  await connection.over
  t.match(connection.text(), /\r\n\r\nHTTP\/1\.1 200 /)
  t.equal(service.arrived.at(-1)?.body.toString(), 'body')
  const other = lines('POST /work HTTP/1.1', 'Host: covina', 'Content-Length: 4', 'Expect: 200-ok', 'Connection: close')
  t.match(await exchangeRaw(port, other), /^HTTP\/1\.1 417 /)
})

await t.test('answers without a body keep their head, and the connection goes on', async (t) => {
  const head = lines('HEAD /sized HTTP/1.1', 'Host: covina')
  const last = lines('GET /empty HTTP/1.1', 'Host: covina', 'Connection: close')
  const answer = await exchangeRaw(port, `${head}${last}`)
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 12345\r\n[^]*\r\n\r\nHTTP\/1\.1 204 /i)
})

await t.test('64 MiB each way arrive as they were sent, to a slow reader too', async (t) => {
  const upload = httpRequest(`${url}/upload`, { method: 'POST' })
  const answered = new Promise<IncomingMessage>((resolve, reject) => upload.on('response', resolve).on('error', reject))
  await pipeline(randomStream(LARGE), upload)
  const hash = (await (await answered).toArray()).join('')
  t.equal(hash, randomStreamHash(LARGE), 'up')
  t.equal(await hashOf((await fetch(`${url}/download`)).body ?? []), randomStreamHash(LARGE), 'down')
  const slow = openRaw(port, lines('GET /download HTTP/1.1', 'Host: covina', 'Connection: close'))
  slow.socket.pause()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.equal(slow.bytes(), 0)
  slow.socket.resume()
  t.equal(await slow.over, 'end')
  t.ok(slow.bytes() > LARGE, 'all of it, after a pause')
})

await t.test('a client that goes away is known to the service', async (t) => {
  const connections = Array.from({ length: 5 }, () => openRaw(port, lines('GET /hold HTTP/1.1', 'Host: covina')))
  await eventually('the service works on all of them', () => held.open === 5)
  for (const { socket } of connections) socket.destroy()
  await eventually('the service sees them go', () => held.gone === 5)
  for (const agent of [argus, covina]) {
    const seen = events(agent.process().output(), 'access').filter((one) => one['code'] === 'aborted_by_caller')
    t.equal(seen.length, 5, `${agent.service} records it`)
  }
})

await t.test('an answer that breaks off does not pass for a whole one', async (t) => {
  const broken = openRaw(port, lines('GET /breaks HTTP/1.1', 'Host: covina'))
  t.equal(await broken.over, 'ECONNRESET')
  t.match(broken.text(), /a part$/)
  await eventually('covina records it', () =>
    events(covina.process().output(), 'access').some((one) => one['code'] === 'service_failed'),
  )
})

await t.test('a head that does not get complete is answered 408', async (t) => {
  await slowHead.over
  t.match(slowHead.text(), /^HTTP\/1\.1 408 /)
})

await t.test('no level hides the access log, which has a switch of its own', async (t) => {
  const before = covina.process().output()
  t.ok(events(before, 'access').length > 0, 'its lines are there at the level of errors')
  t.same(events(before, 'snapshot_applied'), [], 'what is told at the level of information is not')
  await appendFile(covina.configFile, 'access_log: false\n')
  await covina.restart()
  await eventually('argus reaches covina', async () => (await fetch(`${url}/work`)).status === 200)
  await covina.process().stop()
  t.same(events(covina.process().output(), 'access'), [], 'switched off')
  await covina.restart()
})

await t.test('a service that is not there is told apart from an agent that is not there', async (t) => {
  await service[Symbol.asyncDispose]()
  const noService = await eventually('covina’s agent finds nobody', async () => {
    const answer = await fetch(url)
    return answer.status === 503 ? ((await answer.json()) as Record<string, unknown>) : undefined
  })
  t.match(noService, { code: 'service_unreachable', side: 'callee', rule: 'service' })
  await eventually('covina says that it is not ready', async () => !(await covina.isReady()))
  await covina.process().stop()
  const noAgent = await fetch(url)
  t.equal(noAgent.status, 502)
  t.match(await noAgent.json(), { code: 'upstream_unreachable', side: 'caller' })
  await eventually(
    'argus has nothing open',
    async () => metric(await argus.metrics(), 'vcc_agent_connections_open') === 0,
  )
})
