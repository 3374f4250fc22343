/** One database, one control plane: by whatever name a second one comes to it. */
import { link, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { succeeded } from '../harness/control.ts'
import { VCC_CONTROL } from '../harness/paths.ts'
import { eventually } from '../harness/process.ts'
import { alias, call, type Installation, newInstallation, serving, started, vccControl } from './installation.ts'
import { newMountNamespace } from './mounts.ts'

const folder = await mkdtemp(join(tmpdir(), 'vcc-truths-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const original = await newInstallation(join(folder, 'original'))
const first = await serving(original)
t.teardown(() => first.stop('SIGKILL'))
const mounts = await newMountNamespace(join(folder, 'mounts.log'))
if (typeof mounts !== 'string') t.teardown(() => mounts[Symbol.asyncDispose]())

const isAlive = (on: Installation) =>
  call(on, on.admin, (api) => api.call('caList', {})).then(({ items }) => items.length > 0)

const NAMES: readonly {
  readonly name: string
  readonly code: 'database_locked' | 'database_linked'
  readonly needsMounts?: true
  /** Gives the same database the name `data`. */
  readonly make: (data: string) => Promise<unknown>
}[] = [
  { name: 'a symbolic link to the folder', code: 'database_locked', make: (data) => symlink(original.data, data) },
  {
    name: 'a symbolic link to the file',
    code: 'database_locked',
    make: async (data) => {
      await mkdir(data)
      await symlink(join(original.data, 'vcc.db'), join(data, 'vcc.db'))
    },
  },
  {
    name: 'a bind mount of the folder',
    code: 'database_locked',
    needsMounts: true,
    make: async (data) => {
      await mkdir(data)
      await bind(original.data, data)
    },
  },
  {
    name: 'a bind mount of the file',
    code: 'database_linked',
    needsMounts: true,
    make: async (data) => {
      await mkdir(data)
      await bind(join(original.data, 'vcc.db'), join(data, 'vcc.db'))
    },
  },
  {
    name: 'a hard link',
    code: 'database_linked',
    make: async (data) => {
      await mkdir(data)
      await link(join(original.data, 'vcc.db'), join(data, 'vcc.db'))
    },
  },
]

async function bind(from: string, to: string): Promise<void> {
  if (typeof mounts === 'string') throw new Error(mounts)
  await mounts.script('[ -e "$2" ] || touch "$2"; mount --bind "$1" "$2"', from, to)
}

for (const [index, { name, code, needsMounts, make }] of NAMES.entries()) {
  const skip = needsMounts === true && typeof mounts === 'string' ? mounts : false
  await t.test(`a second one through ${name} is ${code}`, { skip }, async (t) => {
    const data = join(folder, `name-${index}`)
    await make(data)
    const inside = needsMounts === true && typeof mounts !== 'string' ? mounts.inside : []
    const second = { ...(await alias(original, join(folder, `second-${index}`), data)), inside }
    const refused = await vccControl(second, 'run')
    t.equal(refused.code, 1)
    t.match(refused.stderr, new RegExp(`\\[${code}\\]`))
    t.match(refused.stderr, /\nhint: \S/)
    if (code === 'database_locked') t.match(refused.stderr, new RegExp(`process ${first.pid}, since 20`))
    t.ok(await isAlive(original), 'the first one works on')
    await rm(data, { recursive: true, force: true })
  })
}

await t.test('after kill -9 of the first the next one starts at once, by another name', async (t) => {
  t.equal(await first.stop('SIGKILL'), 'SIGKILL')
  const data = join(folder, 'by-link')
  await symlink(original.data, data)
  const next = await alias(original, join(folder, 'next'), data)
  await using process = await serving(next)
  t.ok(await isAlive(next))
  const late = await vccControl(original, 'run')
  t.match(late.stderr, /\[database_locked\]/, 'and the first one’s place is taken')
  t.equal(await process.stop(), 0)
})

await t.test('of three that start at the same moment one serves, and the others say who', async (t) => {
  const racers = await Promise.all([1, 2, 3].map((n) => alias(original, join(folder, `racer-${n}`), original.data)))
  const processes = racers.map((on) => started(on, [VCC_CONTROL, 'run', '--config', on.configFile]))
  const serves = (output: string) => output.includes('"event":"service_ready"')
  await eventually('all are decided', () => processes.every((one) => one.hasExited() || serves(one.output())))
  const winners = processes.filter((one) => serves(one.output()))
  t.equal(winners.length, 1)
  for (const loser of processes.filter((one) => !winners.includes(one))) {
    t.equal(await loser.exited, 1)
    t.match(loser.output(), new RegExp(`process ${winners[0]?.pid}, since .*\\[database_locked\\]`, 's'))
  }
  for (const winner of winners) t.equal(await winner.stop(), 0)
  succeeded(await vccControl(original, 'audit', 'verify'))
})
