import { quote } from './error.ts'
import type { Matrix, Pattern } from './matrix.ts'
import { canonical } from './name.ts'
import { nameList } from './name-list.ts'
import { patternKey } from './pattern.ts'
import type { Notice, Problem } from './problem.ts'
import { suggester } from './suggest.ts'

/** What the matrix says without effect; about unknown names only when the registry's are given. */
export function noticesOf(matrix: Matrix, known: readonly string[] | undefined): readonly Notice[] {
  const recorded = matrix.entries.flatMap((entry) =>
    entry.recorded.map(({ field, value, at }): Notice => {
      const message = `${entry.key}: ${field} (${value}) is recorded, not enforced`
      return { code: 'recorded_not_enforced', ...at, message, hint: 'this version keeps it without effect' }
    }),
  )
  const unmatched = known === undefined ? [] : unmatchedPatterns(matrix, known)
  return [...recorded, ...unmatched].toSorted((a, b) => a.line - b.line || a.column - b.column)
}

/**
 * One problem (`class_unknown`) for each `required_auth` that names none of `known`. Which classes exist depends on
 * the issuing CAs, so this is asked by the control plane before it applies a matrix.
 */
export function unknownClasses(matrix: Matrix, known: readonly string[]): readonly Problem[] {
  const suggest = suggester(known)
  return matrix.entries.flatMap(({ key, requiredAuth }): readonly Problem[] => {
    if (requiredAuth === undefined || known.includes(requiredAuth.className)) return []
    const hint = suggest(requiredAuth.className) ?? `known are ${known.join(', ')}`
    const message = `${key}: no issuing CA grants the class ${requiredAuth.className}`
    return [{ code: 'class_unknown', ...requiredAuth.at, message, hint }]
  })
}

function unmatchedPatterns(matrix: Matrix, known: readonly string[]): readonly Notice[] {
  const qualified = (name: string) =>
    name.includes('/') ? canonical(name) : `${matrix.organization}/${canonical(name)}`
  const names = new Set([
    ...matrix.entries.map(({ organization, service }) => `${organization}/${service}`),
    ...known.map(qualified),
  ])
  const home = `${matrix.organization}/`
  const own = [...names].filter((name) => name.startsWith(home)).map((name) => name.slice(home.length))
  const ownList = nameList(own)
  const suggest = suggester([...own, ...[...names].filter((name) => !name.startsWith(home))])
  const matches = (pattern: Pattern) =>
    pattern.kind === 'name' ? names.has(patternKey(pattern)) : ownList.matching(pattern).length > 0
  return matrix.entries.flatMap(({ key, outbound }) =>
    outbound.flatMap((pattern, position): readonly Notice[] => {
      if (matches(pattern)) return []
      const written = patternKey(pattern)
      const name = written.startsWith(home) ? written.slice(home.length) : written
      const hint =
        (pattern.kind === 'name' ? suggest(name) : undefined) ?? 'it takes effect when such a service is there'
      const message = `${key}.allowed_outbound[${position}]: ${quote(name)} matches no known service`
      return [{ code: 'pattern_matches_nothing', ...pattern.at, message, hint }]
    }),
  )
}
