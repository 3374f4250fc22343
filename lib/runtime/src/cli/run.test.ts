import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { environment, nodeCommand } from '../host.ts'
import { CliError, EXIT } from './exit.ts'
import { formatCliError } from './run.ts'

async function run(args: readonly string[], options: { stdin?: string; env?: Record<string, string> } = {}) {
  const env = { PATH: environment()['PATH'], ...options.env }
  const child = spawn(nodeCommand().path, [PROGRAM, ...args], { env, timeout: 15_000 })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  if (options.stdin !== undefined) child.stdin.end(options.stdin)
  const [code] = await once(child, 'close')
  return { code, out, err }
}

const PROGRAM = fileURLToPath(new URL('../testing/program.ts', import.meta.url))

const cases: readonly { args: string; code: number; err?: string; out?: string }[] = [
  { args: 'service list', code: 0, out: 'argus\nclara\n', err: '' },
  {
    args: 'service list --format json',
    code: 0,
    out: '{"apiVersion":"vcc/v1","kind":"ServiceList","services":["argus","clara"]}\n',
  },
  { args: '--version', code: 0, out: '1.2.3\n', err: '' },
  {
    args: 'service show x',
    code: 5,
    out: '',
    err: 'vcc-test: there is no service "x"\nhint: vcc-test service list\n[service_unknown]\n',
  },
  { args: '', code: 2, out: '', err: 'vcc-test: a command is missing\nhint: vcc-test --help\n[usage_invalid]\n' },
  { args: 'service', code: 2, out: '' },
  {
    args: 'servcie list',
    code: 2,
    err: "vcc-test: unknown command 'servcie'\nhint: Did you mean service?\n[usage_invalid]\n",
  },
  { args: 'nothing', code: 2, err: "vcc-test: unknown command 'nothing'\nhint: vcc-test --help\n[usage_invalid]\n" },
  {
    args: 'service list --fromat json',
    code: 2,
    err: "vcc-test: unknown option '--fromat'\nhint: Did you mean --format?\n[usage_invalid]\n",
  },
  { args: 'service list --format xml', code: 2 },
  { args: 'service list surplus', code: 2 },
  {
    args: 'service show',
    code: 2,
    err: "vcc-test: missing required argument 'name'\nhint: vcc-test --help\n[usage_invalid]\n",
  },
  { args: 'service show x --port', code: 2 },
  {
    args: 'fail config',
    code: 2,
    err: 'vcc-test: a.yaml:1:1: port: is missing\na.yaml:1:1: prot: unknown field (did you mean "port"?)\n[config_invalid]\n',
  },
  { args: 'fail file', code: 1, err: 'vcc-test: /k may be used by others\nhint: chmod 600 /k\n[secret_permissions]\n' },
  { args: 'fail network', code: 7, err: 'vcc-test: connect ECONNREFUSED 127.0.0.1:1\n[ECONNREFUSED]\n' },
  { args: 'fail deadline', code: 7, err: 'vcc-test: API: no answer within 5 ms\n[deadline_exceeded]\n' },
  { args: 'fail abort', code: 130, err: 'vcc-test: interrupted\n[interrupted]\n' },
  { args: 'fail foreign', code: 6, err: 'vcc-test: name \\u{202e}"\nsecond line\n[x]\n' },
  { args: 'fail no', code: 3, err: '' },
]

for (const { args, code, err, out } of cases) {
  test.concurrent(`vcc-test ${args} ends with ${code}`, async () => {
    const ending = await run(args === '' ? [] : args.split(' '))
    if (err !== undefined) expect(ending.err).toBe(err)
    if (out !== undefined) expect(ending.out).toBe(out)
    expect(ending.code).toBe(code)
  })
}

test('a bug is an internal error without a stack, unless asked for', async () => {
  const plain = await run(['fail', 'bug'])
  expect(plain.code).toBe(1)
  expect(plain.err).toMatch(/^vcc-test: unexpected failure: .*\nhint: VCC_DEBUG=1 shows where\n\[internal_error\]\n$/)
  expect((await run(['fail', 'bug'], { env: { VCC_DEBUG: '1' } })).err).toMatch(/\n {4}at /)
})

test('--help is on standard output and ends with 0', async () => {
  const { code, out, err } = await run(['service', '--help'])
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain('list services')
})

test('a reader that has seen enough is no failure', async () => {
  const child = spawn(nodeCommand().path, [PROGRAM, 'fail', 'much'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let err = ''
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  const [code] = await once(child, 'close')
  expect([code, err]).toEqual([0, ''])
})

describe('standard input', () => {
  test('is read to its end', async () => expect((await run(['fail', 'stdin'], { stdin: '12345' })).out).toBe('5'))
  test('is refused past the bound', async () => {
    const { code, err } = await run(['fail', 'stdin'], { stdin: '123456' })
    expect(code).toBe(1)
    expect(err).toContain('[stdin_too_large]')
  })
  test('that never ends is given up with the signal', async () => {
    expect((await run(['fail', 'stdin-late'])).code).not.toBe(0)
  })
})

test('colour is for terminals that want it', () => {
  const error = new CliError('failed', 'x', 'y')
  expect(formatCliError('vcc', error)).toBe('vcc: y\n[x]\n')
  expect(formatCliError('vcc', error, true)).toBe('\x1b[31mvcc:\x1b[0m y\n[x]\n')
})

test('the exit codes are those of the manual', () => {
  expect(Object.values(EXIT)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 130])
})
