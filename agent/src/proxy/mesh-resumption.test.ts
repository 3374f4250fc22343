import { once } from 'node:events'
import { testPki } from '@vcc/testkit'
import { expect, test } from 'vitest'
import { judgePeer } from './gate.ts'
import { createSnapshot } from './snapshot.ts'
import {
  answerOf,
  connectPlain,
  eventually,
  leafOf,
  MATRIX_WITHOUT_EDGE,
  meshUpstream,
  readToEnd,
  refusalCode,
  snapshotInput,
  startAgent,
  startPair,
  startTlsServer,
  tlsClient,
} from './testing/mesh.ts'
import { openssl } from './testing/openssl.ts'
import { TLS_SETTINGS } from './tls.ts'
import { encodeOk } from './wire.ts'

test('mesh-R1 a change that no longer allows a live connection closes it, one that still does leaves it', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  await once(socket, 'data')
  await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
  await mesh.caller.change({})
  socket.write('y')
  await once(socket, 'data')

  await mesh.callee.change({ matrix: MATRIX_WITHOUT_EDGE })
  const { error } = await readToEnd(socket)
  expect(error).toBe('ECONNRESET')
  const record = await mesh.callee.record(({ direction }) => direction === 'inbound')
  expect(record).toMatchObject({ result: 'cut', code: 'not_allowed', rule: 'default-deny', bytesIn: 2, bytesOut: 2 })
  expect(record.generation).toBe(mesh.callee.plane.status().generation)
})

test('mesh-R1 a live connection is closed when its issuer leaves the issuer table', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const socket = connectPlain(mesh.port)
  socket.write('x')
  await once(socket, 'data')
  await mesh.callee.change({ issuers: [] })
  expect((await readToEnd(socket)).error).toBe('ECONNRESET')
  await mesh.callee.record(({ code }) => code === 'issuer_not_in_table')
})

test('mesh-R2 mesh-R3 a session saved at any setting is never resumed, before and after a swap', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const client = leafOf(mesh.pki, 'argus')

  // A server with the same certificate and issuer that does hand out tickets.
  const tickets = { minVersion: 'TLSv1.3', ticketKeys: Buffer.alloc(48, 1) } as const
  await using generous = await startTlsServer(mesh.pki, leafOf(mesh.pki, 'covina'), tickets, (socket) =>
    socket.end('x'),
  )
  const donor = await tlsClient(generous.port, mesh.pki, client, { ALPNProtocols: [] })
  const [session] = (await once(donor, 'session')) as [Buffer]
  donor.destroy()

  const sessions = [session]
  for (const when of ['first', 'again', 'after a swap', 'and again']) {
    if (when === 'after a swap') await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
    for (const saved of sessions.slice()) {
      const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, client, { session: saved })
      // What the library still offers is good for nothing: it keeps no tickets and no sessions.
      socket.on('session', (offered: Buffer) => sessions.push(offered))
      expect(`${when}: ${socket.isSessionReused()}`).toBe(`${when}: false`)
      expect(await answerOf(socket)).toBe('OK')
      socket.destroy()
    }
  }
  expect(sessions.length).toBeGreaterThan(1)
})

test('mesh-R3 openssl finds no session to resume', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const args = [...files.args, '-connect', `127.0.0.1:${mesh.callee.inboundPort()}`, '-reconnect', '-tls1_3']
  const output = await openssl.client(args)
  expect(output).toContain('Verify return code: 0 (ok)')
  expect(output).not.toContain('Reused,')
})

test('mesh-R4 the outbound side never resumes, whatever the server offers', async () => {
  const pki = testPki()
  const reused: boolean[] = []
  const tickets = { ALPNProtocols: ['vcc/1'], ticketKeys: Buffer.alloc(48, 1) }
  await using covina = await startTlsServer(pki, leafOf(pki, 'covina'), tickets, (socket) => {
    reused.push(socket.isSessionReused())
    socket.write(encodeOk())
    socket.pipe(socket)
  })
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.port])],
  })
  for (let i = 0; i < 4; i += 1) {
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.end('x')
    expect((await readToEnd(socket)).bytes.toString()).toBe('x')
  }
  expect(reused).toEqual([false, false, false, false])
})

test('mesh-R5 a client without a certificate is refused, with and without a saved session', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  for (let i = 0; i < 2; i += 1) {
    const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, undefined)
    expect(refusalCode(await answerOf(socket))).toBe('certificate_missing')
  }
})

test('mesh-R5 the gate refuses a resumed session and an empty chain whatever the library says', () => {
  const pki = testPki()
  const { trust } = createSnapshot(snapshotInput(pki, 'covina', 'tcp'))
  const chain = leafOf(pki, 'argus').chainDer
  const good = { resumed: false, authorized: true, authorizationError: undefined, chain }
  const judged = (evidence: Partial<typeof good>) => judgePeer({ ...good, ...evidence }, 'client', trust, new Date())
  expect(judged({})).toMatchObject({ ok: true })
  expect(judged({ resumed: true })).toMatchObject({ refusal: { code: 'session_resumed' } })
  expect(judged({ chain: [] })).toMatchObject({ refusal: { code: 'certificate_missing' } })
  // Remembered or not: without the library's word there is no permit.
  expect(judged({ authorized: false })).toMatchObject({ refusal: { code: 'peer_unauthorized' } })
})

test('mesh-R6 a server name never leads to an older context', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  for (let i = 0; i < 3; i += 1) {
    const fresh = leafOf(mesh.pki, 'covina')
    await mesh.callee.change({ credential: fresh })
    for (const servername of ['', 'covina.vcc.internal', 'unknown.example']) {
      const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), { servername })
      expect(socket.getPeerX509Certificate()?.raw.equals(Buffer.from(fresh.certDer))).toBe(true)
      socket.destroy()
    }
  }
})

test('mesh-R7 every generation passes every option, and the one before plays no part', async () => {
  const pki = testPki()
  const first = createSnapshot(snapshotInput(pki, 'covina', 'tcp'))
  const second = createSnapshot(snapshotInput(pki, 'covina', 'tcp'), first)
  const options = Object.keys(first.tls.server).toSorted()
  expect(options).toEqual([
    'ALPNProtocols',
    'ca',
    'cert',
    'ciphers',
    'ecdhCurve',
    'honorCipherOrder',
    'key',
    'maxVersion',
    'minVersion',
    'rejectUnauthorized',
    'requestCert',
    'secureOptions',
    'sessionIdContext',
    'sigalgs',
  ])
  expect(Object.keys(second.tls.server).toSorted()).toEqual(options)
  for (const [name, value] of Object.entries(second.tls.server)) expect([name, value]).not.toContain(undefined)
  expect(second.tls.server.sessionIdContext).not.toBe(first.tls.server.sessionIdContext)
  expect(TLS_SETTINGS.ciphers).toBe('TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256')
})

test('mesh-R7 after many swaps an old anchor, an old protocol and another cipher are refused', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  for (let i = 0; i < 10; i += 1) await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
  const files = await openssl.files(leafOf(mesh.pki, 'argus'), mesh.pki)
  const at = ['-connect', `127.0.0.1:${mesh.callee.inboundPort()}`]
  expect(await openssl.client([...files.args, ...at, '-tls1_2'])).toMatch(/alert protocol version/)
  expect(await openssl.client([...files.args, ...at, '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'])).toMatch(
    /handshake failure/,
  )
  const other = testPki()
  const stranger = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(other, 'argus'))
  expect(refusalCode(await answerOf(stranger))).toBe('issuer_unknown')
})

test('mesh-R9 one context serves all connections of a generation, and a refresh keeps it', async () => {
  const pki = testPki()
  const input = snapshotInput(pki, 'argus', 'tcp')
  const first = createSnapshot(input)
  const refreshed = createSnapshot({ ...input, enforceUntil: new Date(Date.now() + 7_200_000) }, first)
  expect(refreshed.tls).toBe(first.tls)
  expect(createSnapshot(snapshotInput(pki, 'argus', 'tcp'), first).tls).not.toBe(first.tls)

  await using mesh = await startPair({ mode: 'tcp' })
  const served = mesh.callee.plane.status().served?.serialHex
  await mesh.callee.change({})
  expect(mesh.callee.plane.status().served?.serialHex).toBe(served)
  await mesh.callee.change({ credential: leafOf(mesh.pki, 'covina') })
  expect(await eventually(() => mesh.callee.plane.status().served?.serialHex)).not.toBe(served)
})
