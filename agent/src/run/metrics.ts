import { createMetrics } from '@vcc/runtime'
import type { ProxyMetrics } from '../proxy/observe.ts'

const direction = ['inbound', 'outbound'] as const
const unit = ['connection', 'request'] as const

/** Every metric of the agent. Labels are closed lists, or names of the policy. */
export const AGENT_METRICS = {
  vcc_agent_connections_opened_total: {
    type: 'counter',
    help: 'Connections, and requests in HTTP mode, that began',
    labels: { direction, unit },
  },
  vcc_agent_connections_closed_total: {
    type: 'counter',
    help: 'Connections and requests that ended',
    labels: { direction, unit },
  },
  vcc_agent_connections_open: {
    type: 'gauge',
    help: 'Connections and requests that are open',
    labels: { direction, unit },
  },
  vcc_agent_handshakes_total: {
    type: 'counter',
    help: 'TLS handshakes, by result',
    labels: { direction, result: 'open' },
  },
  vcc_agent_bytes_total: {
    type: 'counter',
    help: 'Bytes from (in) and to (out) the mesh',
    labels: { direction, way: ['in', 'out'] },
  },
  vcc_agent_decisions_total: {
    type: 'counter',
    help: 'Decisions of the matrix, by edge and result',
    labels: { direction, source: 'open', target: 'open', result: 'open' },
  },
  vcc_agent_certificate_expiry_timestamp_seconds: { type: 'gauge', help: 'End of the certificate in force' },
  vcc_agent_certificate_refresh_timestamp_seconds: { type: 'gauge', help: 'When it is to be renewed' },
  cert_expiry_days: { type: 'gauge', help: 'Days until the certificate in force expires' },
  vcc_agent_certificate_renewals_total: { type: 'counter', help: 'Renewals, by result', labels: { result: 'open' } },
  vcc_agent_state_generation: {
    type: 'gauge',
    help: 'Generation of the signed state held',
    labels: { kind: ['fleet', 'agent'] },
  },
  vcc_agent_state_age_seconds: {
    type: 'gauge',
    help: 'Seconds since the state held was signed',
    labels: { kind: ['fleet', 'agent'] },
  },
  vcc_agent_state_enforce_until_timestamp_seconds: { type: 'gauge', help: 'Past it no call is let through' },
  vcc_agent_state_refused_total: {
    type: 'counter',
    help: 'Signed state refused, or not put in force, by code',
    labels: { code: 'open' },
  },
  vcc_agent_clock_offset_seconds: {
    type: 'gauge',
    help: 'Own clock minus the one of the control plane, at the last pull',
  },
  vcc_agent_control_plane_up: {
    type: 'gauge',
    help: '1 while the control plane answers',
    labels: { link: ['api', 'broker'] },
  },
  vcc_agent_ready: { type: 'gauge', help: '1 while the agent can serve' },
  vcc_agent_service_healthy: { type: 'gauge', help: '1 while the local service is well' },
  vcc_agent_key_exchange_info: {
    type: 'gauge',
    help: 'Key exchange group of the own listener',
    labels: { group: 'open' },
  },
} as const

export type AgentMetrics = ReturnType<typeof createAgentMetrics>

export function createAgentMetrics(read: (metrics: { set: AgentGauges }) => void) {
  return createMetrics(AGENT_METRICS, { beforeText: (metrics) => read({ set: gaugesOf(metrics) }) })
}

/** Gauges that are read when asked for. */
export interface AgentGauges {
  certificate(expiry: Date, refresh: Date | undefined, now: Date): void
  state(kind: 'fleet' | 'agent', generation: number, ageSeconds: number): void
  enforceUntil(until: Date): void
  clockOffset(seconds: number | undefined): void
  link(link: 'api' | 'broker', up: boolean): void
  ready(ready: boolean): void
  service(healthy: boolean): void
}

function gaugesOf(metrics: ReturnType<typeof createMetrics<typeof AGENT_METRICS>>): AgentGauges {
  const seconds = (at: Date) => Math.floor(at.getTime() / 1000)
  return {
    certificate(expiry, refresh, now) {
      metrics.vcc_agent_certificate_expiry_timestamp_seconds.set({}, seconds(expiry))
      if (refresh !== undefined) metrics.vcc_agent_certificate_refresh_timestamp_seconds.set({}, seconds(refresh))
      metrics.cert_expiry_days.set({}, (expiry.getTime() - now.getTime()) / 86_400_000)
    },
    state(kind, generation, ageSeconds) {
      metrics.vcc_agent_state_generation.set({ kind }, generation)
      metrics.vcc_agent_state_age_seconds.set({ kind }, ageSeconds)
    },
    enforceUntil: (until) => metrics.vcc_agent_state_enforce_until_timestamp_seconds.set({}, seconds(until)),
    clockOffset(seconds) {
      if (seconds !== undefined) metrics.vcc_agent_clock_offset_seconds.set({}, seconds)
    },
    link: (link, up) => metrics.vcc_agent_control_plane_up.set({ link }, up ? 1 : 0),
    ready: (ready) => metrics.vcc_agent_ready.set({}, ready ? 1 : 0),
    service: (healthy) => metrics.vcc_agent_service_healthy.set({}, healthy ? 1 : 0),
  }
}

/** What the data plane counts, on the hot path. */
export function proxyMetrics(metrics: Pick<AgentMetrics, keyof typeof AGENT_METRICS>): ProxyMetrics {
  return {
    opened(way, kind) {
      metrics.vcc_agent_connections_opened_total.add({ direction: way, unit: kind })
      metrics.vcc_agent_connections_open.add({ direction: way, unit: kind }, 1)
    },
    closed(way, kind) {
      metrics.vcc_agent_connections_closed_total.add({ direction: way, unit: kind })
      metrics.vcc_agent_connections_open.add({ direction: way, unit: kind }, -1)
    },
    handshake: (way, result) => metrics.vcc_agent_handshakes_total.add({ direction: way, result }),
    bytes: (way, inOrOut, count) => metrics.vcc_agent_bytes_total.add({ direction: way, way: inOrOut }, count),
    decision: (way, source, target, result) =>
      metrics.vcc_agent_decisions_total.add({ direction: way, source, target, result }),
  }
}
