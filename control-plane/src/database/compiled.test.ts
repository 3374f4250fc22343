import { describe, expect, test } from 'vitest'
import { compiled } from './compiled.ts'
import { query } from './unit.ts'

const byKey = (caId: string, serial: string) =>
  query
    .selectFrom('certificates')
    .select(['der', 'state'])
    .where('issuing_ca_id', '=', caId)
    .where('serial_number', '=', serial)
    .where('state', '=', 'issued')
    .limit(1)
const block = (row: { spki_sha256: string; blocked_at: number; blocked_by: string }) =>
  query.insertInto('blocked_keys').values(row)
const text = ({ sql, parameters }: { sql: string; parameters: readonly unknown[] }) => ({ sql, parameters })

describe('a compiled query', () => {
  test('is the query that is built for the same arguments, whichever come', () => {
    const quick = compiled(byKey)
    const cases: readonly (readonly [string, string])[] = [
      ['a', '01'],
      ['b', ''],
      ['a', 'x'.repeat(100)],
    ]
    for (const args of cases) expect(text(quick(...args).compile())).toEqual(text(byKey(...args).compile()))
  })

  test('binds a row by its columns, in the order of the statement', () => {
    const quick = compiled(block)
    const rows = [
      { spki_sha256: 'a', blocked_at: 1, blocked_by: 'x' },
      { blocked_by: 'y', spki_sha256: 'b', blocked_at: 2 },
    ]
    for (const row of rows) expect(text(quick(row).compile())).toEqual(text(block(row).compile()))
  })

  test('is built once', () => {
    let built = 0
    const quick = compiled((caId: string) => {
      built += 1
      return query.selectFrom('certificates').select('der').where('issuing_ca_id', '=', caId)
    })
    for (let at = 0; at < 100; at++) quick(`${at}`).compile()
    expect(built).toBe(1)
  })

  test('keeps bytes, nulls and numbers as they are', () => {
    const quick = compiled((der: Uint8Array, revocation: string | null) =>
      query.selectFrom('certificates').select('id').where('der', '=', der).where('cert_id', 'is', revocation),
    )
    const bytes = Uint8Array.of(1, 2)
    expect(quick(bytes, null).compile().parameters).toEqual([bytes, null])
    expect(quick(bytes, '').compile().parameters).toEqual([bytes, ''])
  })

  test('refuses to be made of one that leaves out an argument, or changes it', () => {
    const without = compiled((_caId: string) => query.selectFrom('certificates').select('der'))
    const changed = compiled((caId: string) =>
      query.selectFrom('certificates').select('der').where('issuing_ca_id', '=', `${caId}!`),
    )
    expect(() => without('a')).toThrow(TypeError)
    expect(() => changed('a')).toThrow(TypeError)
  })
})
