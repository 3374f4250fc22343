import { quote } from './error.ts'
import type { Text } from './field.ts'
import type { Pattern } from './matrix.ts'
import { canonical, NAME_CHARACTERS } from './name.ts'
import type { Report } from './report.ts'
import { readServiceName } from './service-name.ts'

/**
 * One item of `allowed_outbound`: a name, or text with one leading or trailing `*`.
 *
 * Wildcards stay within the matrix's organisation. In the entry of a foreign service (`foreign`) every item is a
 * service of the matrix's organisation: nobody admits into a third one.
 */
export function readPattern(text: Text, organization: string, foreign: boolean, report: Report): Pattern | undefined {
  if (text.text.includes('*')) return readWildcard(text, organization, report)
  const name = readServiceName(text, organization, report)
  if (name === undefined) return undefined
  if (foreign && name.organization !== organization) {
    report.add(
      'pattern_foreign',
      text.offset,
      `${quote(text.text)} is not a service of ${organization}`,
      `an entry for another organisation's service admits it to services of ${organization} only`,
    )
    return undefined
  }
  return { kind: 'name', organization: name.organization, service: name.service, at: report.at(text.offset) }
}

function readWildcard({ text, offset }: Text, organization: string, report: Report): Pattern | undefined {
  const slash = text.indexOf('/')
  if (slash >= 0 && canonical(text.slice(0, slash)) !== organization) {
    report.add(
      'pattern_foreign',
      offset,
      `the wildcard ${quote(text)} reaches beyond ${organization}`,
      'name each service of another organisation',
    )
    return undefined
  }
  const pattern = canonical(text.slice(slash + 1))
  const literal = pattern.startsWith('*') ? pattern.slice(1) : pattern.slice(0, -1)
  const kind = pattern.startsWith('*') ? 'suffix' : 'prefix'
  const glued = pattern === (kind === 'suffix' ? `*${literal}` : `${literal}*`) && NAME_CHARACTERS.test(literal)
  if (glued && literal.length <= 40 && (kind === 'suffix' || /^[a-z]/.test(literal)))
    return { kind, literal, at: report.at(offset) }
  report.add(
    'pattern_invalid',
    offset,
    `${quote(text)} is not a wildcard`,
    'one * at the beginning or the end, with text: "*_database", "covina_*"',
  )
  return undefined
}

/** Equal for patterns that mean the same. */
export function patternKey(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'name':
      return `${pattern.organization}/${pattern.service}`
    case 'prefix':
      return `${pattern.literal}*`
    case 'suffix':
      return `*${pattern.literal}`
  }
}
