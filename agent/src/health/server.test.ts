import { createServer, type Server } from 'node:http'
import net from 'node:net'
import { freePort } from '@vcc/testkit'
import { afterEach, expect, test } from 'vitest'
import { probeService } from './probe.ts'
import type { Reason } from './readiness.ts'
import { serveHealth, serveMetrics } from './server.ts'

const open: (Server | net.Server)[] = []
afterEach(() => {
  for (const server of open.splice(0)) server.close()
})

async function listening(server: Server | net.Server): Promise<{ kind: 'tcp'; host: string; port: number }> {
  const port = await freePort()
  open.push(server)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()))
  return { kind: 'tcp', host: '127.0.0.1', port }
}

test('ready answers 200, or 503 with every reason; live answers always', async () => {
  const reasons: Reason[] = []
  const address = { kind: 'tcp', host: '127.0.0.1', port: await freePort() } as const
  await using _ = await serveHealth(address, () => reasons)
  const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${address.port}${path}`, { method })
  expect((await get('/ready')).status).toBe(200)
  reasons.push({ code: 'no_state', detail: 'none' }, { code: 'service_failing', detail: 'status 500' })
  const answer = await get('/ready')
  expect(answer.status).toBe(503)
  expect(await answer.json()).toEqual({ status: 'not ready', reasons })
  expect((await get('/live')).status).toBe(200)
  expect((await get('/')).status).toBe(404)
  expect((await get('/ready', 'POST')).status).toBe(405)
})

test('metrics answer in their own type', async () => {
  const address = { kind: 'tcp', host: '127.0.0.1', port: await freePort() } as const
  await using _ = await serveMetrics(address, { text: async () => 'a 1\n', contentType: 'text/plain; version=0.0.4' })
  const answer = await fetch(`http://127.0.0.1:${address.port}/metrics`)
  expect([answer.status, await answer.text(), answer.headers.get('content-type')]).toEqual([
    200,
    'a 1\n',
    'text/plain; version=0.0.4',
  ])
})

test('an address in use is refused with its name', async () => {
  const address = await listening(net.createServer())
  await expect(serveHealth(address, () => [])).rejects.toMatchObject({
    code: 'listen_failed',
    message: expect.stringContaining(`127.0.0.1:${address.port}`),
  })
})

const probes: readonly { name: string; status?: number; path?: string; health: string; detail?: string }[] = [
  { name: 'a service that answers 200', status: 200, path: '/health', health: 'ok' },
  { name: 'one that redirects', status: 302, path: '/health', health: 'ok' },
  {
    name: 'one that answers 503',
    status: 503,
    path: '/health',
    health: 'failing',
    detail: '/health answers with status 503',
  },
  { name: 'one that is only asked for a connection', status: 503, health: 'ok' },
]
for (const { name, status = 200, path, health, detail } of probes) {
  test(`probe: ${name}`, async () => {
    const target = await listening(
      createServer((_, response) => void response.writeHead(status).end('x'.repeat(100_000))),
    )
    const seen = await probeService(target, path)
    expect(seen).toEqual(detail === undefined ? { health } : { health, detail })
  })
}

test('probe: nobody there', async () => {
  const target = { kind: 'tcp', host: '127.0.0.1', port: await freePort() } as const
  expect(await probeService(target, undefined)).toEqual({ health: 'failing', detail: 'connection refused' })
  expect(await probeService({ kind: 'unix', path: '/nonexistent/a.sock' }, '/health')).toEqual({
    health: 'failing',
    detail: 'its socket does not exist',
  })
})

test('probe: one that accepts and says nothing is given up', async () => {
  const target = await listening(net.createServer((socket) => socket.on('error', () => {})))
  expect(await probeService(target, '/health', { timeoutMs: 200 })).toEqual({
    health: 'failing',
    detail: 'no answer in time',
  })
})
