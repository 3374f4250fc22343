import { expect, test } from 'vitest'
import { outageWords } from './outage.ts'
import { type AgentStatus, isAgentStatus } from './status.ts'
import { statusWords } from './words.ts'

const WELL: AgentStatus = {
  healthy: true,
  warnings: [],
  version: '0.1.0',
  identity: {
    id: 'spiffe://vcc.internal/org/brandenburg/svc/argus',
    instance: 'abcdefgh01234567',
    class: 'mtls_certificate',
    serial: '5169ca33a72c',
    not_before: '2026-11-23T09:55:00Z',
    not_after: '2026-11-30T10:00:00Z',
    renewal: 'renewal due at 2026-11-24T10:40:00Z',
    renewal_at: '2026-11-24T10:40:00Z',
    last_failure: null,
  },
  listener: {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    group: 'SecP256r1MLKEM768',
    served_serial: '5169ca33a72c',
  },
  state: {
    fleet: '1.1',
    agent: '1.10',
    policy_version: 3,
    signed_at: '2026-11-23T11:59:30Z',
    enforcement: 'fresh',
    enforce_until: '2026-11-26T11:59:30Z',
  },
  state_files: [],
  control_plane: { api: 'reachable', api_down_since: null, broker: 'connected', broker_down_since: null },
  clock_behind_seconds: 0,
  clock_offset_seconds: 0,
  ready: true,
  not_ready: [],
  service: { target: '127.0.0.1:8000', mode: 'http', health: 'ok', detail: null },
  connections: { inbound: 1, outbound: 2, handshakes: 0 },
  upstreams: [
    {
      name: 'covina',
      listen: '127.0.0.1:15001',
      allowed: true,
      rule: 'argus.allowed_outbound[0]',
      addresses: ['10.0.0.6:9443'],
      ejected: 0,
    },
    {
      name: 'veritas',
      listen: 'unix:/run/vcc/veritas.sock',
      allowed: false,
      rule: 'default-deny',
      addresses: [],
      ejected: 0,
    },
  ],
  callers: [{ id: 'spiffe://vcc.internal/org/brandenburg/svc/vpb', rule: 'vpb.allowed_outbound[0]' }],
  recorded_not_enforced: ['vpb asset_signing: optional'],
  local_bypass_possible: false,
}

const IN_OUTAGE: AgentStatus = {
  ...WELL,
  warnings: ['control plane and broker are away; the agent works on what it holds until 2026-11-26T11:59:30Z'],
  state: { ...WELL.state, enforcement: 'stale' },
  control_plane: {
    api: 'unreachable',
    api_down_since: '2026-11-23T12:10:00Z',
    broker: 'away',
    broker_down_since: '2026-11-23T12:09:58Z',
  },
}

const NEW: AgentStatus = {
  ...WELL,
  healthy: false,
  warnings: ['no signed state is held yet', 'the local service does not answer'],
  listener: null,
  state: { fleet: null, agent: null, policy_version: null, signed_at: null, enforcement: 'none', enforce_until: null },
  ready: false,
  not_ready: [{ code: 'no_state', detail: 'no signed state is held yet' }],
  service: { target: '127.0.0.1:8000', mode: null, health: 'failing', detail: 'connection refused' },
  upstreams: [],
  callers: [],
  recorded_not_enforced: [],
}

test('status in words is as in words.golden.txt', async () => {
  const texts = [WELL, IN_OUTAGE, NEW].map((status) => `${statusWords(status)}\n`)
  await expect(texts.join('\n')).toMatchFileSnapshot('words.golden.txt')
})

const outages: readonly { name: string; change: Partial<AgentStatus['state']>; words: string }[] = [
  { name: 'with time left', change: {}, words: 'the agent works on what it holds until 2026-11-26T11:59:30Z' },
  {
    name: 'past its end',
    change: { enforcement: 'expired' },
    words: 'nothing has been let through since 2026-11-26T11:59:30Z',
  },
  { name: 'before the first state', change: NEW.state, words: 'no signed state is held: nothing is let through' },
]
for (const { name, change, words } of outages) {
  test(`an outage ${name} says what is let through`, () => {
    const state = { ...IN_OUTAGE.state, ...change }
    expect(outageWords(state)).toBe(words)
    expect(statusWords({ ...IN_OUTAGE, state })).toContain(`; OUTAGE: ${words}`)
  })
}

test('warnings come before everything but whether it is well', () => {
  const lines = statusWords(IN_OUTAGE).split('\n')
  expect(lines[0]).toMatch(/^agent +healthy$/)
  expect(lines[1]).toMatch(/^warning /)
})

test('an answer that lacks a field is not a status', () => {
  const { ready: _, ...less } = WELL
  expect(isAgentStatus(WELL)).toBe(true)
  expect(isAgentStatus(less)).toBe(false)
})
