import { OCSP_METRICS } from '@vcc/ocsp'
import type { createMetrics } from '@vcc/runtime'

/** Every metric of the control plane. */
export const CONTROL_METRICS = {
  vcc_api_requests_total: {
    type: 'counter',
    help: 'API requests answered, by route and status',
    labels: { route: 'open', status: 'open' },
  },
  vcc_api_request_duration_seconds: {
    type: 'histogram',
    help: 'Time to answer an API request',
    labels: { route: 'open' },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  vcc_certificates_issued_total: { type: 'counter', help: 'Certificates issued, by cause', labels: { cause: 'open' } },
  vcc_messages_refused_total: {
    type: 'counter',
    help: 'Messages of agents refused, by code',
    labels: { code: 'open' },
  },
  vcc_state_published_total: {
    type: 'counter',
    help: 'Signed state documents published',
    labels: { kind: ['fleet', 'agent'] },
  },
  vcc_crls_issued_total: { type: 'counter', help: 'CRLs issued', labels: { kind: ['full', 'delta'] } },
  vcc_crl_failures_total: { type: 'counter', help: 'Attempts to issue a CRL that failed' },
  vcc_crl_next_update_seconds: {
    type: 'gauge',
    help: 'Seconds until the first of the served CRLs lapses; alarm below the outage budget',
    labels: { kind: ['full', 'delta'] },
  },
  vcc_crls_late: { type: 'gauge', help: 'Served CRLs past half of their validity; alarm above 0' },
  vcc_broker_connected: { type: 'gauge', help: '1 while the control plane is connected to the broker' },
  vcc_agents: {
    type: 'gauge',
    help: 'Registered instances, by whether they were heard of lately',
    labels: { connected: ['yes', 'no'] },
  },
  vcc_policy_version: { type: 'gauge', help: 'Version of the policy in force; 0 without one' },
  cert_expiry_days: {
    type: 'gauge',
    help: 'Days until a certificate of the control plane expires',
    labels: { name: 'open' },
  },
  ...OCSP_METRICS,
  vcc_hsm_operations_total: {
    type: 'counter',
    help: 'Requests to the token, by operation and outcome: ok, or the code of the refusal',
    labels: { operation: 'open', outcome: 'open' },
  },
  vcc_hsm_operation_duration_seconds: {
    type: 'histogram',
    help: 'Time until a request to the token was answered, waiting included',
    labels: { operation: 'open' },
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  vcc_hsm_requests: {
    type: 'gauge',
    help: 'Requests to the token now',
    labels: { state: ['waiting', 'under_way'] },
  },
  vcc_hsm_breaker: {
    type: 'gauge',
    help: '1 for the state of the breaker: closed lets requests through, half_open one at a time, open none',
    labels: { state: ['closed', 'half_open', 'open'] },
  },
  vcc_hsm_signer_restarts_total: { type: 'counter', help: 'Signer processes that replaced another one' },
  signing_ops_total: { type: 'counter', help: 'Signatures made by keys of CAs', labels: { authority: 'open' } },
} as const

export type ControlMetrics = ReturnType<typeof createMetrics<typeof CONTROL_METRICS>>
