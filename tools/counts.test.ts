import { assert, describe, test } from 'vitest'
import { type Counts, countReport, formatTotal, withEnding } from './counts.ts'
import { tapCounter } from './tap-counts.ts'
import { countVitest } from './vitest-counts.ts'

const counts = (passed: number, failed: number, skipped: number): Counts => ({ passed, failed, skipped })

describe('tap', () => {
  const file = (points: string, summary: string) => `TAP version 14\n# Subtest: a.tap.ts\n${points}${summary}\n1..1\n`
  const cases: readonly { name: string; tap: string; counts: Counts }[] = [
    {
      name: 'tests count, assertions inside them do not',
      tap: file(
        '    # Subtest: t\n        ok 1 - a\n        ok 2 - b\n        1..2\n    ok 1 - t\n    ok 2 - u\n    1..2\n',
        'ok 1 - a.tap.ts',
      ),
      counts: counts(2, 0, 0),
    },
    {
      name: 'a failed assertion fails its test once',
      tap: file(
        '    # Subtest: t\n        not ok 1 - a\n        not ok 2 - b\n        1..2\n    not ok 1 - t\n    ok 2 - u\n    1..2\n',
        'not ok 1 - a.tap.ts',
      ),
      counts: counts(1, 1, 0),
    },
    {
      name: 'skipped and todo',
      tap: file('    ok 1 - t # SKIP no\n    not ok 2 - u # TODO\n    1..2\n', 'ok 1 - a.tap.ts'),
      counts: counts(0, 0, 2),
    },
    {
      name: 'a file that does not load',
      tap: 'TAP version 14\nnot ok 1 - a.tap.ts\n  ---\n  exitCode: 1\n  ...\n1..1\n',
      counts: counts(0, 1, 0),
    },
    {
      name: 'a file that dies after its tests',
      tap: file('    ok 1 - t\n    1..1\n', 'not ok 1 - a.tap.ts'),
      counts: counts(1, 1, 0),
    },
    {
      name: 'bail-out',
      tap: 'TAP version 14\n# Subtest: a.tap.ts\n    ok 1 - t\n    Bail out! no broker\nBail out! no broker\n',
      counts: counts(1, 1, 0),
    },
    { name: 'nothing', tap: 'TAP version 14\n1..0 # no tests found\n', counts: counts(0, 0, 0) },
  ]
  for (const { name, tap, counts: expected } of cases) {
    test(name, () => {
      const counter = tapCounter()
      for (const character of tap) counter.write(character) // in the smallest pieces a pipe could deliver
      assert.deepEqual(counter.end(), expected)
    })
  }
})

describe('vitest', () => {
  const results = (status: string, ...tests: string[]) => ({
    status,
    assertionResults: tests.map((of) => ({ status: of })),
  })
  const cases: readonly { name: string; files: ReturnType<typeof results>[]; counts: Counts }[] = [
    {
      name: 'every kind',
      files: [results('failed', 'passed', 'failed', 'skipped', 'todo', 'pending')],
      counts: counts(1, 1, 3),
    },
    {
      name: 'a file that does not load',
      files: [results('failed'), results('passed', 'passed')],
      counts: counts(1, 1, 0),
    },
    { name: 'a file whose hook fails', files: [results('failed', 'passed', 'skipped')], counts: counts(1, 1, 1) },
    { name: 'nothing', files: [], counts: counts(0, 0, 0) },
  ]
  for (const { name, files, counts: expected } of cases) {
    test(name, () => assert.deepEqual(countVitest(JSON.stringify({ testResults: files })), expected))
  }
  for (const bad of ['', '{}', 'null', '{"testResults":[']) {
    test(`"${bad}" is refused`, () => assert.throws(() => countVitest(bad)))
  }
})

describe('ending', () => {
  const cases: readonly { name: string; counts: Counts; clean: boolean; ends: Counts }[] = [
    { name: 'clean', counts: counts(3, 0, 1), clean: true, ends: counts(3, 0, 1) },
    { name: 'failed tests explain a bad exit', counts: counts(3, 2, 0), clean: false, ends: counts(3, 2, 0) },
    { name: 'a crash without a failed test is one', counts: counts(3, 0, 0), clean: false, ends: counts(3, 1, 0) },
    { name: 'a runner that ran nothing failed', counts: counts(0, 0, 0), clean: true, ends: counts(0, 1, 0) },
    { name: 'a runner that only skipped failed', counts: counts(0, 0, 4), clean: true, ends: counts(0, 1, 4) },
  ]
  for (const { name, counts: before, clean, ends } of cases) {
    test(name, () => assert.deepEqual(withEnding(before, clean), ends))
  }
})

describe('report', () => {
  test('its three counts are read', () => {
    assert.deepEqual(countReport('{"passed":3,"failed":0,"skipped":1}'), counts(3, 0, 1))
  })
  for (const bad of ['', '{}', '[]', '{"passed":1,"failed":0}', '{"passed":"1","failed":0,"skipped":0}']) {
    test(`"${bad}" is refused`, () => assert.throws(() => countReport(bad)))
  }
})

describe('total', () => {
  test('skips are named only if there are any', () => {
    assert.equal(formatTotal(counts(12, 0, 0)), '12 passed, 0 failed')
    assert.equal(formatTotal(counts(12, 1, 3)), '12 passed, 1 failed, 3 skipped')
  })
})
