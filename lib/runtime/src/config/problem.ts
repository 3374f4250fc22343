/** One thing wrong with a configuration. */
export interface ConfigProblem {
  /** `agent.yaml:14:3`, or the name of the environment variable. */
  readonly at: string
  /** `listen.port`; empty for the file as a whole. */
  readonly field: string
  readonly message: string
  readonly hint?: string
}

/** A configuration that was refused, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'config_invalid'
  readonly problems: readonly ConfigProblem[]
  readonly hint: string | undefined

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const shown = problems.slice(0, MAX_PROBLEMS)
    super(shown.map(formatProblem).join('\n') + (problems.length > MAX_PROBLEMS ? '\nand more' : ''), options)
    this.problems = shown
    this.hint = problems.length === 1 ? problems[0]?.hint : undefined
  }
}

function formatProblem(problem: ConfigProblem, _index: number, all: readonly ConfigProblem[]): string {
  const field = problem.field === '' ? '' : `${problem.field}: `
  // A single hint is printed on a line of its own, as for any other error.
  const hint = problem.hint === undefined || all.length === 1 ? '' : ` (${problem.hint})`
  return `${problem.at}: ${field}${problem.message}${hint}`
}

/** The known word that was probably meant, if one is near enough: at most two slips, or a third of the word. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestSlips = Math.min(2, Math.max(1, Math.floor(word.length / 3))) + 1
  for (const candidate of known) {
    const slips = distance(word.toLowerCase(), candidate.toLowerCase())
    if (slips < bestSlips) [best, bestSlips] = [candidate, slips]
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours. Words past 64 characters are not compared. */
function distance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Number.POSITIVE_INFINITY
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1)
      next.push(best)
    }
    ;[before, row] = [row, next]
  }
  return row[b.length] ?? 0
}

/** Finding the place of each takes time, and nobody reads more. */
export const MAX_PROBLEMS = 50
