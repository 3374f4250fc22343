import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { testPki, type WrongLeaf, wrongLeaf } from '@vcc/testkit'
import { expect, test } from 'vitest'
import {
  answerOf,
  connectPlain,
  eventually,
  idOf,
  issuerRow,
  leafOf,
  MATRIX_WITHOUT_EDGE,
  meshUpstream,
  readToEnd,
  refusalCode,
  startAgent,
  startPair,
  startTlsServer,
  tlsClient,
} from './testing/mesh.ts'
import { openssl } from './testing/openssl.ts'

test('mesh-H1 a client that says nothing is disconnected, and leaves nothing behind', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { handshakeMs: 1_500 } })
  const silent = Array.from({ length: 5 }, () => connectPlain(mesh.callee.inboundPort()))
  await eventually(() => (mesh.callee.plane.status().connections.handshakes === 5 ? true : undefined))
  await Promise.all(silent.map(readToEnd))
  await eventually(() => (mesh.callee.plane.status().connections.handshakes === 0 ? true : undefined))
  expect(mesh.callee.handshakes.filter((result) => result === 'inbound timeout')).toHaveLength(5)
})

test('mesh-H1 a client that stops in the middle of its handshake is disconnected', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { handshakeMs: 1_500 } })
  const socket = connectPlain(mesh.callee.inboundPort())
  socket.write(Buffer.from('160301020001', 'hex')) // a record header, and the beginning of a ClientHello
  await readToEnd(socket)
  await eventually(() => (mesh.callee.plane.status().connections.handshakes === 0 ? true : undefined))
})

test('mesh-H1 silent and garbage clients do not keep others out, and are capped per address', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { maxHandshakesPerAddress: 8 } })
  const silent = Array.from({ length: 7 }, () => connectPlain(mesh.callee.inboundPort()))
  await eventually(() => (mesh.callee.plane.status().connections.handshakes === 7 ? true : undefined))
  for (let i = 0; i < 20; i += 1) {
    const garbage = connectPlain(mesh.callee.inboundPort())
    garbage.write('GET / HTTP/1.1\r\n\r\n')
    await readToEnd(garbage)
  }
  const served = connectPlain(mesh.port)
  served.end('x')
  expect((await readToEnd(served)).bytes.toString()).toBe('x')

  const eighth = connectPlain(mesh.callee.inboundPort())
  await eventually(() => (mesh.callee.plane.status().connections.handshakes === 8 ? true : undefined))
  expect((await readToEnd(connectPlain(mesh.callee.inboundPort()))).error).toBe('ECONNRESET')
  for (const socket of [...silent, eighth]) socket.destroy()
})

test('mesh-H1 the outbound side gives up on an agent that does not shake hands, or does not answer', async () => {
  const pki = testPki()
  const open = new Set<Socket>()
  const silent = createServer((socket) => open.add(socket))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const noAnswer = { ALPNProtocols: ['vcc/1'] }
  await using mute = await startTlsServer(pki, leafOf(pki, 'covina'), noAnswer, (socket) => socket.resume())
  for (const to of [port, mute.port]) {
    await using argus = await startAgent(pki, {
      service: 'argus',
      mode: 'tcp',
      upstreams: [meshUpstream(pki, 'covina', 'tcp', [to])],
      limits: { handshakeMs: 200, answerMs: 200 },
    })
    expect((await readToEnd(connectPlain(argus.outboundPort('covina')))).error).toBe('ECONNRESET')
    await argus.record(({ code }) => code === 'upstream_timeout')
  }
  for (const socket of open) socket.destroy()
  silent.close()
})

test('mesh-H2 the application sees a failed connection, not an empty success, when the callee refuses', async () => {
  await using mesh = await startPair({ mode: 'tcp', calleeState: { matrix: MATRIX_WITHOUT_EDGE } })
  const socket = connectPlain(mesh.port)
  socket.write('sent at once')
  const { bytes, error } = await readToEnd(socket)
  expect({ length: bytes.length, error }).toEqual({ length: 0, error: 'ECONNRESET' })
  const out = await mesh.caller.record(({ direction }) => direction === 'outbound')
  const into = await mesh.callee.record(({ direction }) => direction === 'inbound')
  expect(out).toMatchObject({ result: 'refused', code: 'not_allowed', rule: 'default-deny', bytesOut: 0 })
  expect(into).toMatchObject({
    result: 'refused',
    code: 'not_allowed',
    rule: 'default-deny',
    connection: out.connection,
  })
  expect(mesh.service.accepted()).toBe(0)
})

test('mesh-H2 a dead service is a failed connection and has its own code', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  await mesh.service[Symbol.asyncDispose]()
  expect((await readToEnd(connectPlain(mesh.port))).error).toBe('ECONNRESET')
  await mesh.caller.record(({ code }) => code === 'service_unreachable')
  await mesh.callee.record(({ code }) => code === 'service_unreachable')
})

// What the certificate of a peer can be, and the one reason told for it. `server`: shown by the service called.
const peers: readonly { name: WrongLeaf; code: string; server?: string }[] = [
  { name: 'two-uris', code: 'uri_san_multiple' },
  { name: 'no-uri', code: 'uri_san_missing' },
  { name: 'not-a-spiffe-uri', code: 'spiffe_id_invalid' },
  { name: 'foreign-trust-domain', code: 'name_not_permitted' },
  { name: 'foreign-organization', code: 'issuer_org_not_vouched' },
  { name: 'no-class', code: 'class_missing' },
  { name: 'two-classes', code: 'class_ambiguous' },
  { name: 'class-not-granted', code: 'class_missing' },
  { name: 'expired', code: 'certificate_expired' },
  { name: 'not-yet-valid', code: 'certificate_not_yet_valid' },
  { name: 'unknown-ca', code: 'issuer_unknown' },
  { name: 'issuer-not-in-table', code: 'issuer_not_in_table' },
  { name: 'partner-for-ours', code: 'name_not_permitted' },
  { name: 'ca-as-leaf', code: 'leaf_is_a_ca' },
  { name: 'leaf-with-ca-bit', code: 'leaf_is_a_ca' },
  { name: 'issued-by-a-leaf', code: 'issuer_not_a_ca' },
  { name: 'server-only', code: 'eku_missing', server: 'carried' },
  { name: 'client-only', code: 'carried', server: 'eku_missing' },
  { name: 'state-eku-from-services-ca', code: 'eku_not_granted' },
  { name: 'outside-dns-names', code: 'name_not_permitted' },
  { name: 'with-an-address', code: 'name_excluded' },
  { name: 'from-admin-ca', code: 'eku_not_granted' },
  { name: 'broken-signature', code: 'certificate_signature_invalid' },
  { name: 'san-injection', code: 'spiffe_id_invalid' },
]

test('mesh-H3 each wrong certificate of a caller has its own reason, told to it and written down', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const told: string[] = []
  for (const { name } of peers) {
    const socket = await tlsClient(
      mesh.callee.inboundPort(),
      mesh.pki,
      wrongLeaf(mesh.pki, name, 'argus', { class: 1 }),
    )
    told.push(`${name}: ${refusalCode(await answerOf(socket))}`)
    socket.destroy()
  }
  expect(told).toEqual(peers.map(({ name, code }) => `${name}: ${code === 'carried' ? 'OK' : code}`))
  const refused = peers.filter(({ code }) => code !== 'carried').map(({ code }) => code)
  await eventually(() => (mesh.callee.records.length >= refused.length ? true : undefined))
  expect(mesh.callee.records.filter(({ result }) => result === 'refused').map(({ code }) => code)).toEqual(refused)
  expect(mesh.service.accepted()).toBe(1)
})

test('mesh-H3 each wrong certificate of the service called has its own reason', async () => {
  const pki = testPki()
  const seen: string[] = []
  for (const { name, code, server = code } of peers) {
    const shown = wrongLeaf(pki, name, 'covina', { class: 2 })
    await using covina = await startTlsServer(pki, shown, { ALPNProtocols: ['vcc/1'] }, (socket) => {
      socket.end(Buffer.from('OK'))
    })
    await using argus = await startAgent(pki, {
      service: 'argus',
      mode: 'tcp',
      upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.port])],
    })
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.end()
    await readToEnd(socket)
    const record = await argus.record(({ direction }) => direction === 'outbound')
    seen.push(`${name}: ${server === 'carried' ? record.result : record.code}`)
  }
  expect(seen).toEqual(peers.map(({ name, code, server = code }) => `${name}: ${server}`))
})

test('mesh-H3 the issuer table vouches for class and purpose too', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const argus = leafOf(mesh.pki, 'argus')
  const cases = [
    { change: { classes: mesh.pki.classOids.slice(1) }, code: 'issuer_class_not_vouched' },
    { change: { purposes: ['node'] }, code: 'issuer_purpose_not_vouched' },
    { change: { organizations: ['sachsen'] }, code: 'issuer_org_not_vouched' },
    { change: { trustDomain: 'partner.example' }, code: 'trust_domain_foreign' },
    { change: {}, code: 'OK' },
  ]
  for (const { change, code } of cases) {
    await mesh.callee.change({ issuers: [{ ...issuerRow(mesh.pki), ...change }] })
    const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, argus)
    expect(refusalCode(await answerOf(socket))).toBe(code)
    socket.destroy()
  }
})

test('mesh-H4 a right certificate of another service is not the service called', async () => {
  const pki = testPki()
  await using clara = await startTlsServer(pki, leafOf(pki, 'clara'), { ALPNProtocols: ['vcc/1'] }, (socket) => {
    socket.end(Buffer.from('OK'))
  })
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [clara.port])],
  })
  expect((await readToEnd(connectPlain(argus.outboundPort('covina')))).error).toBe('ECONNRESET')
  const record = await argus.record(({ code }) => code === 'peer_not_expected')
  expect(record.detail).toContain(idOf(pki, 'clara'))
})

test('mesh-H5 nothing of the caller reaches a server before its identity is accepted', async () => {
  const pki = testPki()
  let received = 0
  const impostors = [
    leafOf(pki, 'clara'),
    wrongLeaf(pki, 'unknown-ca', 'covina', { class: 2 }),
    pki.service('covina', { class: 1 }),
  ]
  for (const impostor of impostors) {
    await using server = await startTlsServer(pki, impostor, { ALPNProtocols: ['vcc/1'] }, (socket) => {
      socket.on('data', (chunk: Buffer) => (received += chunk.length))
      socket.write('OK')
    })
    await using argus = await startAgent(pki, {
      service: 'argus',
      mode: 'tcp',
      upstreams: [meshUpstream(pki, 'covina', 'tcp', [server.port])],
    })
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.write('a secret')
    expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  }
  expect(received).toBe(0)
})

test('mesh-H5 the service is not dialled before the caller is accepted', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'vpb'))
  expect(await answerOf(socket)).toBe('OK')
  socket.destroy()
  const denied = await tlsClient(mesh.callee.inboundPort(), mesh.pki, mesh.pki.service('vpb', { class: 1 }))
  denied.write('early')
  expect(refusalCode(await answerOf(denied))).toBe('source_class_mismatch')
  expect(mesh.service.accepted()).toBe(1)
})

test('mesh-H6 names that only look like a service that is allowed are not that service', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const uri = idOf(mesh.pki, 'argus')
  const lookalikes: [string, string][] = [
    [`${uri}b`, 'not_allowed'],
    [`${uri}-2`, 'not_allowed'],
    [uri.slice(0, -1), 'not_allowed'],
    [`${uri}/`, 'spiffe_id_invalid'],
    [`${uri}?x`, 'spiffe_id_invalid'],
    [`${uri}%62`, 'spiffe_id_invalid'],
    [uri.replace('/argus', '/Argus'), 'spiffe_id_invalid'],
    [uri.replace('/svc/', '/svc//'), 'spiffe_id_invalid'],
    [`${uri}, URI:${idOf(mesh.pki, 'vpb')}`, 'spiffe_id_invalid'],
  ]
  for (const [name, code] of lookalikes) {
    const leaf = mesh.pki.service('argus', { class: 1, uris: [name] })
    const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leaf)
    expect(`${name}: ${refusalCode(await answerOf(socket))}`).toBe(`${name}: ${code}`)
    socket.destroy()
  }
  expect(mesh.service.accepted()).toBe(0)
})

test('mesh-H6 an instance without a proper name is refused', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  for (const instance of ['argus', 'UPPERCASE0000000', '../up/status0000', 'a'.repeat(17)]) {
    const socket = await tlsClient(
      mesh.callee.inboundPort(),
      mesh.pki,
      mesh.pki.service('argus', { class: 1, instance }),
    )
    expect(refusalCode(await answerOf(socket))).toBe('instance_invalid')
  }
})

test('mesh-H7 TLS 1.2 is refused on both sides', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const output = await openssl.client([...files.args, '-connect', `127.0.0.1:${mesh.callee.inboundPort()}`, '-tls1_2'])
  expect(output).toMatch(/alert protocol version/)

  const old = { ALPNProtocols: ['vcc/1'], maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const
  await using covina = await startTlsServer(mesh.pki, leafOf(mesh.pki, 'covina'), old, (socket) => socket.end('OK'))
  await using argus = await startAgent(mesh.pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(mesh.pki, 'covina', 'tcp', [covina.port])],
  })
  expect((await readToEnd(connectPlain(argus.outboundPort('covina')))).error).toBe('ECONNRESET')
  await argus.record(({ code }) => code === 'upstream_failed')
})

test('mesh-H8 no server name is sent and none is believed; a stray protocol fails in the handshake', async () => {
  const pki = testPki()
  const names: unknown[] = []
  await using covina = await startTlsServer(pki, leafOf(pki, 'covina'), { ALPNProtocols: ['vcc/1'] }, (socket) => {
    names.push('servername' in socket ? socket.servername : undefined)
    socket.end('OK')
  })
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.port], 'localhost')],
  })
  const socket = connectPlain(argus.outboundPort('covina'))
  socket.end()
  await readToEnd(socket)
  expect(names).toEqual([false])

  await using mesh = await startPair({ mode: 'tcp' })
  const claimed = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'veritas'), {
    servername: 'argus.vcc.internal',
  })
  expect(await answerOf(claimed)).toBe('OK')
  claimed.destroy()
  await mesh.callee.record(({ source }) => source.id === idOf(mesh.pki, 'veritas'))

  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const at = ['-connect', `127.0.0.1:${mesh.callee.inboundPort()}`]
  expect(await openssl.client([...files.args, ...at, '-alpn', 'h2'])).toMatch(/no application protocol/)
})

test('mesh-H8 a server that does not choose our protocol is not taken for an agent', async () => {
  const pki = testPki()
  await using covina = await startTlsServer(pki, leafOf(pki, 'covina'), {}, (socket) => socket.end('OK'))
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.port])],
  })
  expect((await readToEnd(connectPlain(argus.outboundPort('covina')))).error).toBe('ECONNRESET')
  await argus.record(({ code }) => code === 'protocol_not_spoken')
})
