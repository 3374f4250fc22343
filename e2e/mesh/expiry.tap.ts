import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { succeeded } from '../harness/control.ts'
import { type Mesh, startMesh } from '../harness/mesh.ts'
import { NODE, VCC_AGENT } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'

const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

/** Control plane and agents as they were eight days ago; then everything is switched off. */
async function meshOfLastWeek(library: string): Promise<Mesh> {
  const past = { LD_PRELOAD: library, FAKETIME: '-8d', FAKETIME_DONT_FAKE_MONOTONIC: '1' }
  Object.assign(process.env, past) // for the processes that are started now; this one was loaded without it
  try {
    const mesh = await startMesh({ services: { argus: ['covina'], covina: [] } })
    await eventually('the mesh works', async () => (await fetch(mesh.agent('argus').url('covina'))).status === 200)
    succeeded(await mesh.control.pki('tokens', 'create', 'argus', '--output', join(mesh.folder, 'old.token')))
    for (const name of ['argus', 'covina']) await mesh.agent(name).process().stop()
    await mesh.control.switchOff()
    return mesh
  } finally {
    for (const name of Object.keys(past)) delete process.env[name]
  }
}

if (LIBRARY === undefined) t.pass('libfaketime is not installed', { skip: 'apt-get install faketime' })
else {
  await using mesh = await meshOfLastWeek(LIBRARY)
  const argus = mesh.agent('argus')
  const covina = mesh.agent('covina')
  const certificateOf = async (agent: typeof argus) =>
    new X509Certificate(await readFile(join(agent.stateFolder, 'identity.pem')))
  const call = async () => {
    const response = await fetch(argus.url('covina'))
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const before = { argus: await certificateOf(argus), covina: await certificateOf(covina) }

  await t.test('past its end, stored state lets nothing through', async (t) => {
    t.ok(before.argus.validToDate < new Date(), 'the certificate has expired')
    const coming = [argus.restart(), covina.restart()]
    const refused = await eventually('argus’ agent refuses', async () => {
      const one = await call()
      return one.status === 503 ? one.body : undefined
    })
    t.match(refused, { code: 'state_expired', side: 'caller' })
    t.notOk(await argus.isReady(), 'it is not ready')
    const ready = (await (await fetch(`http://127.0.0.1:${argus.healthPort}/ready`)).json()) as object
    t.match(JSON.stringify(ready), /expired/, 'and says why')
    const words = (await argus.cli('status')).stdout
    t.match(words, /NOT HEALTHY/)
    t.match(words, /expired/)

    // The control plane is back: whoever was away for less than 30 days comes back without anybody's help.
    await mesh.control.restart()
    await Promise.all(coming)
  })

  await t.test('an expired instance re-enrols by itself, with the same identity and another key', async (t) => {
    await eventually('calls go through again', async () => (await call()).status === 200)
    for (const [name, agent] of [
      ['argus', argus],
      ['covina', covina],
    ] as const) {
      const [old, now] = [before[name], await certificateOf(agent)]
      t.equal(now.subject, old.subject, `${name} is the instance it was`)
      t.equal(now.subjectAltName, old.subjectAltName)
      t.not(now.serialNumber, old.serialNumber)
      t.notSame(
        now.publicKey.export({ type: 'spki', format: 'der' }),
        old.publicKey.export({ type: 'spki', format: 'der' }),
      )
      t.ok(now.validToDate > new Date())
      t.match(events(agent.process().output(), 'certificate_renewed'), [{ why: 'expired' }])
      t.equal(metric(await agent.metrics(), 'vcc_agent_certificate_renewals_total', { result: 'renewed' }), 1)
    }
    const { items } = (await mesh.control.pkiJson(
      'certificates',
      'history',
      before.argus.serialNumber.toLowerCase(),
    )) as {
      items: { cause: string; state: string }[]
    }
    t.same(items.map((one) => `${one.cause}: ${one.state}`).toSorted(), ['join: expired', 're-enrolment: valid'])
    const verdict = await mesh.control.control('audit', 'verify')
    t.equal(verdict.code, 0, verdict.stderr)
  })
  await t.test('a join token of last week is refused', async (t) => {
    const folder = join(mesh.folder, 'late')
    await mkdir(folder)
    const config = join(folder, 'vcc-agent.yml')
    await writeFile(
      config,
      (await readFile(argus.configFile, 'utf8')).replace(argus.stateFolder, join(folder, 'state')),
    )
    const args = ['--config', config, '--fingerprint', mesh.control.fingerprint]
    const joined = await run(NODE, [VCC_AGENT, 'join', ...args, '--token-file', join(mesh.folder, 'old.token')])
    t.equal(joined.code, 4)
    t.match(joined.stderr, /token_expired/)
  })
}
