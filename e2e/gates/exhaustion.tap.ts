import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { joinAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startTcpService } from '../harness/local-service.ts'
import { startMesh } from '../harness/mesh.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { openAsAgent } from '../harness/peer.ts'
import { eventually } from '../harness/process.ts'
import { openRaw } from '../harness/raw.ts'
import { events } from '../harness/tables.ts'
import { usageOf } from '../harness/usage.ts'

/** An idle agent has about 35 open. */
const DESCRIPTORS = 80
const FLOOD = 200

// covina's agent may open 80 descriptors, and has a call of its own to veritas beside those that come in.
await using mesh = await startMesh({ services: { argus: ['covina'], veritas: [] }, modes: { veritas: 'tcp' } })
await using service = await startTcpService()
succeeded(await mesh.control.pki('services', 'register', 'covina', '--mode', 'tcp'))
await using covina = await joinAgent(mesh.control, join(mesh.folder, 'covina'), {
  service: 'covina',
  targetPort: service.port,
  outbound: ['veritas'],
  startedBy: ['prlimit', `--nofile=${DESCRIPTORS}`],
})
await covina.restart()
const argus = mesh.agent('argus')
const { pid } = covina.process()

async function echoes(): Promise<boolean> {
  const connection = openRaw(argus.port('covina'), 'echo\nhello')
  connection.socket.end()
  await connection.over
  return connection.text() === 'hello'
}

await eventually('argus reaches covina', echoes)
const baseline = (await usageOf(pid)).descriptors
// Without argus' agent, so that what is cut is cut by covina's.
const pem = await readFile(join(argus.stateFolder, 'identity.pem'), 'utf8')
const live = await openAsAgent(covina.inboundPort, { keyPem: pem, chainPem: pem })
let echoed = 0
live.socket.on('data', (chunk: Buffer) => (echoed += chunk.length))
live.socket.write('echo\n')
const stillEchoes = async () => {
  const before = echoed
  live.socket.write('more')
  await eventually('a live connection goes on', () => echoed >= before + 4)
}

await t.test(
  'gate-14 without a free descriptor an agent neither dies nor spins, and carries what is open',
  async (t) => {
    const flood = Array.from({ length: FLOOD }, (_, index) => {
      const localAddress = `127.0.0.${2 + (index % 8)}`
      const port = index % 2 === 0 ? covina.inboundPort : covina.port('veritas')
      return connect({ host: '127.0.0.1', port, localAddress })
        .on('error', () => {})
        .resume()
    })
    await eventually('all descriptors are taken', async () => (await usageOf(pid)).descriptors >= DESCRIPTORS - 2)
    const from = performance.now()
    const { cpuSeconds } = await usageOf(pid)
    for (let round = 0; round < 5; round++) {
      await stillEchoes()
      // Whoever is turned away comes again, as real clients do.
      flood.push(
        ...Array.from({ length: 20 }, () =>
          connect(covina.inboundPort, '127.0.0.1')
            .on('error', () => {})
            .resume(),
        ),
      )
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    const share = ((await usageOf(pid)).cpuSeconds - cpuSeconds) / ((performance.now() - from) / 1000)
    t.ok(share < 0.5, `${Math.round(share * 100)} % of a processor meanwhile`)
    t.ok((await usageOf(pid)).descriptors >= DESCRIPTORS - 2, 'it was full all the time')
    t.notOk(covina.process().hasExited(), 'it lives')

    const matrix = await readFile(MATRIX_FILE, 'utf8')
    await apply('without', matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
    await live.over
    const cut = events(covina.process().output(), 'access').find((one) => one['result'] === 'cut')
    t.match(cut, { code: 'not_allowed' }, 'what signed state no longer allows is cut all the same')
    await apply('with', matrix)

    for (const socket of flood) socket.destroy()
    await eventually('calls work again', echoes)
    await eventually('every descriptor is given back', async () => (await usageOf(pid)).descriptors <= baseline + 4)
  },
)

async function apply(name: string, text: string): Promise<void> {
  const file = join(mesh.folder, `${name}.yml`)
  await writeFile(file, text)
  await mesh.control.pki('policy', 'apply', file, '--yes', '--wait', '20s', '--accept-pending')
}
