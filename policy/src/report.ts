import type { Position, Problem, ProblemCode } from './problem.ts'

/** Collects problems by offset in the text. */
export interface Report {
  at(offset: number): Position
  add(code: ProblemCode, offset: number, message: string, hint: string): void
  /** In the order of the text. */
  problems(): readonly Problem[]
}

export function reporter(text: string): Report {
  const found: { readonly offset: number; readonly problem: Problem }[] = []
  let dropped = 0
  const at = lineIndex(text)
  return {
    at,
    add(code, offset, message, hint) {
      if (found.length < MAX_PROBLEMS) found.push({ offset, problem: { code, ...at(offset), message, hint } })
      else dropped += 1
    },
    problems() {
      const sorted = found.toSorted((a, b) => a.offset - b.offset).map(({ problem }) => problem)
      if (dropped === 0) return sorted
      const message = `${dropped} more problems are not listed`
      return [
        ...sorted,
        { code: 'problems_truncated', ...at(text.length), message, hint: 'correct the listed ones first' },
      ]
    },
  }
}

function lineIndex(text: string): (offset: number) => Position {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }
}

const MAX_PROBLEMS = 1_000
