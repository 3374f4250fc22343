import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import { startLoad } from '../demo/load.ts'
import { startMesh } from '../harness/mesh.ts'
import { eventually, run } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'
import { usageOf } from '../harness/usage.ts'

const ROTATIONS = 100
/** Until then caches fill and the compiler warms up; what grows from there on is a leak. */
const WARM_UP = 30
/** What the heap of V8 goes up and down by itself under load. 70 secure contexts that stayed would be more. */
const NOISE_BYTES = 64 * 2 ** 20
const NAMES = ['argus', 'covina', 'clara'] as const

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

const usage = async () => {
  const all = await Promise.all(NAMES.map(async (name) => usageOf(mesh.agent(name).process().pid)))
  return new Map(NAMES.map((name, index) => [name, all[index]]))
}
/** What an idle agent has open: nothing of anybody's calls. */
const idle = async () => {
  for (const name of NAMES) {
    await eventually(
      `${name} has nothing open`,
      async () => metric(await mesh.agent(name).metrics(), 'vcc_agent_connections_open') === 0,
      150_000,
    )
  }
  return usage()
}
const admin = await readFile(mesh.control.adminFile, 'utf8')
const api = new Agent({ connect: { key: admin, cert: admin, rejectUnauthorized: false } })

/** As `vcc-pki instances rotate --all --wait 60s`, without a hundred starts of the command. */
async function rotate(): Promise<unknown> {
  const answer = await request(`https://127.0.0.1:${mesh.control.ports.agents}/api/v1/vcc/instances/rotate`, {
    dispatcher: api,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ all: true, wait_seconds: 60 }),
    headersTimeout: 90_000,
  })
  return answer.body.json()
}

const before = await idle()

await t.test(`gate-08 certificates are reloaded ${ROTATIONS} times under load and nothing fails`, async (t) => {
  const argus = mesh.agent('argus')
  const covina = mesh.agent('covina')
  const load = startLoad([argus.url('covina'), covina.url('clara'), mesh.agent('clara').url('covina')])
  const transfers = startTransfers(argus.url('covina'))
  const served = new Set<string>()
  let warm = before
  for (let round = 1; round <= ROTATIONS; round++) {
    const answer = await rotate()
    t.match(answer, { renewed: 3, of: 3, pending: [] }, `round ${round}: every agent serves a new certificate`)
    if (round % 10 === 0) served.add(await servedSerial(covina.inboundPort))
    if (round === WARM_UP) warm = await usage()
  }
  const after = await usage()
  await load.stop()
  await transfers.stop()
  t.equal(served.size, ROTATIONS / 10, 'openssl s_client saw another serial each time it looked')
  t.same(load.failures(), [], 'no request failed')
  t.same(transfers.mismatches, [], 'every byte arrived as it was sent')
  t.ok(
    load.requests() > 200 && transfers.transfers() > 20,
    `${load.requests()} requests, ${transfers.transfers()} transfers`,
  )
  for (const name of NAMES) {
    const [from, to] = [warm.get(name)?.rssBytes ?? 0, after.get(name)?.rssBytes ?? Number.POSITIVE_INFINITY]
    t.ok(
      to - from < NOISE_BYTES,
      `${name} has ${mib(from)} MiB after ${WARM_UP} reloads, ${mib(to)} after ${ROTATIONS}`,
    )
  }
})

await t.test('gate-08 descriptors are back to where they were', async (t) => {
  const now = await idle()
  for (const name of NAMES) {
    const [was, is] = [before.get(name)?.descriptors ?? 0, now.get(name)?.descriptors ?? Number.POSITIVE_INFINITY]
    t.ok(is <= was + 2, `${name} has ${is} descriptors, ${was} before`)
  }
})

await t.test('gate-08 connection counts are back to zero afterwards', async (t) => {
  for (const name of NAMES) {
    const text = await mesh.agent(name).metrics()
    const opened = metric(text, 'vcc_agent_connections_opened_total')
    t.equal(metric(text, 'vcc_agent_connections_closed_total'), opened, 'what was opened was closed')
    t.ok(metric(text, 'vcc_agent_certificate_renewals_total', { result: 'renewed' }) >= ROTATIONS)
  }
})

await t.test('gate-08 the registry, the history and the log tell the same story', async (t) => {
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

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
