import { Parser, type Result } from 'tap-parser'
import type { Counts } from './counts.ts'

/** Counts while the TAP text of a run streams by. */
export interface TapCounter {
  write(text: string): void
  end(): Counts
}

/**
 * Counts the tests of tap's TAP output, where the outermost points are files and the points inside them tests.
 * Assertions inside a test are not counted apart. A file that failed without a failed test of its own
 * (it did not load, timed out, or its plan did not fit), and a bail-out, are one failed test each.
 */
export function tapCounter(): TapCounter {
  let passed = 0
  let failed = 0
  let skipped = 0
  let failedInFile = 0

  const parser = new Parser()
  parser.on('child', (file: Parser) => {
    failedInFile = 0
    file.on('assert', (test: Result) => {
      if (isSkipped(test)) skipped++
      else if (test.ok) passed++
      else {
        failed++
        failedInFile++
      }
    })
  })
  parser.on('assert', (file: Result) => {
    if (isSkipped(file)) skipped++
    else if (!file.ok && failedInFile === 0) failed++
    failedInFile = 0
  })

  return {
    write: (text) => void parser.write(text),
    end() {
      parser.end()
      return { passed, failed: failed + (parser.bailedOut !== false && failed === 0 ? 1 : 0), skipped }
    },
  }
}

const isSkipped = (point: Result): boolean => Boolean(point.skip) || Boolean(point.todo)
