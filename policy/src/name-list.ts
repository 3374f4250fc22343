import type { WildcardPattern } from './matrix.ts'
import { byCodeUnits } from './workload-id.ts'

/** Names sorted forwards and backwards, so that a wildcard costs a binary search and its matches. */
export interface NameList {
  matching(pattern: Pick<WildcardPattern, 'kind' | 'literal'>): readonly string[]
}

export function nameList(names: readonly string[]): NameList {
  const forwards = names.toSorted(byCodeUnits)
  const backwards = names.map(reversed).toSorted(byCodeUnits)
  return {
    matching({ kind, literal }) {
      if (kind === 'prefix') return startingWith(forwards, literal)
      return startingWith(backwards, reversed(literal)).map(reversed).toSorted(byCodeUnits)
    },
  }
}

function startingWith(sorted: readonly string[], literal: string): readonly string[] {
  return sorted.slice(firstAtLeast(sorted, literal), firstAtLeast(sorted, `${literal}\uffff`))
}

function firstAtLeast(sorted: readonly string[], text: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < text) low = middle + 1
    else high = middle
  }
  return low
}

/** Names are ASCII: a code unit is a character. */
function reversed(name: string): string {
  return name.split('').toReversed().join('')
}
