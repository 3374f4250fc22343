/** How many tests a runner passed, failed and skipped. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export const NO_TESTS: Counts = { passed: 0, failed: 0, skipped: 0 }
export const ONE_FAILED: Counts = { passed: 0, failed: 1, skipped: 0 }

export function sum(counts: readonly Counts[]): Counts {
  return counts.reduce(
    (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }),
    NO_TESTS,
  )
}

/**
 * Counts that agree with how the runner ended: a runner that exits with an error but reports no failure,
 * or that ran nothing at all, is itself one failed test.
 */
export function withEnding(counts: Counts, exitedCleanly: boolean): Counts {
  const ran = counts.passed + counts.failed > 0
  return (exitedCleanly && ran) || counts.failed > 0 ? counts : sum([counts, ONE_FAILED])
}

/** The total as the last line of a run: `12 passed, 0 failed`, and `, 3 skipped` if any. */
export function formatTotal({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** Counts that a program wrote as JSON. @throws {TypeError} when that is not what it wrote. */
export function countReport(json: string): Counts {
  const { passed, failed, skipped } = JSON.parse(json) as Partial<Counts>
  const counts = [passed, failed, skipped]
  if (!counts.every((count) => Number.isSafeInteger(count))) throw new TypeError('a report without its three counts')
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) }
}
