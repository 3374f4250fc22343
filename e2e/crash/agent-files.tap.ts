/**
 * What an agent keeps: killed at each step of each write, the folder holds the old or the new of every file; files that
 * are damaged, foreign or of earlier are refused and fetched anew; a disk that takes nothing more is no end of service.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { joinAgent, type MeshAgent } from '../harness/agent.ts'
import { succeeded } from '../harness/control.ts'
import { startMesh } from '../harness/mesh.ts'
import { NODE, VCC_AGENT } from '../harness/paths.ts'
import { eventually, run } from '../harness/process.ts'
import { events } from '../harness/tables.ts'
import { call } from './installation.ts'
import { newMountNamespace } from './mounts.ts'

const REPLACEMENT = ['created', 'written', 'synced', 'renamed', 'folder_synced'] as const
const PRELOADED = `--import=${new URL('kill-at-write.ts', import.meta.url).href}`

await using mesh = await startMesh({ services: { argus: ['covina'], covina: [] } })
const { control } = mesh
const adminPem = await readFile(control.adminFile, 'utf8')
const admin = { keyPem: adminPem, chainPem: adminPem }
const api = { apiUrl: `https://127.0.0.1:${control.ports.agents}` }

/** Another certificate for each instance of argus: a new document, a new key, a new pair. Answers from when on. */
async function rotate(): Promise<Date> {
  const body = { service: 'argus', wait_seconds: 0 } as const
  return new Date((await call(api, admin, (a) => a.call('instanceRotate', { body }))).issued_after)
}

/** Until the agent has what was demanded of it, and a further demand would be a later one. */
async function renewedSince(agent: MeshAgent, demanded: Date): Promise<void> {
  await eventually('it has renewed', async () => {
    const { validFromDate } = new X509Certificate(await readFile(join(agent.stateFolder, 'identity.pem')))
    const issuedMs = validFromDate.getTime() + 300_000
    return issuedMs >= demanded.getTime() && Date.now() >= issuedMs + 1000
  })
}

let authorities = 0
/** A further CA: a new document of the fleet. */
const changeFleet = () =>
  call(api, admin, (a) => a.call('caCreate', { body: { kind: 'services', name: `further-${++authorities}` } }))

interface Status {
  readonly healthy: boolean
  readonly warnings: readonly string[]
  readonly state: { readonly fleet: string | null; readonly agent: string | null; readonly enforcement: string }
  readonly identity: { readonly last_failure: string | null; readonly serial: string }
  readonly state_files: readonly { readonly file: string; readonly problem: string; readonly code: string }[]
}

/** Its status, well or not, asked from where it lives. */
async function statusOf(agent: MeshAgent, inside: readonly string[] = []): Promise<Status> {
  const asked = [NODE, VCC_AGENT, 'status', '--format', 'json', '--config', agent.configFile]
  const [command = NODE, ...args] = [...inside, ...asked]
  return JSON.parse((await run(command, args)).stdout) as Status
}

const reaches = async (agent: MeshAgent) => (await fetch(agent.url('covina'))).status === 200

/** Every file is what it says, whole; none is required. */
async function assertWhole(t: Test, folder: string, about: string): Promise<void> {
  const read = async (name: string) => readFile(join(folder, name), 'utf8').catch(() => undefined)
  const whole: Readonly<Record<string, (text: string) => boolean>> = {
    'mesh-root.pem': (text) => new X509Certificate(text).ca,
    'trust-statement.jws': (text) => text.endsWith('\n') && text.split('.').length === 3,
    'pending-key.pem': (text) => createPrivateKey(text).asymmetricKeyType === 'ec',
    'identity.pem': (text) => new X509Certificate(text).checkPrivateKey(createPrivateKey(text)),
    'fleet.json': (text) => typeof JSON.parse(text) === 'object',
    'agent.json': (text) => typeof JSON.parse(text) === 'object',
    'marks.json': (text) => typeof JSON.parse(text) === 'object',
  }
  const torn: string[] = []
  for (const [name, isWhole] of Object.entries(whole)) {
    const text = await read(name)
    if (text === undefined) continue
    try {
      if (!isWhole(text)) torn.push(name)
    } catch (error) {
      torn.push(`${name}: ${String(error)}`)
    }
  }
  t.same(torn, [], `${about}: every file is whole`)
}

const leftovers = async (folder: string) => (await readdir(folder)).filter((name) => name.endsWith('.tmp'))

await t.test('a join that is killed at every step of every write', async (t) => {
  const orderFile = join(mesh.folder, 'join.order')
  const env = { VCC_TEST_KILL_ORDER: orderFile }
  const newcomer = async (name: string) => {
    const folder = join(mesh.folder, name)
    const tokenFile = join(folder, 'token')
    const state = join(folder, 'state')
    await mkdir(folder)
    const { token } = await call(api, admin, (a) => a.call('tokenCreate', { body: { service_name: 'argus' } }))
    await writeFile(tokenFile, token, { mode: 0o600 })
    const config = join(folder, 'vcc-agent.yml')
    const lines = (await readFile(mesh.agent('argus').configFile, 'utf8')).replace(
      mesh.agent('argus').stateFolder,
      state,
    )
    await writeFile(config, lines)
    const args = ['join', '--config', config, '--fingerprint', control.fingerprint, '--token-file', tokenFile]
    const begin = async (order: string) => {
      await writeFile(orderFile, order)
      return run(NODE, [PRELOADED, VCC_AGENT, ...args], { env })
    }
    return { state, begin }
  }
  const steps = (name: string) => REPLACEMENT.map((step) => `${name} ${step}`)
  const files = ['mesh-root.pem', 'trust-statement.jws', 'pending-key.pem', 'identity.pem'].flatMap(steps)
  // The key and the pair are written once: what comes after their place was taken is for a join of its own.
  const once = ['pending-key.pem folder_synced', 'identity.pem folder_synced']
  for (const [index, orders] of [files.filter((step) => !once.includes(step)), once].entries()) {
    const { state, begin } = await newcomer(`join-${index}`)
    for (const order of orders) {
      const killed = await begin(order)
      t.equal(killed.code, 137, `${order}: it died ${killed.stderr}`)
      await assertWhole(t, state, order)
    }
    succeeded(await begin(''))
    t.same(await leftovers(state), [], 'nothing half written stays')
    t.notOk((await readdir(state)).includes('pending-key.pem'))
    const { subject, serialNumber } = new X509Certificate(await readFile(join(state, 'identity.pem')))
    const query = { instance: subject.replace('CN=', '') }
    const { items } = await call(api, admin, (a) => a.call('certList', { query }))
    const valid = items.filter((one) => one.state === 'valid').map((one) => one.serial_number)
    t.same(valid, [serialNumber.toLowerCase()], 'one certificate, however often it was asked for')
  }
})

await t.test('an agent that is killed at every step of every write', async (t) => {
  const orderFile = join(mesh.folder, 'run.order')
  await writeFile(orderFile, '')
  const victim = await joinAgent(control, join(mesh.folder, 'victim'), {
    service: 'argus',
    targetPort: mesh.service('argus').port,
    outbound: ['covina'],
    startedBy: ['env', `NODE_OPTIONS=${PRELOADED}`, `VCC_TEST_KILL_ORDER=${orderFile}`],
  })
  t.teardown(() => victim[Symbol.asyncDispose]())
  await victim.restart()
  let demanded = new Date(0)
  const rotated = async () => {
    demanded = await rotate()
  }
  const killed = async (order: string, trigger: () => Promise<unknown>) => {
    await renewedSince(victim, demanded)
    await writeFile(orderFile, order)
    await trigger()
    await eventually(`${order}: it dies`, () => victim.process().hasExited())
    t.equal(await victim.process().exited, 'SIGKILL', order)
    await assertWhole(t, victim.stateFolder, order)
    const left = await leftovers(victim.stateFolder)
    await writeFile(orderFile, '')
    await victim.restart()
    const names = await readdir(victim.stateFolder)
    t.notOk(
      left.some((name) => names.includes(name)),
      `${order}: nothing half written stays`,
    )
    t.equal(events(victim.process().output(), 'identity_forked').length, 0, `${order}: the pair is the one in use`)
  }
  for (const name of ['agent.json', 'marks.json', 'pending-key.pem', 'identity.pem']) {
    for (const step of REPLACEMENT) await killed(`${name} ${step}`, rotated)
  }
  await killed('pending-key.pem removed', rotated)
  for (const step of REPLACEMENT) await killed(`fleet.json ${step}`, changeFleet)
  await victim.process().stop()
  for (const step of REPLACEMENT) {
    await rm(join(victim.stateFolder, 'trust-statement.jws'), { force: true })
    await killed(`trust-statement.jws ${step}`, () => victim.begin())
    await victim.process().stop()
  }
  await victim.restart()
  await eventually('it calls', () => reaches(victim))
  const { healthy, state_files } = await statusOf(victim)
  t.same([healthy, state_files], [true, []])
})

await t.test('files that are damaged, foreign or of earlier', async (t) => {
  const argus = mesh.agent('argus')
  const path = (name: string) => join(argus.stateFolder, name)
  const cut = (name: string) => truncate(path(name), 200)
  const empty = (name: string) => truncate(path(name), 0)
  const turned = async (name: string) => {
    const bytes = await readFile(path(name))
    const at = Math.floor(bytes.length / 2)
    bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41
    await writeFile(path(name), bytes)
  }
  const foreign = () => copyFile(join(mesh.agent('covina').stateFolder, 'agent.json'), path('agent.json'))
  const earlier = join(mesh.folder, 'earlier')
  await mkdir(earlier)
  for (const name of ['fleet.json', 'agent.json']) await copyFile(path(name), join(earlier, name))
  const before = (await statusOf(argus)).state
  await changeFleet()
  await rotate()
  await eventually('newer documents are in force', async () => {
    const { fleet, agent } = (await statusOf(argus)).state
    return fleet !== before.fleet && agent !== before.agent
  })
  const putBack = (name: string) => copyFile(join(earlier, name), path(name))

  const cases: readonly {
    readonly name: string
    readonly isAway?: true
    readonly spoil: () => Promise<unknown>
    readonly refused: Readonly<Record<string, string>>
  }[] = [
    {
      name: 'both of earlier, and the control plane away',
      isAway: true,
      spoil: () => Promise.all([putBack('fleet.json'), putBack('agent.json')]),
      refused: { 'fleet.json': 'state_stale', 'agent.json': 'state_stale' },
    },
    {
      name: 'a truncated one and another instance’s, and the control plane away',
      isAway: true,
      spoil: () => Promise.all([cut('fleet.json'), foreign()]),
      refused: { 'fleet.json': 'held_malformed', 'agent.json': 'state_foreign' },
    },
    {
      name: 'an empty one and one with a byte turned',
      spoil: () => Promise.all([empty('fleet.json'), turned('agent.json')]),
      refused: { 'fleet.json': 'held_malformed', 'agent.json': 'held_malformed' },
    },
    {
      name: 'marks and the trust statement',
      spoil: () => Promise.all([turned('marks.json'), cut('trust-statement.jws')]),
      refused: { 'marks.json': 'held_malformed', 'trust-statement.jws': 'jws_malformed' },
    },
    {
      name: 'the trust statement and the fleet document that carries it, too',
      spoil: () => Promise.all([empty('trust-statement.jws'), empty('fleet.json')]),
      refused: { 'trust-statement.jws': 'jws_malformed', 'fleet.json': 'held_malformed' },
    },
  ]
  for (const { name, isAway, spoil, refused } of cases) {
    await t.test(name, async (t) => {
      await argus.process().stop()
      if (isAway === true) await control.process().stop()
      await spoil()
      await argus.begin()
      if (isAway === true) {
        const status = await eventually('it tells its status', () => statusOf(argus))
        t.match(status, { healthy: false, state: { fleet: null, agent: null, enforcement: 'none' } })
        const told = status.state_files.map(({ file, problem, code }) => [file, `${problem}: ${code}`] as const)
        t.same(
          Object.fromEntries(told),
          Object.fromEntries(Object.entries(refused).map(([file, code]) => [file, `refused: ${code}`])),
        )
        t.match(status.warnings[0], /was refused at the start .*fetched anew/)
        await t.rejects(fetch(argus.url('covina')), { cause: { code: 'ECONNREFUSED' } }, 'it never opens')
        await control.restart()
      }
      await argus.ready()
      await eventually('it calls again', () => reaches(argus))
      const said = events(argus.process().output(), 'state_file_refused')
      t.same(Object.fromEntries(said.map((one) => [one['file'], one['code']])), refused)
      const status = await eventually('all of it was fetched anew', async () => {
        const now = await statusOf(argus)
        return now.state_files.length === 0 && now
      })
      t.match(status, { healthy: true })
      await assertWhole(t, argus.stateFolder, name)
    })
  }
})

const mounts = await newMountNamespace(join(mesh.folder, 'mounts.log'))
if (typeof mounts === 'string') {
  await t.test('a state folder that takes nothing more', { skip: mounts }, () => {})
} else {
  t.teardown(() => mounts[Symbol.asyncDispose]())
  await t.test('a state folder that takes nothing more', async (t) => {
    const agent = await joinAgent(control, join(mesh.folder, 'small'), {
      service: 'argus',
      targetPort: mesh.service('argus').port,
      outbound: ['covina'],
      startedBy: mounts.inside,
    })
    t.teardown(() => agent[Symbol.asyncDispose]())
    const state = agent.stateFolder
    const kept = join(mesh.folder, 'kept')
    await mounts.script('cp -a "$1" "$2"; mount -t tmpfs -o size=1m none "$1"; cp -a "$2/." "$1"', state, kept)
    const status = () => statusOf(agent, mounts.inside)
    await agent.restart()
    await eventually('it calls', () => reaches(agent))
    const stops: readonly { name: string; code: string; stop: string; go: string }[] = [
      { name: 'a full disk', code: 'ENOSPC', stop: 'cat /dev/zero > "$1/ballast" || true', go: 'rm "$1/ballast"' },
      {
        name: 'a disk that is read-only now',
        code: 'EROFS',
        stop: 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"',
        go: 'umount "$1"',
      },
    ]
    for (const { name, code, stop, go } of stops) {
      await t.test(name, async (t) => {
        const before = await status()
        await mounts.script(stop, state)
        await rotate()
        const during = await eventually('newer state is in force, and not stored', async () => {
          const now = await status()
          const isTold = now.state_files.some((one) => one.file === 'agent.json')
          return now.state.agent !== before.state.agent && isTold && now.identity.last_failure !== null && now
        })
        t.notOk(during.healthy)
        t.match(
          during.state_files.filter(({ file }) => file === 'agent.json'),
          [{ file: 'agent.json', problem: 'not_stored', code }],
        )
        t.ok(during.warnings.some((one) => one.includes(`agent.json cannot be written`) && one.includes(code)))
        t.equal(during.identity.last_failure, 'file_unwritable', 'no key without a place for it, so no renewal')
        t.equal(during.identity.serial, before.identity.serial)
        t.ok(await reaches(agent), 'it serves on what it holds')
        await mounts.script(go, state)
        await rotate()
        const after = await eventually('all is stored, and the renewal made good', async () => {
          const now = await status()
          return now.state_files.length === 0 && now.identity.serial !== before.identity.serial && now
        })
        t.ok(after.healthy)
        const said = events(agent.process().output(), 'state_not_stored').filter((one) => one['code'] === code)
        t.equal(said.filter((one) => one['file'] === 'agent.json').length, 1, 'the log says it once')
        t.ok(events(agent.process().output(), 'state_stored_again').some((one) => one['file'] === 'agent.json'))
      })
    }
    await agent.process().stop()
    await mounts.script('mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"', state)
    await agent.begin()
    t.equal(await agent.process().exited, 1)
    t.match(
      agent.process().output(),
      /\nhint: mount its disk.*\n\[state_folder_unusable\]/,
      'no start where nothing can be kept',
    )
  })
}
