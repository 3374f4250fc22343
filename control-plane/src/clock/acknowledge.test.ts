import { expect, test } from 'vitest'
import { appendAudit } from '../audit/append.ts'
import { auditRows } from '../audit/export.ts'
import { verifyChain } from '../audit/verify.ts'
import { scratchDatabase } from '../database/scratch.ts'
import { acknowledgeClock } from './acknowledge.ts'

const source = { component: 'test', build: '0' }
const at = (text: string) => ({ now: () => Temporal.Instant.from(text), source })
const entry = {
  event: 'SYS-03',
  outcome: 'success',
  actor: { type: 'system', ref: 'test' },
  target: { type: 'component', id: 'test' },
} as const

test('a clock that went back is acknowledged once, and the chain goes on unbroken', async () => {
  await using database = scratchDatabase()
  const [wrong, right] = [at('2027-06-01T00:00:00Z'), at('2026-06-01T00:00:00Z')]
  await database.runUnit(() => appendAudit(entry, wrong))
  await expect(database.runUnit(() => appendAudit(entry, right))).rejects.toMatchObject({ code: 'audit_clock_behind' })
  expect(await acknowledgeClock(database, right)).toEqual({
    recorded: '2027-06-01T00:00:00.000000Z',
    now: '2026-06-01T00:00:00Z',
  })
  expect(await acknowledgeClock(database, right)).toBeUndefined()
  await database.runUnit(() => appendAudit(entry, right))
  expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 3 })
})

test('a clock that is right has nothing to acknowledge, and nothing is written', async () => {
  await using database = scratchDatabase()
  expect(await acknowledgeClock(database, at('2026-06-01T00:00:00Z'))).toBeUndefined()
  await database.runUnit(() => appendAudit(entry, at('2026-06-01T00:00:00Z')))
  expect(await acknowledgeClock(database, at('2026-05-31T23:56:00Z'))).toBeUndefined()
  expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 1 })
})
