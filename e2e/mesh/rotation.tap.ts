import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { startLoad } from '../demo/load.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually, run } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'

const ROTATIONS = 20

/** Uploads random bytes again and again; the service answers with the hash of what arrived. */
function startTransfers(url: string) {
  const mismatches: string[] = []
  let transfers = 0
  let isRunning = true
  const work = async () => {
    while (isRunning) {
      const body = randomBytes(512 * 1024)
      const wanted = createHash('sha256').update(body).digest('hex')
      try {
        const up = await request(url, { method: 'POST', body, headersTimeout: 30_000 })
        const answer = await up.body.text()
        if (!answer.includes(wanted)) mismatches.push(`upload: ${up.statusCode} ${answer.slice(0, 400)}`)
        const down = await request(`${url}/bytes/262144`)
        const hash = createHash('sha256')
        for await (const chunk of down.body) hash.update(chunk as Buffer)
        if (hash.digest('hex') !== DOWNLOAD_HASH) mismatches.push(`download: ${down.statusCode}, its hash differs`)
      } catch (error) {
        mismatches.push(String(error))
      }
      transfers += 1
    }
  }
  const worker = work()
  return {
    transfers: () => transfers,
    mismatches,
    async stop() {
      isRunning = false
      await worker
    },
  }
}

const DOWNLOAD_HASH = createHash('sha256')
  .update(Buffer.concat(Array.from({ length: 1024 }, () => Uint8Array.from({ length: 256 }, (_, octet) => octet))))
  .digest('hex')

await using mesh = await startMesh({ services: { argus: ['covina'], covina: ['clara'], clara: ['covina'] } })

await t.test(`certificates rotate ${ROTATIONS} times under load and nothing fails`, async (t) => {
  const argus = mesh.agent('argus')
  const covina = mesh.agent('covina')
  const load = startLoad([argus.url('covina'), covina.url('clara'), mesh.agent('clara').url('covina')])
  const transfers = startTransfers(argus.url('covina'))
  const served = new Set<string>()
  for (let round = 1; round <= ROTATIONS; round++) {
    const answer = await mesh.control.pkiJson('instances', 'rotate', '--all', '--wait', '60s')
    t.match(answer, { renewed: 3, of: 3, pending: [] }, `round ${round}: every agent serves a new certificate`)
    served.add(await servedSerial(covina.inboundPort))
  }
  await load.stop()
  await transfers.stop()
  t.equal(served.size, ROTATIONS, 'openssl s_client saw another serial after each rotation')
  t.same(load.failures(), [], 'no request failed')
  t.same(transfers.mismatches, [], 'every byte arrived as it was sent')
  t.ok(
    load.requests() > 200 && transfers.transfers() > 20,
    `${load.requests()} requests, ${transfers.transfers()} transfers`,
  )
})

await t.test('connection counts are back to zero afterwards', async (t) => {
  for (const name of ['argus', 'covina', 'clara']) {
    await eventually(
      `${name} has nothing open`,
      async () => {
        const text = await mesh.agent(name).metrics()
        return metric(text, 'vcc_agent_connections_open') === 0
      },
      120_000,
    )
    t.pass(`${name} has nothing open`)
    const text = await mesh.agent(name).metrics()
    const opened = metric(text, 'vcc_agent_connections_opened_total')
    t.equal(metric(text, 'vcc_agent_connections_closed_total'), opened, 'what was opened was closed')
    t.ok(metric(text, 'vcc_agent_certificate_renewals_total', { result: 'renewed' }) >= ROTATIONS)
  }
})

await t.test('the registry, the history and the log tell the same story', async (t) => {
  const { items } = (await mesh.control.pkiJson('instances', 'list', '--service', 'covina')) as {
    items: { instance_id: string; latest_serial: string; served_serial: string }[]
  }
  const [covina] = items
  t.equal(covina?.latest_serial, covina?.served_serial, 'what was issued last is what is served')
  const history = (await mesh.control.pkiJson('certificates', 'history', covina?.latest_serial ?? '')) as {
    items: { cause: string; state: string }[]
  }
  t.equal(history.items.filter((one) => one.cause === 'renewal').length, ROTATIONS)
  t.equal(history.items.filter((one) => one.cause === 'join').length, 1)
  t.ok(
    history.items.every((one) => one.state === 'valid'),
    'no orphan came about',
  )
  const log = await readFile(join(mesh.agent('covina').folder, 'vcc-agent.log'), 'utf8')
  t.equal(events(log, 'certificate_renewed').length, ROTATIONS)
})

/** The serial a foreign client is shown. */
async function servedSerial(port: number): Promise<string> {
  const shown = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_3', '-showcerts'])
  const parsed = await run('openssl', ['x509', '-noout', '-serial'], { input: shown.stdout })
  return parsed.stdout.trim()
}
