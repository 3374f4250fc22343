import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { HOME, matrixOf, SOURCE, testdata } from './fixtures.ts'
import { unknownClasses } from './notice.ts'
import { parseMatrix } from './parse.ts'
import { PROBLEMS, type Problem, type ProblemCode } from './problem.ts'

const folder = (name: string) => readdirSync(new URL(`../testdata/${name}/`, import.meta.url)).toSorted()
const ENTRY = '{required_auth: mtls_certificate}'

function problemsOf(text: string): readonly Problem[] {
  const result = parseMatrix(text, { organization: HOME.organization })
  return result.ok ? [] : result.problems
}

describe('accepted', () => {
  test.each(folder('accepted'))('%s', (name) => expect(problemsOf(testdata(`accepted/${name}`))).toEqual([]))
})

const refused = folder('refused').map((name) => ({ name, problems: problemsOf(testdata(`refused/${name}`)) }))

describe('refused', () => {
  test.each(refused)('$name', ({ problems }) => {
    expect(problems.length).toBeGreaterThan(0)
    for (const { line, column, message, hint } of problems) {
      expect(Math.min(line, column)).toBeGreaterThan(0)
      expect(message).toMatch(/^[^\n]{1,300}$/)
      expect(hint).toMatch(/^[^\n]{1,300}$/)
    }
  })

  test('with exactly the problems of testdata/refused.txt', async () => {
    const text = refused.map(({ name, problems }) => [name, ...problems.map(line)].join('\n')).join('\n\n')
    await expect(`${text}\n`).toMatchFileSnapshot('../testdata/refused.txt')
  })

  test('without showing a password', () => expect(JSON.stringify(refused)).not.toContain('secret'))
})

function line(problem: Problem): string {
  return `  ${problem.line}:${problem.column} ${problem.code}: ${problem.message}; ${problem.hint}`
}

const services = (count: number) =>
  `service_communication_policies:\n${Array.from({ length: count }, (_, n) => `  s${n}: ${ENTRY}\n`).join('')}`
const outbound = (items: readonly string[]) =>
  `service_communication_policies:\n  argus: {required_auth: mtls_certificate, allowed_outbound: [${items.join(',')}]}\n`
const names = (count: number) => Array.from({ length: count }, (_, n) => `s${n}`)

const bounds: readonly { name: string; text: string; code?: ProblemCode }[] = [
  { name: '1 MiB', text: services(1).padEnd(1024 * 1024) },
  { name: '1 MiB and a byte', text: services(1).padEnd(1024 * 1024 + 1), code: 'text_too_large' },
  { name: '1 MiB and a byte in UTF-8', text: `${services(1)}#${'ü'.repeat(512 * 1024)}`, code: 'text_too_large' },
  { name: '10,000 services', text: services(10_000) },
  { name: '10,001 services', text: services(10_001), code: 'too_many_services' },
  { name: '1,000 targets', text: outbound(names(1_000)) },
  { name: '1,001 targets', text: outbound(names(1_001)), code: 'list_too_long' },
  { name: 'half a surrogate pair', text: `${services(1)}# \ud83d\n`, code: 'character_refused' },
  { name: 'a whole surrogate pair', text: `${services(1)}# 🔒\n` },
  { name: 'a null character', text: `${services(1)}# \0\n`, code: 'character_refused' },
  { name: 'an escape character', text: `${services(1)}# \u001b[31m\n`, code: 'character_refused' },
  { name: 'a next-line character', text: `${services(1)}# \u0085\n`, code: 'character_refused' },
  {
    name: 'more than 1,000 problems',
    text: outbound(names(999).map((name) => `${name}.,${name}!`)),
    code: 'list_too_long',
  },
  { name: 'more than 1,000 bad services', text: services(1_001).replaceAll('s', 'S'), code: 'field_unknown' },
  { name: 'a deeply indented comment', text: `${services(1)}${' '.repeat(99)}# so\n` },
  {
    name: 'a list aligned far to the right',
    text: outbound(names(3).map((each) => `\n${' '.repeat(99)}${each}`)),
  },
  { name: 'a million closing brackets', text: '}'.repeat(1_000_000), code: 'yaml_syntax' },
  { name: 'half a million commas', text: outbound(['a,'.repeat(500_000)]), code: 'text_too_large' },
  { name: 'a million line breaks', text: '\n'.repeat(1_000_000), code: 'text_too_large' },
  { name: 'a quarter of a million tags', text: '!a '.repeat(250_000), code: 'tag_refused' },
  { name: 'a million brackets', text: '['.repeat(1_000_000), code: 'too_deep' },
  { name: 'a million dashes', text: '- '.repeat(500_000), code: 'too_deep' },
  { name: 'a million question marks', text: '? '.repeat(500_000), code: 'too_deep' },
  {
    name: 'ever deeper lines',
    text: names(1_400)
      .map((name, n) => `${' '.repeat(n)}${name}:\n`)
      .join(''),
    code: 'too_deep',
  },
]

describe('bounds', () => {
  test.each(bounds)('$name', ({ text, code }) => expect(problemsOf(text)[0]?.code).toBe(code))

  test('the list of problems ends by saying how many are missing', () => {
    const problems = problemsOf(
      `service_communication_policies:\n${names(1_200)
        .map((name) => `  X${name}: ${ENTRY}\n`)
        .join('')}`,
    )
    expect(problems).toHaveLength(1_001)
    expect(problems.at(-1)).toMatchObject({ code: 'problems_truncated', message: '200 more problems are not listed' })
  })
})

describe('the file of the source documents', () => {
  test('parses verbatim', () =>
    expect(matrixOf(SOURCE).entries.map(({ key }) => key)).toEqual(['argus', 'covina', 'clara', 'veritas', 'vpb']))

  test('says what is recorded, not enforced', () => {
    const result = parseMatrix(SOURCE, { organization: 'brandenburg' })
    expect(result.ok && result.notices.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
      '9:5 covina: special_permissions (uds3_backend, registry_management) is recorded, not enforced',
      '17:5 veritas: pipeline_signing (required) is recorded, not enforced',
      '21:5 vpb: asset_signing (optional) is recorded, not enforced',
    ])
  })
})

describe('patterns that match nothing known', () => {
  const unmatched = (text: string, known: readonly string[]) => {
    const result = parseMatrix(text, { organization: 'brandenburg', known })
    if (!result.ok) throw new Error('refused')
    return result.notices
      .filter(({ code }) => code === 'pattern_matches_nothing')
      .map(({ message, hint }) => `${message}; ${hint}`)
  }
  const later = 'it takes effect when such a service is there'

  test('are noticed in the source', () => {
    expect(unmatched(SOURCE, [])).toEqual([
      `covina.allowed_outbound[2]: "*-database" matches no known service; ${later}`,
      `veritas.allowed_outbound[2]: "*-ingestion" matches no known service; ${later}`,
    ])
  })
  test('are not when the registry has a match', () => {
    expect(unmatched(SOURCE, ['postgres_database', 'brandenburg/covina-ingestion'])).toEqual([])
  })
  test('are not looked for without a registry', () => {
    const result = parseMatrix(SOURCE, { organization: 'brandenburg' })
    expect(result.ok && result.notices.some(({ code }) => code === 'pattern_matches_nothing')).toBe(false)
  })
  test('come with the name that was meant', () => {
    expect(unmatched(outbound(['covnia', 'partner/indx']), ['covina', 'partner/index'])).toEqual([
      'argus.allowed_outbound[0]: "covnia" matches no known service; did you mean "covina"?',
      'argus.allowed_outbound[1]: "partner/indx" matches no known service; did you mean "partner/index"?',
    ])
  })
  test("are not matched by another organisation's services", () => {
    expect(unmatched(outbound(['"*-db"', 'index']), ['partner/x-db', 'partner/index'])).toHaveLength(2)
  })
})

describe('classes that no CA grants', () => {
  const known = ['mtls_certificate', 'management_core_certificate', 'ai_processing_certificate']
  test('are reported with their place', () => {
    expect(unknownClasses(matrixOf(SOURCE), [...known, 'orchestrator_certificates']).map(line)).toEqual([
      '  16:20 class_unknown: veritas: no issuing CA grants the class orchestrator_certificate; did you mean "orchestrator_certificates"?',
      `  20:20 class_unknown: vpb: no issuing CA grants the class ui_service_certificate; known are ${known.join(', ')}, orchestrator_certificates`,
    ])
  })
  test('are none when all are known', () => {
    expect(unknownClasses(matrixOf(SOURCE), [...known, 'orchestrator_certificate', 'ui_service_certificate'])).toEqual(
      [],
    )
  })
})

test('every problem code has a case', () => {
  const seen = new Set<string>(refused.flatMap(({ problems }) => problems.map(({ code }) => code)))
  for (const { code } of bounds) if (code !== undefined) seen.add(code)
  for (const code of ['problems_truncated', 'class_unknown']) seen.add(code) // tested above by themselves
  expect(Object.keys(PROBLEMS).filter((code) => !seen.has(code))).toEqual([])
})
