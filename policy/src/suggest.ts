/**
 * The candidate nearest to what was written, if near enough to be a slip: `did you mean "covina"?`
 *
 * Answers at most 100 times and among at most 2,000 candidates: a file full of slips is not worth the time.
 */
export type Suggest = (written: string) => string | undefined

export function suggester(candidates: Iterable<string>): Suggest {
  const all = [...new Set(candidates)]
  let left = 100
  return (written) => {
    if (left === 0 || all.length > 2_000 || written.length > 80) return undefined
    left -= 1
    const limit = written.length < 4 ? 1 : written.length < 8 ? 2 : 3
    let best: { name: string; distance: number } | undefined
    for (const name of all) {
      if (Math.abs(name.length - written.length) > limit) continue
      const distance = editDistance(written.toLowerCase(), name)
      if (distance <= limit && distance < (best?.distance ?? limit + 1)) best = { name, distance }
    }
    return best === undefined ? undefined : didYouMean(best.name)
  }
}

export function didYouMean(name: string): string {
  return `did you mean ${JSON.stringify(name)}?`
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let previous: number[] = []
  let current = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const above = current
    const next = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      let best = Math.min((above[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1, (above[column - 1] ?? 0) + cost)
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) best = Math.min(best, (previous[column - 2] ?? 0) + 1)
      next.push(best)
    }
    previous = above
    current = next
  }
  return current[b.length] ?? 0
}
