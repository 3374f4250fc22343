import { expect, test } from 'vitest'
import { READINESS_REASONS, type ReadinessFacts, type ReadinessReason, unreadiness } from './readiness.ts'

const at = (text: string) => new Date(text)
const READY: ReadinessFacts = {
  now: at('2026-11-23T12:00:00Z'),
  draining: false,
  certificate: { notBefore: at('2026-11-23T00:00:00Z'), notAfter: at('2026-11-30T00:00:00Z') },
  enforceUntil: at('2026-11-26T12:00:00Z'),
  listener: { servedSerial: '01' },
  service: { health: 'ok' },
}

const cases: readonly { name: string; facts: Partial<ReadinessFacts>; codes: readonly ReadinessReason[] }[] = [
  { name: 'all in order is ready', facts: {}, codes: [] },
  {
    name: 'ready in the last second of the certificate',
    facts: { now: at('2026-11-30T00:00:00Z'), enforceUntil: at('2026-12-01T00:00:00Z') },
    codes: [],
  },
  { name: 'ready in the last second of the state', facts: { now: at('2026-11-26T12:00:00Z') }, codes: [] },
  { name: 'draining', facts: { draining: true }, codes: ['draining'] },
  { name: 'no certificate', facts: { certificate: undefined }, codes: ['no_certificate'] },
  {
    name: 'a certificate of tomorrow',
    facts: { certificate: { notBefore: at('2026-11-24T00:00:00Z'), notAfter: at('2026-11-30T00:00:00Z') } },
    codes: ['certificate_not_yet_valid'],
  },
  {
    name: 'expired by one second',
    facts: { certificate: { notBefore: at('2026-11-16T00:00:00Z'), notAfter: at('2026-11-23T11:59:59Z') } },
    codes: ['certificate_expired'],
  },
  { name: 'no state', facts: { enforceUntil: undefined }, codes: ['no_state'] },
  { name: 'state past its last second', facts: { now: at('2026-11-26T12:00:01Z') }, codes: ['state_not_enforceable'] },
  { name: 'listener not tried', facts: { listener: undefined }, codes: ['listener_unproven'] },
  {
    name: 'listener does not answer',
    facts: { listener: { failed: 'connection refused' } },
    codes: ['listener_failed'],
  },
  { name: 'service not tried', facts: { service: { health: 'unknown' } }, codes: ['service_unknown'] },
  { name: 'service down', facts: { service: { health: 'failing', detail: 'status 500' } }, codes: ['service_failing'] },
  {
    name: 'everything at once is all said',
    facts: {
      draining: true,
      certificate: undefined,
      enforceUntil: undefined,
      listener: undefined,
      service: { health: 'unknown' },
    },
    codes: ['draining', 'no_certificate', 'no_state', 'listener_unproven', 'service_unknown'],
  },
]

for (const { name, facts, codes } of cases) {
  test(name, () => {
    expect(unreadiness({ ...READY, ...facts }).map((reason) => reason.code)).toEqual(codes)
  })
}

test('every reason has a case', () => {
  const seen = new Set(cases.flatMap((one) => one.codes))
  expect(Object.keys(READINESS_REASONS).filter((code) => !seen.has(code as ReadinessReason))).toEqual([]) // keys of the table
})
