import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile, indexPolicy, parseMatrix } from '@vcc/policy'
import { testPki } from '@vcc/testkit'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { createDataPlane } from './data-plane.ts'
import { listenOn } from './endpoint.ts'
import { NO_EVENTS, NO_METRICS } from './observe.ts'
import { createSnapshot } from './snapshot.ts'
import {
  connectPlain,
  echo,
  eventually,
  idOf,
  leafOf,
  MATRIX,
  meshUpstream,
  readToEnd,
  snapshotInput,
  startAgent,
  startPair,
  startService,
  startTlsServer,
} from './testing/mesh.ts'
import type { ExternalTrust, Upstream } from './upstream.ts'

test('addresses are tried in order until one works, and one that failed is put last for a while', async () => {
  const pki = testPki()
  const dead = await freePort()
  await using service = await startService({ onTcp: echo })
  await using impostor = await startTlsServer(pki, leafOf(pki, 'clara'), { ALPNProtocols: ['vcc/1'] }, (socket) =>
    socket.end('OK'),
  )
  await using covina = await startAgent(pki, { service: 'covina', mode: 'tcp', targetPort: service.port })
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'tcp',
    upstreams: [meshUpstream(pki, 'covina', 'tcp', [dead, impostor.port, covina.inboundPort()])],
  })
  for (let i = 0; i < 3; i += 1) {
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.end('x')
    expect((await readToEnd(socket)).bytes.toString()).toBe('x')
  }
  expect(argus.plane.status().upstreams).toEqual([{ id: idOf(pki, 'covina'), addresses: 3, ejected: 2 }])
})

test('a refusal by the matrix is not tried elsewhere, one that another instance may not share is', async () => {
  const pki = testPki()
  const denying = MATRIX.replace('[covina, clara, vpb]', '[clara, vpb]')
  await using service = await startService({ onTcp: echo })
  await using denies = await startAgent(pki, {
    service: 'covina',
    mode: 'tcp',
    targetPort: service.port,
    state: { matrix: denying },
  })
  await using lame = await startAgent(pki, { service: 'covina', mode: 'tcp', targetPort: await freePort() })
  await using good = await startAgent(pki, { service: 'covina', mode: 'tcp', targetPort: service.port })
  const ask = async (...agents: (typeof good)[]) => {
    const ports = agents.map((agent) => agent.inboundPort())
    await using argus = await startAgent(pki, {
      service: 'argus',
      mode: 'tcp',
      upstreams: [meshUpstream(pki, 'covina', 'tcp', ports)],
    })
    const socket = connectPlain(argus.outboundPort('covina'))
    socket.end('x')
    await readToEnd(socket)
    return (await argus.record(() => true)).code
  }
  expect(await ask(denies, good)).toBe('not_allowed')
  expect(await ask(lame, good)).toBe('complete')
  expect(await ask(lame)).toBe('service_unreachable')
})

test('requests wait for a connection when there are too many, and are refused when too many wait', async () => {
  const held: (() => void)[] = []
  await using mesh = await startPair({
    mode: 'http',
    limits: { maxLanes: 1, maxWaiting: 1 },
    onRequest: (_incoming, response) => held.push(() => response.end('ok')),
  })
  const ask = async () => {
    const response = await request(`http://127.0.0.1:${mesh.port}/`)
    return `${response.statusCode} ${/"code":"(\w+)"/.exec(await response.body.text())?.[1] ?? 'ok'}`
  }
  const first = ask()
  await eventually(() => (held.length === 1 ? true : undefined))
  const others = [ask(), ask()]
  expect(await Promise.race(others)).toBe('503 upstream_busy')
  held[0]?.()
  await eventually(() => (held.length === 2 ? true : undefined))
  held[1]?.()
  expect((await Promise.all([first, ...others])).toSorted()).toEqual(['200 ok', '200 ok', '503 upstream_busy'])
})

test('an upstream that state does not know is refused by the matrix, or has no address', async () => {
  const pki = testPki()
  await using argus = await startAgent(pki, {
    service: 'argus',
    mode: 'http',
    outbound: ['covina', 'veritas'].map((upstream) => ({
      upstream,
      listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      mode: 'http',
    })),
  })
  const ask = async (upstream: string) => {
    const response = await request(`http://127.0.0.1:${argus.outboundPort(upstream)}/`)
    return [response.statusCode, ((await response.body.json()) as { code: string }).code]
  }
  expect(await ask('veritas')).toEqual([403, 'not_allowed'])
  expect(await ask('covina')).toEqual([502, 'upstream_unknown'])
})

test('the local service reaches an upstream through a Unix socket of mode 0660, and is reached through one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-proxy-'))
  const [out, into] = [join(folder, 'covina.sock'), join(folder, 'service.sock')]
  const pki = testPki()
  const service = createServer({ allowHalfOpen: true }, echo)
  service.listen(into)
  await once(service, 'listening')
  {
    await using covina = await startAgent(pki, { service: 'covina', mode: 'tcp', targetPath: into })
    await using argus = await startAgent(pki, {
      service: 'argus',
      mode: 'tcp',
      upstreams: [meshUpstream(pki, 'covina', 'tcp', [covina.inboundPort()])],
      outbound: [{ upstream: 'covina', listen: { kind: 'unix', path: out } }],
    })
    expect((await stat(out)).mode & 0o777).toBe(0o660)
    const socket = connect({ path: out, allowHalfOpen: true })
    socket.end('through files')
    expect((await readToEnd(socket)).bytes.toString()).toBe('through files')
    expect(argus.records[0]?.code).toBe('complete')
  }
  service.close()
  await rm(folder, { recursive: true })
})

test('a socket file is replaced when nobody listens on it, and only then', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-proxy-'))
  const path = join(folder, 'a.sock')
  const first = createServer()
  await listenOn(first, { kind: 'unix', path })
  await expect(listenOn(createServer(), { kind: 'unix', path })).rejects.toMatchObject({ code: 'listen_in_use' })
  // What a process that was killed leaves behind.
  const stale = join(folder, 'stale.sock')
  const child = await import('node:child_process')
  child.spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  expect((await stat(stale)).isSocket()).toBe(true)
  const second = createServer()
  await listenOn(second, { kind: 'unix', path: stale })
  const file = join(folder, 'file')
  await writeFile(file, 'precious')
  await chmod(file, 0o600)
  await expect(listenOn(createServer(), { kind: 'unix', path: file })).rejects.toMatchObject({
    code: 'listen_not_a_socket',
  })
  first.close()
  second.close()
  await rm(folder, { recursive: true })
})

test('a target that is one of the own listeners, or not on this machine, is refused before anything is bound', () => {
  const deps = { now: () => new Date(), events: NO_EVENTS, metrics: NO_METRICS, onClose: () => undefined }
  const listen = { kind: 'tcp', host: '0.0.0.0', port: 8443 } as const
  const bad = [
    { inbound: { listen, target: { kind: 'tcp', host: '127.0.0.1', port: 8443 } }, outbound: [] },
    {
      inbound: { listen, target: { kind: 'tcp', host: '::1', port: 9001 } },
      outbound: [{ upstream: 'covina', listen: { kind: 'tcp', host: '127.0.0.1', port: 9001 } }],
    },
    {
      inbound: { listen, target: { kind: 'unix', path: '/run/a' } },
      outbound: [{ upstream: 'covina', listen: { kind: 'unix', path: '/run/a' } }],
    },
    { inbound: { listen, target: { kind: 'tcp', host: '10.0.0.1', port: 80 } }, outbound: [] },
  ] as const
  for (const config of bad)
    expect(() => createDataPlane(config, deps)).toThrow(expect.objectContaining({ code: 'proxy_config_invalid' }))
})

test('a listener that serves another certificate than the snapshot fails the self-check', async () => {
  await using mesh = await startPair({ mode: 'tcp' })
  const port = mesh.callee.inboundPort()
  const { checkSelf } = await import('./self-check.ts')
  const other = createSnapshot(snapshotInput(mesh.pki, 'covina', 'tcp'))
  await expect(checkSelf({ kind: 'tcp', host: '127.0.0.1', port }, other, 5_000)).rejects.toMatchObject({
    code: 'self_check_failed',
  })
  await expect(
    checkSelf({ kind: 'tcp', host: '127.0.0.1', port: await freePort() }, other, 5_000),
  ).rejects.toMatchObject({ code: 'self_check_failed' })
})

const withDatabase = MATRIX.replace('[covina, clara, vpb]', '[covina, clara, vpb, database]')

test('an external service is decided on this side, and recognised as the registry declares', async () => {
  const pki = testPki()
  const leaf = pki.service('database', { dnsNames: ['database.vcc.internal'] })
  const spki = new X509Certificate(leaf.certPem).publicKey.export({ type: 'spki', format: 'der' })
  const pin = createHash('sha256').update(spki).digest('hex')
  await using secured = await startTlsServer(pki, leaf, { requestCert: false }, (socket) => socket.pipe(socket))
  await using plain = await startService({ onTcp: echo })
  const other = testPki()
  const cases: { trust: ExternalTrust; port: number; host?: string; code: string }[] = [
    {
      trust: { tls: 'ca', caPem: pki.rootPem, dnsName: 'database.vcc.internal' },
      port: secured.port,
      code: 'complete',
    },
    {
      trust: { tls: 'ca', caPem: pki.rootPem, dnsName: 'other.vcc.internal' },
      port: secured.port,
      code: 'upstream_not_trusted',
    },
    {
      trust: { tls: 'ca', caPem: other.rootPem, dnsName: 'database.vcc.internal' },
      port: secured.port,
      code: 'upstream_not_trusted',
    },
    { trust: { tls: 'pin', spkiSha256: [pin] }, port: secured.port, code: 'complete' },
    { trust: { tls: 'pin', spkiSha256: ['00'.repeat(32)] }, port: secured.port, code: 'upstream_not_trusted' },
    { trust: { tls: 'plain' }, port: plain.port, code: 'complete' },
  ]
  const parsed = parseMatrix(withDatabase, { organization: pki.organization })
  if (!parsed.ok) throw new TypeError('the matrix of this test')
  const policy = indexPolicy(
    compile({
      trustDomain: pki.trustDomain,
      version: 1,
      matrices: [parsed.matrix],
      externals: [{ organization: pki.organization, service: 'database' }],
    }),
  )
  for (const { trust, port, code } of cases) {
    const addresses = [{ instance: null, host: '127.0.0.1', port }]
    const upstream: Upstream = {
      kind: 'external',
      id: idOf(pki, 'database'),
      name: 'database',
      mode: 'tcp',
      addresses,
      trust,
    }
    const records: string[] = []
    await using plane = createDataPlane(
      { outbound: [{ upstream: 'database', listen: { kind: 'tcp', host: '127.0.0.1', port: 0 } }] },
      { now: () => new Date(), events: NO_EVENTS, metrics: NO_METRICS, onClose: (record) => records.push(record.code) },
    )
    await plane.apply(createSnapshot({ ...snapshotInput(pki, 'argus', 'tcp'), policy, upstreams: [upstream] }))
    const endpoint = plane.status().listeners[0]?.endpoint ?? ''
    const socket = connectPlain(Number(endpoint.split(':')[1]))
    socket.end('x')
    const { bytes } = await readToEnd(socket)
    expect({ trust, bytes: bytes.toString(), records }).toEqual({
      trust,
      bytes: code === 'complete' ? 'x' : '',
      records: [code],
    })
  }
})

async function freePort(): Promise<number> {
  const { freePort: find } = await import('@vcc/testkit')
  return await find()
}

test('connections are counted both ways together', async () => {
  await using mesh = await startPair({ mode: 'tcp', limits: { maxConnections: 2 } })
  const open = [await echoed(mesh.port), await echoed(mesh.port)]
  expect((await readToEnd(connectPlain(mesh.port))).error).toBe('ECONNRESET')
  expect((await readToEnd(connectPlain(mesh.caller.inboundPort()))).error).toBe('ECONNRESET')
  expect(mesh.caller.handshakes).toContain('inbound connection_limit')
  for (const socket of open) socket.destroy()
})

/** A connection on which something came back; refused as long as the agent's handshake with itself is counted. */
async function echoed(port: number): Promise<ReturnType<typeof connectPlain>> {
  for (;;) {
    const socket = connectPlain(port)
    socket.write('x')
    const isServed = await once(socket, 'data').then(
      () => true,
      () => false,
    )
    if (isServed) return socket
  }
}
