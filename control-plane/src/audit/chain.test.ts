import { describe, expect, test } from 'vitest'
import type { Database } from '../database/open.ts'
import { scratchDatabase } from '../database/scratch.ts'
import { many, query } from '../database/unit.ts'
import { type AuditDeps, appendAudit } from './append.ts'
import type { AuditEntry } from './entry.ts'
import { auditRows, exportLine, parseExportLine } from './export.ts'
import { canonical, commitTo, hashOf } from './record.ts'
import { type AuditRow, type ChainFault, verifyChain } from './verify.ts'

const START = Temporal.Instant.from('2026-11-30T23:59:58.500001Z')
const SOURCE = { component: 'vcc-control', build: '0.1.0' }

const issued: AuditEntry = {
  event: 'CER-04',
  phase: 'outcome',
  outcome: 'success',
  actor: { type: 'service', ref: 'spiffe://vcc.internal/org/brandenburg/svc/argus' },
  target: { type: 'certificate', id: '01ab', tenant: 'brandenburg' },
  requestId: 'intent-1',
  ip: '10.20.30.40',
  details: { latency_ms: 3 },
}
const denied: AuditEntry = {
  event: 'IAM-05',
  outcome: 'denied',
  reasonCode: 'permission_missing',
  actor: { type: 'human', ref: 'ab'.repeat(16), role: 'auditor', authMethod: 'certificate', sessionRef: 's1' },
  target: { type: 'route', id: 'POST:/api/v1/vcc/policies' },
}
const started: AuditEntry = {
  event: 'SYS-01',
  outcome: 'success',
  actor: { type: 'system', ref: 'vcc-control' },
  target: { type: 'component', id: 'vcc-control' },
}

describe('an entry', () => {
  test('is the record of compliance §5.1, hashed without its hash', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => appendAudit(issued, clock()))
    const [row] = await rowsOf(database)
    const record = JSON.parse(row?.record ?? '')
    const { hash, ...body } = record
    expect(body).toEqual({
      seq: 1,
      segment: '2026-11',
      ts: '2026-11-30T23:59:59.500001Z',
      ts_source: { state: 'UNKNOWN' },
      event: 'CER-04',
      version: 1,
      phase: 'outcome',
      outcome: 'success',
      severity: 6,
      actor: { type: 'service', ref: 'spiffe://vcc.internal/org/brandenburg/svc/argus' },
      source: SOURCE,
      target: { type: 'certificate', id: '01ab', tenant: 'brandenburg' },
      request_id: 'intent-1',
      details_commit: commitTo(row?.salt ?? new Uint8Array(), row?.details ?? ''),
      prev_hash: '0'.repeat(96),
    })
    expect(hash).toBe(hashOf(body))
    expect(JSON.parse(row?.details ?? '')).toEqual({ event: { latency_ms: 3 }, source: { ip_prefix: '10.20.30.0/24' } })
  })

  test('of class A holds no person in the chain', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => appendAudit(denied, clock()))
    const [row] = await rowsOf(database)
    expect(JSON.parse(row?.record ?? '').actor).toEqual({ type: 'human', role: 'auditor', auth_method: 'certificate' })
    expect(JSON.parse(row?.details ?? '')).toEqual({ actor: { ref: 'ab'.repeat(16), session_ref: 's1' } })
  })

  test('of accountability keeps the ref in the chain', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => appendAudit({ ...denied, event: 'POL-01' }, clock()))
    const [row] = await rowsOf(database)
    expect(JSON.parse(row?.record ?? '').actor).toMatchObject({ ref: 'ab'.repeat(16) })
    expect(row?.details).toBeUndefined()
  })

  test('is found by what the database reads from the record', async () => {
    await using database = scratchDatabase()
    await append(database, [started, issued])
    const found = query
      .selectFrom('audit_entries')
      .select(['seq', 'event', 'segment', 'outcome', 'request_id', 'tenant'])
      .where('target_type', '=', 'certificate')
      .where('target_id', '=', '01ab')
    expect(await database.read(() => many(found))).toEqual([
      {
        seq: 2,
        event: 'CER-04',
        segment: '2026-12',
        outcome: 'success',
        request_id: 'intent-1',
        tenant: 'brandenburg',
      },
    ])
  })

  const refused: readonly { name: string; entry: object }[] = [
    { name: 'a person by name', entry: { actor: { type: 'human', ref: 'Erika Mustermann' } } },
    { name: 'a person by account', entry: { actor: { type: 'human', ref: 'erika' } } },
    { name: 'words as a reason', entry: { reasonCode: 'because I said so' } },
    { name: 'a target with spaces', entry: { target: { type: 'service', id: 'a b' } } },
    { name: 'a target that is empty', entry: { target: { type: 'service', id: '' } } },
    { name: 'a target of 257 characters', entry: { target: { type: 'service', id: 'a'.repeat(257) } } },
    { name: 'a line break in the request id', entry: { requestId: 'a\nb' } },
    { name: 'a hash that is none', entry: { afterHash: 'zz' } },
    { name: 'no outcome', entry: { phase: 'outcome', outcome: undefined } },
    { name: 'details past 16 KiB', entry: { details: { text: 'a'.repeat(16_384) } } },
    { name: 'details with a number that is none', entry: { details: { n: Number.NaN } } },
    { name: 'details with half a character', entry: { details: { text: '\ud800' } } },
  ]
  for (const { name, entry } of refused) {
    test(`with ${name} is refused, and the unit with it`, async () => {
      await using database = scratchDatabase()
      const bad = { ...started, ...entry } as AuditEntry // what a caller without types would pass
      await expect(database.runUnit(() => appendAudit(bad, clock()))).rejects.toMatchObject({
        code: 'audit_entry_invalid',
      })
      expect(await rowsOf(database)).toEqual([])
    })
  }
})

describe('the chain', () => {
  test('of concurrent appends has no gap, also beside units that fail', async () => {
    await using database = scratchDatabase()
    const deps = clock()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 300 }, (_, n) =>
        database.runUnit(function* () {
          yield* appendAudit(n % 2 === 0 ? issued : started, deps)
          if (n % 7 === 3) throw new Error('after its entry')
        }),
      ),
    )
    const kept = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(kept).toBe(257)
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: kept, head: { seq: kept } })
  })

  test('that is empty is whole', async () => {
    await using database = scratchDatabase()
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 0, head: { seq: 0 } })
  })

  test('longer than a page is read to its end', async () => {
    await using database = scratchDatabase()
    await append(
      database,
      Array.from({ length: 1_001 }, () => started),
    )
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 1_001 })
    expect(await verifyChain(auditRows(database, 1_000))).toEqual({ ok: false, seq: 1, reason: 'gap' })
  })

  test('stays whole when details are erased, and says how many', async () => {
    const rows = await chainOf([issued, denied, started])
    const erased = rows.map(({ record }) => ({ record }))
    expect(await verifyChain(erased)).toMatchObject({ ok: true, count: 3, detailsErased: 2 })
  })

  test('is verified from an export alone', async () => {
    const lines = (await chainOf([started, issued, denied])).map(exportLine)
    expect(await verifyChain(lines.map(parseExportLine))).toMatchObject({ ok: true, count: 3, detailsErased: 0 })
  })

  test('is verified from the middle on, after a head that is known', async () => {
    const rows = await chainOf([started, issued, denied])
    const head = JSON.parse(rows[0]?.record ?? '')
    expect(await verifyChain(rows.slice(1), { after: head })).toMatchObject({ ok: true, count: 2, head: { seq: 3 } })
  })

  test('cut off at its end is found by a head that is known', async () => {
    const rows = await chainOf([started, issued, denied])
    const known = JSON.parse(rows[2]?.record ?? '')
    expect(await verifyChain(rows.slice(0, 2))).toMatchObject({ ok: true })
    expect(await verifyChain(rows.slice(0, 2), { known })).toEqual({ ok: false, seq: 3, reason: 'truncated' })
    expect(await verifyChain(rows, { known })).toMatchObject({ ok: true })
    expect(await verifyChain(rows, { known: { ...known, hash: 'x' } })).toEqual({
      ok: false,
      seq: 3,
      reason: 'changed',
    })
  })

  test('refuses to go on with a clock far behind, unless that is acknowledged', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => appendAudit(started, clock()))
    const behind = clock(START.subtract({ minutes: 10 }))
    await expect(database.runUnit(() => appendAudit(started, behind))).rejects.toMatchObject({
      code: 'audit_clock_behind',
    })
    const acknowledged: AuditEntry = { ...started, event: 'TIM-03', target: { type: 'clock', id: 'system' } }
    await append(database, [acknowledged, started], behind)
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 3 })
  })

  test('takes a clock that steps back a little', async () => {
    await using database = scratchDatabase()
    await database.runUnit(() => appendAudit(started, clock()))
    await database.runUnit(() => appendAudit(started, clock(START.subtract({ minutes: 4 }))))
    expect(await verifyChain(auditRows(database))).toMatchObject({ ok: true, count: 2 })
  })
})

describe('tampering is found', () => {
  type Rows = readonly AuditRow[]
  const cases: readonly { name: string; tamper: (rows: Rows) => Rows; seq: number; reason: ChainFault }[] = [
    { name: 'first entry deleted', tamper: (rows) => rows.slice(1), seq: 1, reason: 'gap' },
    { name: 'entry deleted', tamper: (rows) => without(rows, 1), seq: 2, reason: 'gap' },
    { name: 'two entries swapped', tamper: ([a, b, c, d]) => unplaced(a, c, b, d), seq: 2, reason: 'gap' },
    { name: 'entry repeated', tamper: ([a, b, c, d]) => unplaced(a, b, b, c, d), seq: 3, reason: 'duplicate' },
    {
      name: 'earlier entry inserted again',
      tamper: ([a, b, c, d]) => unplaced(a, b, c, a, d),
      seq: 4,
      reason: 'reordered',
    },
    {
      name: 'entry of another number stored here',
      tamper: (rows) => change(rows, 1, { position: 7 }),
      seq: 2,
      reason: 'reordered',
    },
    { name: 'entry inserted and renumbered', tamper: forgedInsert, seq: 3, reason: 'chain_broken' },
    {
      name: 'changed and hashed anew',
      tamper: (rows) => rehash(rows, 1, { outcome: 'failure' }),
      seq: 3,
      reason: 'chain_broken',
    },
    {
      name: 'moved to another segment, hashed anew',
      tamper: (rows) => rehash(rows, 3, { segment: '2027-01' }),
      seq: 4,
      reason: 'segment_mismatch',
    },
    {
      name: 'dated back, hashed anew',
      tamper: (rows) => rehash(rows, 3, { ts: '2026-11-01T00:00:00.000000Z', segment: '2026-11' }),
      seq: 4,
      reason: 'clock_regression',
    },
    {
      name: 'a timestamp without microseconds, hashed anew',
      tamper: (rows) => rehash(rows, 3, { ts: '2026-12-01T00:00:00Z' }),
      seq: 4,
      reason: 'unreadable',
    },
    {
      name: 'details changed',
      tamper: (rows) => change(rows, 1, { details: '{}' }),
      seq: 2,
      reason: 'details_mismatch',
    },
    {
      name: 'salt changed',
      tamper: (rows) => change(rows, 1, { salt: new Uint8Array(32) }),
      seq: 2,
      reason: 'details_mismatch',
    },
    {
      name: 'details where none were committed to',
      tamper: (rows) => change(rows, 0, { details: '{}', salt: new Uint8Array(32) }),
      seq: 1,
      reason: 'details_mismatch',
    },
    {
      name: 'same meaning in another text',
      tamper: (rows) => change(rows, 1, { record: `${rows[1]?.record} ` }),
      seq: 2,
      reason: 'changed',
    },
    {
      name: 'a key given twice',
      tamper: (rows) => change(rows, 1, { record: rows[1]?.record.replace('{', '{"event":"AUD-01",') ?? '' }),
      seq: 2,
      reason: 'changed',
    },
    { name: 'not JSON', tamper: (rows) => change(rows, 1, { record: 'x' }), seq: 2, reason: 'unreadable' },
    { name: 'an array', tamper: (rows) => change(rows, 1, { record: '[]' }), seq: 2, reason: 'unreadable' },
    {
      name: 'a record without end',
      tamper: (rows) => change(rows, 1, { record: `"${'a'.repeat(20_000)}"` }),
      seq: 2,
      reason: 'unreadable',
    },
  ]
  for (const { name, tamper, seq, reason } of cases) {
    test(name, async () => {
      const rows = await chainOf([started, issued, denied, started])
      expect(await verifyChain(tamper(rows))).toEqual({ ok: false, seq, reason })
    })
  }

  test('in every field of a record', async () => {
    const rows = await chainOf([
      started,
      { ...issued, reasonCode: 'ok', policy: { version: '1', decision: 'allow' } },
      started,
    ])
    const paths = leaves(JSON.parse(rows[1]?.record ?? ''))
    expect(paths.length).toBeGreaterThan(18)
    for (const path of paths) {
      const verdict = await verifyChain(change(rows, 1, { record: mutated(rows[1]?.record ?? '', path) }))
      expect([path.join('.'), verdict]).toMatchObject([path.join('.'), { ok: false, seq: 2 }])
    }
  })

  test('in an export', async () => {
    const lines = (await chainOf([started, issued, denied])).map(exportLine)
    const changed = lines.map((line) => line.replace('10.20.30.0/24', '10.20.31.0/24'))
    expect(await verifyChain(changed.map(parseExportLine))).toEqual({ ok: false, seq: 2, reason: 'details_mismatch' })
    const garbage = [...lines.slice(0, 2), 'garbage', ...lines.slice(2)]
    expect(await verifyChain(garbage.map(parseExportLine))).toEqual({ ok: false, seq: 3, reason: 'unreadable' })
    const halved = lines.map((line) => line.replace(/,"salt":"[0-9a-f]+"/, ''))
    expect(await verifyChain(halved.map(parseExportLine))).toEqual({ ok: false, seq: 2, reason: 'details_mismatch' })
  })
})

/** Ticks a second at each look. */
function clock(start = START): AuditDeps {
  let at = start
  return { source: SOURCE, now: () => (at = at.add({ seconds: 1 })) }
}

async function append(database: Database, entries: readonly AuditEntry[], deps = clock()): Promise<void> {
  await Promise.all(entries.map((entry) => database.runUnit(() => appendAudit(entry, deps))))
}

async function rowsOf(database: Database): Promise<readonly AuditRow[]> {
  return Array.fromAsync(auditRows(database))
}

async function chainOf(entries: readonly AuditEntry[]): Promise<readonly AuditRow[]> {
  await using database = scratchDatabase()
  await append(database, entries)
  return await rowsOf(database)
}

function without(rows: readonly AuditRow[], index: number): readonly AuditRow[] {
  return rows.filter((_, at) => at !== index)
}

function unplaced(...rows: readonly (AuditRow | undefined)[]): readonly AuditRow[] {
  return rows.filter((row) => row !== undefined).map(unplacedRow)
}

function unplacedRow({ record, salt, details }: AuditRow): AuditRow {
  return salt === undefined || details === undefined ? { record } : { record, salt, details }
}

function change(rows: readonly AuditRow[], index: number, fields: Partial<AuditRow>): readonly AuditRow[] {
  return rows.map((row, at) => (at === index ? { ...row, ...fields } : row))
}

/** What somebody does who knows how hashes are made, but cannot rewrite what follows. */
function rehash(rows: readonly AuditRow[], index: number, fields: object): readonly AuditRow[] {
  const { hash: _, ...body } = JSON.parse(rows[index]?.record ?? '')
  const forged = { ...body, ...fields }
  return change(rows, index, { record: canonical({ ...forged, hash: hashOf(forged) }) })
}

function forgedInsert(rows: readonly AuditRow[]): readonly AuditRow[] {
  const [second] = rehash(rows.slice(1, 2), 0, { event: 'SYS-03' })
  const shifted = rows.slice(1).map((row, at) => rehash([row], 0, { seq: at + 3 })[0])
  return unplaced(rows[0], second, ...shifted)
}

function leaves(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
}

function mutated(record: string, path: readonly string[]): string {
  const copy = JSON.parse(record)
  const parent = path.slice(0, -1).reduce((inner, key) => inner[key], copy)
  const key = path.at(-1) ?? ''
  parent[key] = typeof parent[key] === 'number' ? parent[key] + 1 : `${parent[key]}0`
  return canonical(copy)
}
