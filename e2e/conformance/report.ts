import { DIFFERENCES } from './differences.ts'
import { isFalseAccept, isPassed, type Outcome } from './suite.ts'

/** The line of a suite. `failed` counts every case whose result differs, listed or not. */
export interface Score {
  readonly suite: string
  readonly total: number
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly falseAccepts: number
}

export function scoreOf(suite: string, outcomes: readonly Outcome[]): Score {
  const count = (of: (outcome: Outcome) => boolean): number => outcomes.filter(of).length
  return {
    suite,
    total: outcomes.length,
    passed: count(isPassed),
    failed: count(isDifferent),
    skipped: count(({ did }) => did.is === 'skipped'),
    falseAccepts: count(isFalseAccept),
  }
}

/** All cases as tests: what differs for a reason that is listed is skipped, and what differs without one has failed. */
export function totalOf(outcomes: readonly Outcome[]): { passed: number; failed: number; skipped: number } {
  const passed = outcomes.filter(isPassed).length
  const failed = outcomes.filter((outcome) => isDifferent(outcome) && !isListed(outcome)).length
  return { passed, failed, skipped: outcomes.length - passed - failed }
}

/** Why a suite is not good enough, one line each. */
export function shortcomings(suite: string, outcomes: readonly Outcome[]): string[] {
  const required = outcomes.filter(({ did, isPedantic }) => did.is !== 'skipped' && !isPedantic)
  const share = required.filter(isPassed).length / Math.max(1, required.length)
  const unlisted = outcomes.filter((outcome) => isFalseAccept(outcome) && !isListed(outcome))
  return [
    ...(required.length > 0 && share < FLOOR
      ? [`${suite}: ${percent(share)} of the cases that are not pedantic, the floor is ${percent(FLOOR)}`]
      : []),
    ...unlisted.map(({ id }) => `${suite}: ${id} is accepted, and nothing in docs/divergences.md says why`),
  ]
}

/** Features with their counts, then each case that differs, then what was skipped by reason. */
export function tableOf(suite: string, outcomes: readonly Outcome[]): string {
  const rows = [...Map.groupBy(outcomes, ({ feature }) => feature)].map(([feature, cases]) => {
    const { total, passed, failed, skipped } = scoreOf(feature, cases)
    return [
      feature,
      `${passed}/${total}`,
      failed === 0 ? '' : `${failed} differ`,
      skipped === 0 ? '' : `${skipped} skipped`,
    ]
  })
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  )
  const different = outcomes.filter(isDifferent).map((outcome) => `  differs: ${describe(outcome)}`)
  const reasons = Map.groupBy(outcomes, ({ did }) => (did.is === 'skipped' ? did.why : undefined))
  const skipped = [...reasons].flatMap(([why, cases]) =>
    why === undefined ? [] : [`  skipped: ${cases.length} × ${why}`],
  )
  return [`== ${suite}`, ...lines, ...different, ...skipped].join('\n')
}

function isDifferent(outcome: Outcome): boolean {
  return outcome.did.is !== 'skipped' && !isPassed(outcome)
}

function isListed({ id }: Outcome): boolean {
  return Object.hasOwn(DIFFERENCES, id)
}

function describe(outcome: Outcome): string {
  const { id, expected, did } = outcome
  const ours = did.is === 'rejected' ? `rejected (${did.code})` : did.is
  return `${id}: expected to ${expected}, ${ours}; ${DIFFERENCES[id] ?? 'not listed in docs/divergences.md'}`
}

function percent(share: number): string {
  return `${(Math.floor(share * 10_000) / 100).toString()} %`
}

const FLOOR = 0.98
