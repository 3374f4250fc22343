/** A program of commands that fail in every way there is. Started by cli/run.test.ts. */
import { CliError, EXIT } from '../cli/exit.ts'
import { printResult, withFormat } from '../cli/result.ts'
import { createProgram, runCli } from '../cli/run.ts'
import { ConfigError } from '../config/problem.ts'
import { RuntimeError } from '../error.ts'
import { readStdin, setExitCode, writeOut } from '../host.ts'
import { withDeadline } from '../wait.ts'

const program = createProgram('vcc-test', 'a program under test', '1.2.3')
const service = program.command('service').description('services')
withFormat(service.command('list').description('list services')).action((options) => {
  printResult(options.format, 'ServiceList', { services: ['argus', 'clara'] }, ({ services }) => services.join('\n'))
})
service
  .command('show <name>')
  .option('--port <port>', 'port')
  .action((name: string) => {
    throw new CliError('notFound', 'service_unknown', `there is no service "${name}"`, {
      hint: 'vcc-test service list',
    })
  })

const FAILURES: Readonly<Record<string, () => unknown>> = {
  config: () => {
    const at = 'a.yaml:1:1'
    throw new ConfigError([
      { at, field: 'port', message: 'is missing' },
      { at, field: 'prot', message: 'unknown field', hint: 'did you mean "port"?' },
    ])
  },
  file: () => {
    throw new RuntimeError('secret_permissions', '/k may be used by others', { hint: 'chmod 600 /k' })
  },
  network: () => fetchNothing(),
  deadline: () => withDeadline(Promise.withResolvers<never>().promise, 5, 'API'),
  abort: () => {
    AbortSignal.abort().throwIfAborted()
  },
  bug: () => JSON.parse('{'),
  foreign: () => {
    throw new CliError('conflict', 'x', 'name \x1b[31m\u202e"\nsecond line')
  },
  no: () => setExitCode(EXIT.no),
  much: () => writeOut('x'.repeat(1_000_000)),
  stdin: async () => writeOut(String((await readStdin(5)).length)),
  'stdin-late': () => readStdin(5, { signal: AbortSignal.timeout(20) }),
}
program.command('fail <how>').action(async (how: string) => {
  await FAILURES[how]?.()
})

async function fetchNothing(): Promise<void> {
  const { connect } = await import('node:net')
  const { once } = await import('node:events')
  await once(connect(1, '127.0.0.1'), 'connect')
}

await runCli(program)
