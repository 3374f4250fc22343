import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { joinAgent } from '../../harness/agent.ts'
import { startControlPlane, succeeded } from '../../harness/control.ts'
import { MATRIX_FILE } from '../../harness/paths.ts'
import { type Row, row } from '../row.ts'

const SECONDS = 5
const CONNECTIONS = 8

/** HTTP through two agents next to the same service called directly, one after the other on the same machine. */
export async function proxy(): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-bench-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const body = Buffer.alloc(1024, 'x')
  const service = createServer((_request, response) => response.end(body))
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', () => resolve()))
  stack.defer(() => {
    service.closeAllConnections()
    service.close()
  })
  const address = service.address()
  const targetPort = typeof address === 'object' && address !== null ? address.port : 0
  const control = stack.use(await startControlPlane(join(folder, 'control')))
  for (const name of ['argus', 'covina']) succeeded(await control.pki('services', 'register', name))
  succeeded(await control.pki('policy', 'apply', MATRIX_FILE, '--yes'))
  const covina = stack.use(
    await joinAgent(control, join(folder, 'covina'), { service: 'covina', targetPort, outbound: [] }),
  )
  const argus = stack.use(
    await joinAgent(control, join(folder, 'argus'), { service: 'argus', targetPort, outbound: ['covina'] }),
  )
  await covina.restart()
  await argus.restart()
  const direct = await load(`http://127.0.0.1:${targetPort}/`)
  const through = await load(argus.url('covina'))
  return [
    row({
      id: 'proxy-http-latency',
      what: `mean time of a 1 KiB answer, ${CONNECTIONS} connections, through two agents`,
      unit: 'ms',
      ours: through.meanMs,
      peer: { name: 'direct', value: direct.meanMs },
    }),
    row({
      id: 'proxy-http-rate',
      what: 'requests per second through two agents; everything shares this machine',
      unit: 'req/s',
      ours: through.perSecond,
      peer: { name: 'direct', value: direct.perSecond },
    }),
  ]
}

async function load(url: string): Promise<{ meanMs: number; perSecond: number }> {
  const dispatcher = new Agent({ connections: CONNECTIONS })
  let requests = 0
  let totalMs = 0
  const run = async (until: number, counts: boolean) => {
    while (performance.now() < until) {
      const began = performance.now()
      const answer = await request(url, { dispatcher })
      await answer.body.dump()
      if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode}`)
      if (!counts) continue
      totalMs += performance.now() - began
      requests += 1
    }
  }
  const all = (seconds: number, counts: boolean) =>
    Promise.all(Array.from({ length: CONNECTIONS }, () => run(performance.now() + seconds * 1000, counts)))
  await all(1, false)
  await all(SECONDS, true)
  await dispatcher.close()
  return { meanMs: totalMs / requests, perSecond: requests / SECONDS }
}
