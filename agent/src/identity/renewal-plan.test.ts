import { describe, expect, test } from 'vitest'
import { dailyRenewal, planRenewal, type RenewalFacts } from './renewal-plan.ts'

const at = (text: string) => new Date(text)
const FRESH: RenewalFacts = {
  now: at('2026-11-23T12:00:00Z'),
  clockBehindSince: undefined,
  serialHex: '1234567890abcdef',
  notBefore: at('2026-11-23T09:55:00Z'),
  notAfter: at('2026-11-30T10:00:00Z'),
  issuedAfter: undefined,
  lastSuccess: undefined,
  lastFailure: undefined,
}
const failed = (code: string | undefined, waitMs: number) => ({ at: FRESH.now, failures: 1, waitMs, code })

const cases: readonly { name: string; facts: Partial<RenewalFacts>; plan: object; instant?: string }[] = [
  { name: 'a fresh certificate waits for its day', facts: {}, plan: { kind: 'renew', why: 'due' } },
  {
    name: 'a demand one second after the issue is followed',
    facts: { issuedAfter: at('2026-11-23T10:00:01Z') },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T10:00:01Z',
  },
  {
    name: 'a demand at the instant of the issue is met already',
    facts: { issuedAfter: at('2026-11-23T10:00:00Z') },
    plan: { kind: 'renew', why: 'due' },
  },
  {
    name: 'a demand in the future is followed then',
    facts: { issuedAfter: at('2026-11-23T13:00:00Z') },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T13:00:00Z',
  },
  {
    name: 'a demand waits a second after the last certificate',
    facts: { issuedAfter: at('2026-11-23T11:59:59Z'), lastSuccess: FRESH.now },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T12:00:01Z',
  },
  {
    name: 'a demand waits for the backoff',
    facts: { issuedAfter: at('2026-11-23T11:00:00Z'), lastFailure: failed(undefined, 30_000) },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T12:00:30Z',
  },
  {
    name: 'valid in its last second is renewed, not re-enrolled',
    facts: { now: at('2026-11-30T10:00:00Z') },
    plan: { kind: 'renew', why: 'due' },
  },
  {
    name: 'expired is re-enrolled at once',
    facts: { now: at('2026-11-30T10:00:01Z') },
    plan: { kind: 're-enrol', why: 'expired' },
    instant: '2026-11-30T10:00:01Z',
  },
  {
    name: 'expired is re-enrolled although the state demands a renewal',
    facts: { now: at('2026-12-01T00:00:00Z'), issuedAfter: at('2026-11-30T00:00:00Z') },
    plan: { kind: 're-enrol', why: 'expired' },
  },
  {
    name: 'expired thirty days ago is re-enrolled',
    facts: { now: at('2026-12-30T10:00:00Z') },
    plan: { kind: 're-enrol', why: 'expired' },
  },
  {
    name: 'expired longer ago is for a person',
    facts: { now: at('2026-12-30T10:00:01Z') },
    plan: { kind: 'stop', why: 'expired_too_long' },
  },
  {
    name: 'a forked identity never asks again',
    facts: { lastFailure: failed('identity_forked', 0), issuedAfter: at('2026-11-23T11:00:00Z') },
    plan: { kind: 'stop', why: 'identity_forked' },
  },
  {
    name: 'a forked identity never asks again after expiry either',
    facts: { now: at('2026-12-01T00:00:00Z'), lastFailure: failed('identity_forked', 0) },
    plan: { kind: 'stop', why: 'identity_forked' },
  },
  {
    name: 'a clock behind renews at most hourly',
    facts: {
      clockBehindSince: at('2026-11-23T11:30:00Z'),
      issuedAfter: at('2026-11-23T11:00:00Z'),
      lastFailure: failed(undefined, 1000),
    },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T13:00:00Z',
  },
  {
    name: 'a clock behind does not renew at start',
    facts: { clockBehindSince: at('2026-11-23T11:30:00Z'), issuedAfter: at('2026-11-23T11:00:00Z') },
    plan: { kind: 'renew', why: 'demanded' },
    instant: '2026-11-23T12:30:00Z',
  },
]

for (const { name, facts, plan, instant } of cases) {
  test(name, () => {
    const planned = planRenewal({ ...FRESH, ...facts })
    expect(planned).toMatchObject(plan)
    if (instant !== undefined) expect(planned).toMatchObject({ at: at(instant) })
  })
}

describe('the daily renewal', () => {
  test('lies within ten percent of a day after the issue, spread by serial, and stays where it is', () => {
    const hours = Array.from({ length: 200 }, (_, serial) => {
      const facts = { ...FRESH, serialHex: serial.toString(16) }
      expect(dailyRenewal(facts)).toEqual(dailyRenewal(facts))
      return (dailyRenewal(facts).getTime() - at('2026-11-23T10:00:00Z').getTime()) / 3_600_000
    })
    expect(Math.min(...hours)).toBeGreaterThanOrEqual(21.6)
    expect(Math.min(...hours)).toBeLessThan(22)
    expect(Math.max(...hours)).toBeLessThanOrEqual(26.4)
    expect(Math.max(...hours)).toBeGreaterThan(26)
  })

  test('comes at half of a shorter life', () => {
    const hour = dailyRenewal({ ...FRESH, notAfter: at('2026-11-23T11:00:00Z') })
    expect(hour.getTime()).toBeGreaterThanOrEqual(at('2026-11-23T10:27:00Z').getTime())
    expect(hour.getTime()).toBeLessThanOrEqual(at('2026-11-23T10:33:00Z').getTime())
  })
})
