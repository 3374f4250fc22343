/** A service of one behaviour, named by its argument. Started by lifecycle.test.ts. */

import { createProgram, runCli } from '../cli/run.ts'
import { ConfigError } from '../config/problem.ts'
import { programArguments, writeErr } from '../host.ts'
import { runService, type ServiceContext } from '../lifecycle.ts'
import { createLogger } from '../log.ts'
import { sleep } from '../wait.ts'

const BEHAVIOURS: Readonly<Record<string, (context: ServiceContext) => Promise<void>>> = {
  async serves({ resources, stopped, ready }) {
    for (const name of ['database', 'listener', 'jobs']) resources.defer(() => writeErr(`closed ${name}\n`))
    ready()
    await stopped
  },
  async waits({ signal, ready }) {
    ready()
    await sleep(1e9, signal)
  },
  async ends({ ready }) {
    ready()
  },
  async fails() {
    throw new Error('the port is taken')
  },
  async 'fails-config'({ resources }) {
    resources.defer(() => writeErr('closed database\n'))
    throw new ConfigError([{ at: 'a.yaml:1:1', field: 'port', message: 'is missing', hint: 'add it' }])
  },
  async 'fails-after-stop'({ stopped, ready }) {
    ready()
    await stopped
    throw new Error('could not save')
  },
  async 'does-not-close'({ resources, stopped, ready }) {
    resources.defer(() => writeErr('closed database\n'))
    resources.defer(() => {
      throw new Error('socket stuck')
    })
    ready()
    await stopped
  },
  async 'hangs-closing'({ resources, stopped, ready }) {
    resources.defer(() => Promise.withResolvers<void>().promise)
    ready()
    await stopped
  },
  async 'ignores-stop'({ ready }) {
    ready()
    await Promise.withResolvers<void>().promise
  },
  async leaks({ stopped, ready }) {
    setInterval(() => {}, 1000)
    ready()
    await stopped
  },
  async 'rejects-unhandled'({ stopped }) {
    void Promise.reject(new Error('forgotten'))
    await stopped
  },
  async 'throws-unhandled'({ stopped }) {
    setTimeout(() => {
      throw new Error('in a timer')
    }, 1)
    await stopped
  },
}

const program = createProgram('vcc-test', 'a service under test', '0.0.0')
program.command('run <behaviour>').action(async (name: string) => {
  const log = createLogger({ name: 'vcc-test' })
  await runService(BEHAVIOURS[name] ?? (async () => {}), { log, drainMs: 300, lingerMs: 200 })
})
await runCli(program, { argv: ['run', ...programArguments()] })
