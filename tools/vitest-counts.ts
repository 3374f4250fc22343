import type { Counts } from './counts.ts'

/** The part of vitest's `json` report that is counted. */
interface Report {
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

/**
 * Counts the tests of a vitest `json` report. A file that failed without a failed test of its own
 * (it did not load, or a hook failed) is one failed test.
 *
 * @throws {SyntaxError | TypeError} if the text is not such a report.
 */
export function countVitest(report: string): Counts {
  const { testResults } = JSON.parse(report) as Report // vitest wrote it; a wrong shape throws below
  let passed = 0
  let failed = 0
  let skipped = 0
  for (const file of testResults) {
    const failedBefore = failed
    for (const { status } of file.assertionResults) {
      if (status === 'passed') passed++
      else if (status === 'failed') failed++
      else skipped++
    }
    if (file.status === 'failed' && failed === failedBefore) failed++
  }
  return { passed, failed, skipped }
}
