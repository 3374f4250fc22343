import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { nodeCommand } from './host.ts'

interface Ending {
  readonly code: number | null
  readonly events: readonly string[]
  readonly errors: string
  readonly log: readonly Record<string, unknown>[]
}

/** Runs testing/service.ts, sends the signals one after another once it is ready, and tells how it ended. */
async function endingOf(behaviour: string, signals: readonly NodeJS.Signals[] = []): Promise<Ending> {
  const child = spawn(nodeCommand().path, [SERVICE, behaviour], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 15_000 })
  let out = ''
  let errors = ''
  let sent = 0
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
    const due = out.includes('"service_ready"') ? (out.includes('"service_stopping"') ? 2 : 1) : 0
    for (; sent < Math.min(due, signals.length); sent++) child.kill(signals[sent])
  })
  child.stderr.on('data', (chunk) => {
    errors += String(chunk)
  })
  const [code] = await once(child, 'close')
  const log: Record<string, unknown>[] = out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  return { code, errors, log, events: log.map((line) => String(line['event'])) }
}

const SERVICE = fileURLToPath(new URL('testing/service.ts', import.meta.url))

const cases: readonly {
  name: string
  behaviour: string
  signals?: readonly NodeJS.Signals[]
  code: number
  events: readonly string[]
  errors?: string
}[] = [
  {
    name: 'SIGTERM closes everything in reverse order and ends with 0',
    behaviour: 'serves',
    signals: ['SIGTERM'],
    code: 0,
    events: ['service_ready', 'service_stopping', 'service_stopped'],
    errors: 'closed jobs\nclosed listener\nclosed database\n',
  },
  {
    name: 'SIGHUP is no different',
    behaviour: 'serves',
    signals: ['SIGHUP'],
    code: 0,
    events: ['service_ready', 'service_stopping', 'service_stopped'],
    errors: 'closed jobs\nclosed listener\nclosed database\n',
  },
  {
    name: 'SIGINT closes everything and ends with 130',
    behaviour: 'serves',
    signals: ['SIGINT'],
    code: 130,
    events: ['service_ready', 'service_stopping', 'service_stopped'],
    errors: 'closed jobs\nclosed listener\nclosed database\n',
  },
  {
    name: 'a wait that the stop ended is no failure',
    behaviour: 'waits',
    signals: ['SIGTERM'],
    code: 0,
    events: ['service_ready', 'service_stopping', 'service_stopped'],
    errors: '',
  },
  {
    name: 'a service that is done ends with 0',
    behaviour: 'ends',
    code: 0,
    events: ['service_ready', 'service_stopped'],
    errors: '',
  },
  {
    name: 'a service that cannot start ends with 1 and says why',
    behaviour: 'fails',
    code: 1,
    events: ['service_failed', 'service_stopped'],
    errors: 'vcc-test: unexpected failure: the port is taken\nhint: VCC_DEBUG=1 shows where\n[internal_error]\n',
  },
  {
    name: 'a wrong configuration ends with 2 after closing what was open',
    behaviour: 'fails-config',
    code: 2,
    events: ['service_failed', 'service_stopped'],
    errors: 'closed database\nvcc-test: a.yaml:1:1: port: is missing\nhint: add it\n[config_invalid]\n',
  },
  {
    name: 'a failure while stopping ends with 1',
    behaviour: 'fails-after-stop',
    signals: ['SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_failed', 'service_stopped'],
  },
  {
    name: 'a resource that does not close ends with 1, the others closed',
    behaviour: 'does-not-close',
    signals: ['SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_close_failed', 'service_stopped'],
    errors: 'closed database\n',
  },
  {
    name: 'a resource that does not close after SIGINT ends with 1, not 130',
    behaviour: 'does-not-close',
    signals: ['SIGINT'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_close_failed', 'service_stopped'],
  },
  {
    name: 'a resource that hangs is left to the last-resort timer',
    behaviour: 'hangs-closing',
    signals: ['SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_exit_forced'],
  },
  {
    name: 'a service that ignores the stop is ended by the last-resort timer',
    behaviour: 'ignores-stop',
    signals: ['SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_exit_forced'],
  },
  {
    name: 'a second SIGTERM ends at once with 1',
    behaviour: 'ignores-stop',
    signals: ['SIGTERM', 'SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping'],
  },
  {
    name: 'a second SIGINT ends at once with 130',
    behaviour: 'ignores-stop',
    signals: ['SIGINT', 'SIGINT'],
    code: 130,
    events: ['service_ready', 'service_stopping'],
  },
  {
    name: 'something left open is named, and ends with 1',
    behaviour: 'leaks',
    signals: ['SIGTERM'],
    code: 1,
    events: ['service_ready', 'service_stopping', 'service_stopped', 'service_exit_forced'],
  },
  { name: 'a forgotten rejection is fatal', behaviour: 'rejects-unhandled', code: 1, events: ['error_unhandled'] },
  { name: 'an exception nobody caught is fatal', behaviour: 'throws-unhandled', code: 1, events: ['error_unhandled'] },
]

for (const { name, behaviour, signals, code, events, errors } of cases) {
  test.concurrent(name, async () => {
    const ending = await endingOf(behaviour, signals)
    expect(ending.events).toEqual(events)
    expect(ending.code).toBe(code)
    if (errors !== undefined) expect(ending.errors).toBe(errors)
  })
}

test('the last-resort timer says what was left', async () => {
  const { log } = await endingOf('leaks', ['SIGTERM'])
  expect(log.at(-1)).toMatchObject({
    level: 'fatal',
    event: 'service_exit_forced',
    holding: expect.arrayContaining(['Timeout']),
  })
})
