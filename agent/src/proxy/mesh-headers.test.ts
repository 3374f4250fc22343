import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { testPki } from '@vcc/testkit'
import { parseDictionary } from 'structured-headers'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { isIdentityHeader } from './http-head.ts'
import {
  bodyOf,
  connectPlain,
  eventually,
  leafOf,
  MATRIX,
  MATRIX_WITHOUT_EDGE,
  meshUpstream,
  readToEnd,
  type ServiceHandler,
  startAgent,
  startPair,
  startService,
  tlsClient,
} from './testing/mesh.ts'
import { curl, openssl } from './testing/openssl.ts'

/** Tells everything it was sent, headers as they came. */
const mirror: ServiceHandler = async (incoming, response) => {
  const body = await bodyOf(incoming)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ method: incoming.method, url: incoming.url, raw: incoming.rawHeaders, body }))
}

interface Mirrored {
  readonly method: string
  readonly url: string
  readonly raw: readonly string[]
  readonly body: string
}

function valuesOf({ raw }: Mirrored, name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name)
}

/** Sends bytes as they are; returns all that came back. */
async function exchangeRaw(port: number, text: string): Promise<string> {
  const socket = connectPlain(port)
  socket.write(text, 'latin1')
  return (await readToEnd(socket)).bytes.toString('latin1')
}

const SPOOFED = [
  'x-vcc-caller',
  'X-VCC-Caller',
  'x_vcc_caller',
  'X-Vcc_Caller',
  'x-vcc-anything',
  'X-Forwarded-Client-Cert',
  'x_forwarded_client_cert',
  'X-Client-Certificate',
  'x-client-cert-dn',
  'Client-Cert',
  'client-cert-chain',
  'CLIENT_CERT',
  'X-SSL-Client-S-DN',
  'ssl-client-verify',
  'l5d-client-id',
  'X-SPIFFE-ID',
]

test('mesh-5d whatever a caller says about its identity is removed in any spelling, and exactly one header is set', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const headers = [
    'Host',
    'covina',
    'Accept',
    'x/y',
    ...SPOOFED.flatMap((name) => [name, 'id="spiffe://vcc.internal/control"']),
  ]
  const said = headers.reduce(
    (text, part, i) => (i % 2 === 0 ? `${text}${part}: ` : `${text}${part}\r\n`),
    'GET /who HTTP/1.1\r\n',
  )

  const viaAgent = await exchangeRaw(mesh.port, `${said}Connection: close\r\n\r\n`)
  const direct = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), {
    ALPNProtocols: ['http/1.1'],
  })
  direct.write(`${said}Connection: close\r\n\r\n`)
  const withoutAgent = (await readToEnd(direct)).bytes.toString()

  for (const answer of [viaAgent, withoutAgent]) {
    const seen = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as Mirrored
    const names = seen.raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
    expect(names.filter(isIdentityHeader)).toEqual(['x-vcc-caller'])
    expect(valuesOf(seen, 'accept')).toEqual(['x/y'])
    const [caller] = valuesOf(seen, 'x-vcc-caller')
    const dictionary = parseDictionary(caller ?? '')
    expect(dictionary.get('id')?.[0]).toBe('spiffe://vcc.internal/org/brandenburg/svc/argus')
    expect(dictionary.get('class')?.[0]).toBe('mtls_certificate')
  }
})

test('mesh-5d what CGI would take for the framing of the message does not arrive; other underscores do', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const disguised = ['Content_Length: 9', 'Transfer_Encoding: chunked', 'CONTENT_TYPE: a/b', 'Proxy_Connection: close']
  const lines = ['GET / HTTP/1.1', 'Host: [::1]:80', ...disguised, 'X_Request_Id: 1', 'Connection: close']
  const answer = await exchangeRaw(mesh.port, `${lines.join('\r\n')}\r\n\r\n`)
  const seen = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as Mirrored
  const names = seen.raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  expect(names).toEqual(['host', 'connection', 'x_request_id', 'x-vcc-caller'])
})

test('mesh-5d the caller learns nothing that looks like an identity from a response either', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => {
      for (const name of SPOOFED) response.setHeader(name, 'spiffe://vcc.internal/control')
      response.setHeader('x-kept', 'yes')
      response.setHeader('set-cookie', ['a=1', 'b=2'])
      response.end()
    },
  })
  const response = await request(`http://127.0.0.1:${mesh.port}/`)
  await response.body.text()
  expect(Object.keys(response.headers).filter(isIdentityHeader)).toEqual([])
  expect(response.headers['x-kept']).toBe('yes')
  expect(response.headers['set-cookie']).toEqual(['a=1', 'b=2'])
})

test('mesh-5d permissions of the matrix reach the callee as an RFC 8941 list', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror, callee: 'clara' })
  const client = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'covina'), { ALPNProtocols: [] })
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const answer = (await readToEnd(client)).bytes.toString()
  const seen = JSON.parse(answer.slice(answer.indexOf('{'))) as Mirrored
  expect(valuesOf(seen, 'x-vcc-caller')).toEqual([
    'id="spiffe://vcc.internal/org/brandenburg/svc/covina", class="management_core_certificate", permissions=("uds3_backend" "registry_management")',
  ])
})

// Heads that two servers could read differently. Each is refused before the service, by either agent.
const ambiguous: readonly { name: string; head: string; status: number; code: string }[] = [
  {
    name: 'Content-Length beside Transfer-Encoding',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'Transfer-Encoding beside Content-Length',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    // Node's parser stops collecting fields past its count; it must not then hand on the ones before.
    name: 'a second Host behind 1,500 other fields',
    head: `GET / HTTP/1.1\r\nHost: a\r\n${'a:\r\n'.repeat(1500)}Host: b\r\n\r\n`,
    status: 431,
    code: 'request_head_too_large',
  },
  {
    name: 'two Content-Length',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'a Content-Length that is a list',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'a signed Content-Length',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'another transfer coding',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'framing_ambiguous',
  },
  {
    name: 'a transfer coding that hides',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'framing_ambiguous',
  },
  {
    name: 'two Transfer-Encoding',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'a transfer coding in HTTP/1.0',
    head: 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 400,
    code: 'framing_ambiguous',
  },
  { name: 'two Host', head: 'GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n', status: 400, code: 'host_ambiguous' },
  ...['a b', 'a, b', 'a,b', 'a/b', 'b@a', 'a:b', 'a:1:2', '[::1', 'a\\b', 'a#b', 'a?b'].map((host) => ({
    name: `Host ${host}`,
    head: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    status: 400,
    code: 'host_invalid',
  })),
  { name: 'no Host', head: 'GET / HTTP/1.1\r\n\r\n', status: 400, code: 'host_ambiguous' },
  {
    name: 'a folded header',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'a bare CR',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  { name: 'a bare LF', head: 'GET / HTTP/1.1\nHost: a\n\n', status: 400, code: 'request_malformed' },
  {
    name: 'a space before the colon',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'a NUL in a value',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'Connection that names Host',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, host\r\n\r\n',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'Connection that names Content-Length',
    head: 'POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\nx',
    status: 400,
    code: 'request_malformed',
  },
  {
    name: 'an absolute target',
    head: 'GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n',
    status: 400,
    code: 'path_not_canonical',
  },
  {
    name: 'a head that is too large',
    head: `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    status: 431,
    code: 'request_head_too_large',
  },
  {
    name: 'a websocket upgrade',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    status: 501,
    code: 'upgrade_refused',
  },
  { name: 'CONNECT', head: 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', status: 400, code: 'request_malformed' },
  {
    name: 'an expectation nobody knows',
    head: 'GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n',
    status: 417,
    code: 'expectation_refused',
  },
  { name: 'another version', head: 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', status: 400, code: 'request_malformed' },
]

test('mesh-5d heads that can be read in two ways are refused on both sides of the mesh and never reach the service', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const seen: string[] = []
  for (const { name, head } of ambiguous) {
    const direct = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), {
      ALPNProtocols: [],
    })
    direct.write(head, 'latin1')
    const answers = [await exchangeRaw(mesh.port, head), (await readToEnd(direct)).bytes.toString()]
    for (const answer of answers) {
      seen.push(`${name}: ${/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]} ${/"code":"(\w+)"/.exec(answer)?.[1]}`)
    }
  }
  expect(seen).toEqual(ambiguous.flatMap(({ name, status, code }) => Array(2).fill(`${name}: ${status} ${code}`)))
  expect(mesh.service.accepted()).toBe(0)
})

test('mesh-5d a request smuggled behind another one is never seen', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const smuggled =
    'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  expect(await exchangeRaw(mesh.port, smuggled)).not.toContain('smuggled')
  expect(mesh.service.accepted()).toBe(0)
})

const paths: readonly { path: string; becomes: string | 400 }[] = [
  { path: '/', becomes: '/' },
  { path: '/a/b.c/~d?x=//../%2F', becomes: '/a/b.c/~d?x=//../%2F' },
  { path: '/%61%7E/%c3%a4', becomes: '/a~/%C3%A4' },
  { path: '/a%20b', becomes: '/a%20b' },
  { path: '/...', becomes: '/...' },
  { path: '/a%2Fb', becomes: 400 },
  { path: '/a%2fb', becomes: 400 },
  { path: '/a%5Cb', becomes: 400 },
  { path: '/a\\b', becomes: 400 },
  { path: '//a', becomes: 400 },
  { path: '/a//b', becomes: 400 },
  { path: '/a/../b', becomes: 400 },
  { path: '/a/%2e%2E/b', becomes: 400 },
  { path: '/a/..', becomes: 400 },
  { path: '/a/./b', becomes: 400 },
  { path: '/a#b', becomes: 400 },
  { path: '/a%00', becomes: 400 },
  { path: '/a%zz', becomes: 400 },
  { path: '/a%2', becomes: 400 },
  { path: '/a%252Fb', becomes: 400 },
  { path: '/a%252fb', becomes: 400 },
  { path: '/%252e%252e/b', becomes: 400 },
  { path: '*', becomes: 400 },
  { path: 'a', becomes: 400 },
]

test('mesh-5d the path that is checked is the path that is forwarded, and others are refused', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const seen: (string | number)[] = []
  for (const { path } of paths) {
    const answer = await exchangeRaw(mesh.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    const url = /"url":"([^"]*)"/.exec(answer)?.[1]
    seen.push(url ?? Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]))
  }
  expect(seen).toEqual(paths.map(({ becomes }) => becomes))
})

test('mesh-5d hop-by-hop headers and those that Connection names do not go on, in either direction', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => {
      response.setHeader('x-private', 'secret')
      response.setHeader('connection', 'x-private')
      response.setHeader('proxy-authenticate', 'Basic')
      response.setHeader('x-request', JSON.stringify(incoming.rawHeaders))
      response.end()
    },
  })
  const answer = await exchangeRaw(
    mesh.port,
    'GET / HTTP/1.1\r\nHost: covina:8000\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n' +
      'Proxy-Authorization: Basic eA==\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Other: 2\r\n\r\n',
  )
  const sent = /x-request: (.*)\r\n/.exec(answer)?.[1] ?? '[]'
  const names = (JSON.parse(sent) as string[]).filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  expect(names).toEqual(['host', 'connection', 'x-other', 'x-vcc-caller'])
  expect(sent).toContain('covina:8000')
  expect(answer).not.toMatch(/x-private: secret|proxy-authenticate/)
})

test('mesh-5d a refused caller gets a problem document that names rule and side', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror, callerState: { matrix: MATRIX_WITHOUT_EDGE } })
  const response = await request(`http://127.0.0.1:${mesh.port}/`, { method: 'POST', body: 'x' })
  expect(response.statusCode).toBe(403)
  expect(response.headers['content-type']).toBe('application/problem+json')
  expect(await response.body.json()).toMatchObject({
    type: 'urn:vcc:problem:not_allowed',
    status: 403,
    code: 'not_allowed',
    rule: 'default-deny',
    side: 'caller',
    source: 'spiffe://vcc.internal/org/brandenburg/svc/argus',
    target: 'spiffe://vcc.internal/org/brandenburg/svc/covina',
  })
})

test('mesh-5d a refusal of the callee reaches the caller with the rule, and the same connection in both records', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror, calleeState: { matrix: MATRIX_WITHOUT_EDGE } })
  const response = await request(`http://127.0.0.1:${mesh.port}/`)
  expect(response.statusCode).toBe(403)
  const problem = (await response.body.json()) as { connection: string }
  expect(problem).toMatchObject({ code: 'not_allowed', rule: 'default-deny', side: 'callee' })
  await mesh.callee.record(({ connection, result }) => connection === problem.connection && result === 'refused')
  expect(mesh.service.accepted()).toBe(0)
})

test('mesh-5d curl with a certificate is served, without one it is refused with the reason', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const url = `https://127.0.0.1:${mesh.callee.inboundPort()}/from/curl`
  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const served = await curl(['-k', '--cert', files.cert, '--key', files.key, url])
  expect(JSON.parse(served)).toMatchObject({ url: '/from/curl' })
  const nobody = await curl(['-k', '-w', ' %{http_code} %{content_type}', url])
  expect(nobody).toMatch(/"code":"certificate_missing".* 403 application\/problem\+json$/)
  const other = await openssl.files(mesh.pki.service('vpb', { class: 1 }), mesh.pki)
  const wrongClass = await curl(['-k', '--cert', other.cert, '--key', other.key, '-w', ' %{http_code}', url])
  expect(wrongClass).toMatch(/"code":"source_class_mismatch".*"side":"callee".* 403$/)
})

test('mesh-5d openssl s_client speaks HTTP to a service through its agent', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const output = await openssl.client(
    [...files.args, '-connect', `127.0.0.1:${mesh.callee.inboundPort()}`, '-quiet', '-ign_eof'],
    'GET /s_client HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  )
  expect(output).toContain('"url":"/s_client"')
})

test('mesh-5d bodies stream both ways before either is complete', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => {
      response.writeHead(200)
      incoming.on('data', (chunk: Buffer) => response.write(chunk.toString().toUpperCase()))
      incoming.on('end', () => response.end())
    },
  })
  const outgoing = httpRequest({ port: mesh.port, method: 'POST', path: '/' })
  outgoing.write('one')
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  let text = ''
  response.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await eventually(() => (text === 'ONE' ? true : undefined))
  outgoing.write('two')
  await eventually(() => (text === 'ONETWO' ? true : undefined))
  outgoing.end()
  await once(response, 'end')
})

test('mesh-5d large bodies arrive unchanged both ways, with a length and in chunks', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => void incoming.pipe(response),
  })
  const sent = randomBytes(5_000_000)
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  for (const body of [
    sent,
    (async function* () {
      yield sent
    })(),
  ]) {
    const response = await request(`http://127.0.0.1:${mesh.port}/`, { method: 'PUT', body: body as Buffer })
    expect(hash(await response.body.bytes())).toBe(hash(sent))
  }
})

test('mesh-5d trailers of a response are passed on, with what identities they claim removed', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => {
      response.writeHead(200, { trailer: 'x-checksum' })
      response.write('x')
      response.addTrailers({ 'x-checksum': 'abc', 'x-vcc-caller': 'spoofed' })
      response.end()
    },
  })
  const outgoing = httpRequest({ port: mesh.port, path: '/' }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  await bodyOf(response)
  expect(response.trailers).toEqual({ 'x-checksum': 'abc' })
})

test('mesh-5d HEAD, 204 and 304 have no body, and Content-Length of HEAD is kept', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (incoming, response) => {
      const status = Number(incoming.url?.slice(1))
      response.writeHead(status, incoming.method === 'HEAD' ? { 'content-length': 1234 } : {}).end()
    },
  })
  const head = await request(`http://127.0.0.1:${mesh.port}/200`, { method: 'HEAD' })
  expect([head.statusCode, head.headers['content-length'], await head.body.text()]).toEqual([200, '1234', ''])
  for (const status of [204, 304]) {
    const response = await request(`http://127.0.0.1:${mesh.port}/${status}`)
    expect([response.statusCode, await response.body.text()]).toEqual([status, ''])
  }
})

test('mesh-5d 100-continue comes once somebody takes the body, and not for a refused call', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  const ask = async () => {
    const outgoing = httpRequest({
      port: mesh.port,
      method: 'POST',
      path: '/',
      headers: { expect: '100-continue', 'content-length': 4 },
    })
    let continued = false
    outgoing.on('continue', () => {
      continued = true
      outgoing.end('body')
    })
    outgoing.on('error', () => undefined)
    outgoing.flushHeaders()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    const text = await bodyOf(response)
    outgoing.destroy()
    return { continued, status: response.statusCode, text }
  }
  const allowed = await ask()
  expect(allowed).toMatchObject({ continued: true, status: 200 })
  expect(JSON.parse(allowed.text)).toMatchObject({ body: 'body' })
  await mesh.caller.change({ matrix: MATRIX_WITHOUT_EDGE })
  expect(await ask()).toMatchObject({ continued: false, status: 403 })
  await mesh.caller.change({ matrix: MATRIX })
  await mesh.service[Symbol.asyncDispose]()
  expect(await ask()).toMatchObject({ status: 503 })
})

test('mesh-5d connections are shared by requests on every hop', async () => {
  await using mesh = await startPair({ mode: 'http', onRequest: mirror })
  for (let i = 0; i < 20; i += 1) {
    const response = await request(`http://127.0.0.1:${mesh.port}/${i}`)
    expect(((await response.body.json()) as Mirrored).url).toBe(`/${i}`)
  }
  expect(mesh.callee.handshakes).toEqual(['inbound ok'])
  expect(mesh.service.accepted()).toBe(1)
})

test('mesh-5d an answer that breaks off is a failed connection, not a short body', async () => {
  await using mesh = await startPair({
    mode: 'http',
    onRequest: (_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('half')
      setTimeout(() => response.destroy(), 50)
    },
  })
  const socket = connectPlain(mesh.port)
  socket.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
  const { bytes, error } = await readToEnd(socket)
  expect(bytes.toString()).toMatch(/half$/)
  expect(error).toBe('ECONNRESET')
  await mesh.callee.record(({ code, unit }) => unit === 'request' && code === 'service_failed')
})

test('mesh-5d what cannot be reached, and what does not answer, has its own code and status', async () => {
  await using mesh = await startPair({
    mode: 'http',
    limits: { responseMs: 1_000 },
    onRequest: (incoming, response) => {
      if (incoming.url === '/break') response.destroy()
    },
  })
  const ask = async (path: string, method: 'GET' | 'POST' = 'POST') => {
    const response = await request(`http://127.0.0.1:${mesh.port}${path}`, { method })
    const { code, side } = (await response.body.json()) as { code: string; side: string }
    return `${response.statusCode} ${code} ${side}`
  }
  expect(await ask('/break')).toBe('502 service_failed callee')
  expect(await ask('/hang')).toBe('504 service_timeout callee')
  await mesh.service[Symbol.asyncDispose]()
  expect(await ask('/')).toBe('503 service_unreachable callee')
  await mesh.callee[Symbol.asyncDispose]()
  expect(await ask('/')).toBe('502 upstream_unreachable caller')
  await mesh.caller.change({ enforceUntil: new Date(Date.now() - 1_000) })
  expect(await ask('/')).toBe('503 state_expired caller')
})

test.each(['gzip, chunked', 'chunked, chunked', 'chunked\r\nTransfer-Encoding: chunked', 'xchunked', 'identity'])(
  'mesh-5d an answer in the transfer coding %j is an answer of a broken service',
  async (coding) => {
    const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n4\r\nbody\r\n0\r\n\r\n`
    const pki = testPki()
    await using service = await startService({ onTcp: (socket) => socket.on('data', () => socket.end(answer)) })
    await using covina = await startAgent(pki, { service: 'covina', mode: 'http', targetPort: service.port })
    const upstreams = [meshUpstream(pki, 'covina', 'http', [covina.inboundPort()])]
    await using argus = await startAgent(pki, { service: 'argus', mode: 'http', upstreams })
    const response = await request(`http://127.0.0.1:${argus.outboundPort('covina')}/`)
    expect([response.statusCode, await response.body.json()]).toMatchObject([502, { code: 'service_failed' }])
  },
)

test('mesh-5d a CONNECT behind a request keeps neither its answer nor its end', async () => {
  const body = Buffer.alloc(12 * 1024 * 1024, 'x')
  await using mesh = await startPair({ mode: 'http', onRequest: (_incoming, response) => void response.end(body) })
  const both = 'GET /big HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'
  const socket = connectPlain(mesh.port)
  let octets = 0
  socket.on('data', (chunk: Buffer) => (octets += chunk.length))
  socket.write(both)
  await eventually(() => octets > body.length || undefined)

  const leaving = connectPlain(mesh.port)
  leaving.write(both)
  await new Promise((resolve) => leaving.once('data', resolve))
  leaving.pause().destroy()
  // Both requests are over, the second one because whoever asked has left.
  const over = () => mesh.caller.records.filter(({ http }) => http?.method === 'GET').length
  await eventually(() => over() === 2 || undefined)
})

test('mesh-5d requests sent at once reach the service one after the other, and are answered in that order', async () => {
  const seen: string[] = []
  await using mesh = await startPair({
    mode: 'http',
    onRequest: async (incoming, response) => {
      const { url = '' } = incoming
      seen.push(url)
      await bodyOf(incoming).catch(() => undefined)
      await sleep(url === '/1' ? 300 : 0)
      seen.push(`${url} done`)
      response.end(url)
    },
  })
  const one = (path: string, more = '') => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n${more}\r\nx`
  await exchangeRaw(mesh.port, one('/1') + one('/2') + one('/3', 'Connection: close\r\n'))
  expect(seen).toEqual(['/1', '/1 done', '/2', '/2 done', '/3', '/3 done'])

  const chunked = 'POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx'
  for (const broken of ['GET /\0 HTTP/1.1\r\n\r\n', chunked, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n']) {
    seen.length = 0
    const answers = await exchangeRaw(mesh.port, one('/1') + broken)
    expect(answers).toMatch(/^HTTP\/1\.1 200 [^]*\/1HTTP\/1\.1 400 /)
    expect(seen).toEqual(['/1', '/1 done'])
  }

  seen.length = 0
  const answers = await exchangeRaw(mesh.port, one('/1') + one('/2').repeat(99))
  expect(answers.match(/HTTP\/1\.1 200 /g)?.length).toBe(65)
  expect(answers.match(/HTTP\/1\.1 503 /g)?.length).toBe(1) // which ends the connection
})
