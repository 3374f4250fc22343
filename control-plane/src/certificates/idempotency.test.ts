import { afterAll, beforeAll, expect, test } from 'vitest'
import { change, query } from '../database/unit.ts'
import { issue } from '../issuance/issue.ts'
import { builtinTemplates } from '../templates/template.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { adminOrder } from './admin.ts'
import { bindIdempotency, dropExpiredKeys, settleIdempotency } from './idempotency.ts'

let place: TestInstallation
beforeAll(async () => {
  place = await testInstallation()
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

async function requested(key: string, request: unknown = 'a', signer?: { sign: () => Promise<Uint8Array> }) {
  const requester = { type: 'system', ref: 'test' } as const
  const order = await adminOrder(
    { account: 'ada', csr: await newCsr(), requester, requestId: 'test', validityMs: undefined },
    { ...place, adminTemplate: builtinTemplates()['vcc-admin'] },
  )
  const what = { scope: 'test', key, request }
  const issuer =
    signer === undefined ? order.issuer : { ...order.issuer, signer: { ...order.issuer.signer, ...signer } }
  const { certificate } = await issue(
    {
      ...order,
      issuer,
      bind: ({ intentId }) => bindIdempotency(what, intentId, place),
      settle: ({ certId }) => settleIdempotency(what, certId),
    },
    place,
  )
  return certificate.serialHex
}

test('ca-31 the same request under the same key gets the same certificate', async () => {
  expect(await requested('same-key')).toBe(await requested('same-key'))
})

test('another request under the key is refused', async () => {
  await requested('other-key')
  await expect(requested('other-key', 'b')).rejects.toMatchObject({ code: 'idempotency_key_reused' })
})

test('five at once: one is signed, the others are told to wait', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => requested('race-key')))
  const codes = outcomes.map((one) => (one.status === 'fulfilled' ? 'won' : (one.reason as { code: string }).code))
  expect(codes.toSorted()).toEqual([...Array.from({ length: 4 }, () => 'issuance_lost'), 'won'])
  expect(await requested('race-key')).toBe(outcomes.find((one) => one.status === 'fulfilled')?.value)
})

test('ca-31 after an orphan the same request gets a new serial', async () => {
  const refuses = { sign: () => Promise.reject(new Error('the device is gone')) }
  await expect(requested('orphan-key', 'a', refuses)).rejects.toMatchObject({ code: 'signer_unavailable' })
  expect(await requested('orphan-key')).toMatch(/^[0-9a-f]{40}$/)
})

test('a key past its end stands for nothing', async () => {
  const first = await requested('old-key')
  const expire = () =>
    change(query.updateTable('idempotency_keys').set({ expires_at: 1 }).where('idempotency_key', '=', 'old-key'))
  await place.database.runUnit(expire)
  const second = await requested('old-key', 'b')
  expect(second).not.toBe(first)
  expect(await requested('old-key', 'b')).toBe(second)
  await place.database.runUnit(expire)
  expect(await place.database.runUnit(() => dropExpiredKeys(place.now()))).toBe(1)
})
