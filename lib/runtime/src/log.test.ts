import { describe, expect, test } from 'vitest'
import { defineEvents, event } from './events.ts'
import { createLogger, describeError, type Log, type LogLevel } from './log.ts'

function captured(level: LogLevel = 'info'): { log: Log; lines: () => Record<string, unknown>[] } {
  const written: string[] = []
  const log = createLogger({ name: 'vcc-agent', level, stream: { write: (line) => written.push(line) } })
  return { log, lines: () => written.map((line) => JSON.parse(line)) }
}

const agentEvents = defineEvents({
  renewed: event<{ serialHex: string; notAfter: Date; attempts?: number }>('info', 'certificate renewed'),
  broker_gone: event('warn', 'the broker does not answer'),
  frame: event<{ octets: bigint; topics: readonly string[] }>('debug', 'frame'),
})

test('an event is one line of JSON with level, time, name, event and its facts', () => {
  const { log, lines } = captured()
  agentEvents(log).renewed({ serialHex: '01ab', notAfter: new Date('2026-11-30T00:00:00Z') })
  expect(lines()).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      name: 'vcc-agent',
      event: 'renewed',
      serialHex: '01ab',
      notAfter: '2026-11-30T00:00:00.000Z',
      msg: 'certificate renewed',
    },
  ])
})

test('an event carries its error with causes, by name, code and message', () => {
  const { log, lines } = captured()
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', password: 'hunter2' })
  agentEvents(log).broker_gone({}, new Error('no broker', { cause }))
  expect(lines()[0]?.['error']).toMatchObject({
    name: 'Error',
    message: 'no broker',
    cause: { name: 'Error', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
  })
  expect(JSON.stringify(lines())).not.toContain('hunter2')
})

describe('level', () => {
  test('holds back what is below it', () => {
    const { log, lines } = captured('warn')
    agentEvents(log).renewed({ serialHex: '01', notAfter: new Date() })
    agentEvents(log).broker_gone({})
    expect(lines().map((line) => line['event'])).toEqual(['broker_gone'])
  })

  test('changes while running, for children that are there already', () => {
    const { log, lines } = captured('info')
    const child = log.child({ connection: 7 })
    const events = agentEvents(child)
    events.frame({ octets: 1n, topics: [] })
    log.level = 'debug'
    events.frame({ octets: 9_007_199_254_740_993n, topics: ['fleet/snapshot'] })
    expect(lines()).toEqual([
      expect.objectContaining({
        connection: 7,
        octets: '9007199254740993',
        topics: ['fleet/snapshot'],
        level: 'debug',
      }),
    ])
    expect(child.level).toBe('debug')
  })

  test('an unknown one is a mistake', () => {
    const { log } = captured()
    expect(() => {
      log.level = JSON.parse('"loud"')
    }).toThrow(TypeError)
  })
})

test('a text that a peer chose stays on its line and is cut', () => {
  const { log, lines } = captured()
  agentEvents(log).renewed({ serialHex: `a\n{"level":"fatal"}${'x'.repeat(10_000)}`, notAfter: new Date(Number.NaN) })
  expect(lines()).toHaveLength(1)
  expect(String(lines()[0]?.['serialHex'])).toHaveLength(4097)
  expect(lines()[0]?.['notAfter']).toBeNull()
})

test('an error that causes itself is described, not followed for ever', () => {
  const error = new Error('round')
  error.cause = error
  expect(JSON.stringify(describeError(error)).match(/round/g)?.length).toBeLessThan(10)
})

test('what is thrown without being an error is described', () => {
  expect(describeError('text')).toEqual({ name: 'string', message: 'text' })
  expect(describeError(undefined)).toEqual({ name: 'undefined', message: 'undefined' })
})

test('key material does not fit into an event', () => {
  const { log } = captured()
  // @ts-expect-error bytes are no fact for a log
  agentEvents(log).renewed({ serialHex: new Uint8Array(32), notAfter: new Date() })
  // @ts-expect-error an event takes the facts it was defined with
  agentEvents(log).broker_gone({ key: 'x' })
})
