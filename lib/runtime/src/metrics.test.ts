import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

const TABLE = {
  vcc_decisions_total: {
    type: 'counter',
    help: 'Decisions by edge and result',
    labels: { result: ['allowed', 'denied'], target: 'open' },
  },
  vcc_connections: { type: 'gauge', help: 'Open connections', labels: { direction: ['in', 'out'] } },
  vcc_handshake_seconds: { type: 'histogram', help: 'Handshakes', buckets: [0.001, 0.01] },
  vcc_state_age_seconds: { type: 'gauge', help: 'Age of the state' },
} as const

test('what was counted, set and observed is in the text', async () => {
  const metrics = createMetrics(TABLE, { processMetrics: false })
  metrics.vcc_decisions_total.add({ result: 'allowed', target: 'covina' })
  metrics.vcc_decisions_total.add({ result: 'allowed', target: 'covina' }, 2)
  metrics.vcc_connections.set({ direction: 'in' }, 5)
  metrics.vcc_connections.add({ direction: 'in' }, -1)
  metrics.vcc_handshake_seconds.observe({}, 0.005)
  expect(await metrics.text()).toBe(`# HELP vcc_decisions_total Decisions by edge and result
# TYPE vcc_decisions_total counter
vcc_decisions_total{result="allowed",target="covina"} 3

# HELP vcc_connections Open connections
# TYPE vcc_connections gauge
vcc_connections{direction="in"} 4

# HELP vcc_handshake_seconds Handshakes
# TYPE vcc_handshake_seconds histogram
vcc_handshake_seconds_bucket{le="0.001"} 0
vcc_handshake_seconds_bucket{le="0.01"} 1
vcc_handshake_seconds_bucket{le="+Inf"} 1
vcc_handshake_seconds_sum 0.005
vcc_handshake_seconds_count 1

# HELP vcc_state_age_seconds Age of the state
# TYPE vcc_state_age_seconds gauge
vcc_state_age_seconds 0
`)
  expect(metrics.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
})

test('a label from policy cannot fill the memory', async () => {
  const metrics = createMetrics(TABLE, { processMetrics: false })
  for (let index = 0; index < 5000; index++) metrics.vcc_decisions_total.add({ result: 'denied', target: `t${index}` })
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('vcc_decisions_total{'))
  expect(lines).toHaveLength(1001)
  expect(lines).toContain('vcc_decisions_total{result="denied",target="other"} 4000')
})

test('a series that is removed is gone', async () => {
  const metrics = createMetrics(TABLE, { processMetrics: false })
  metrics.vcc_connections.set({ direction: 'out' }, 5)
  metrics.vcc_connections.remove({ direction: 'out' })
  expect(await metrics.text()).not.toContain('direction="out"')
})

test('gauges that are read are set before each exposition', async () => {
  let age = 1
  const metrics = createMetrics(TABLE, {
    processMetrics: false,
    beforeText: (all) => all.vcc_state_age_seconds.set({}, age++),
  })
  expect(await metrics.text()).toContain('vcc_state_age_seconds 1\n')
  expect(await metrics.text()).toContain('vcc_state_age_seconds 2\n')
})

test('the process is described, open files among it', async () => {
  const text = await createMetrics({}).text()
  for (const name of ['process_open_fds', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds']) {
    expect(text).toMatch(new RegExp(`^${name} [0-9.e-]+$`, 'm'))
  }
})

test('labels outside the table do not compile', () => {
  const metrics = createMetrics(TABLE, { processMetrics: false })
  const mistakes = () => {
    // @ts-expect-error the table has no such result
    metrics.vcc_decisions_total.add({ result: 'maybe', target: 'x' })
    // @ts-expect-error a label is missing
    metrics.vcc_decisions_total.add({ result: 'denied' })
    // @ts-expect-error the table has no such metric
    metrics.vcc_other.add({})
  }
  expect(mistakes).toThrow()
})
