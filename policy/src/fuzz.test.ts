import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile } from './compile.ts'
import { HOME, SOURCE } from './fixtures.ts'
import { parseMatrix } from './parse.ts'
import { PROBLEMS } from './problem.ts'

/** Anything is either a matrix that compiles or a list of well formed problems. */
function holds(text: string): void {
  const result = parseMatrix(text, { organization: HOME.organization, known: [] })
  if (result.ok) {
    compile({ trustDomain: HOME.trustDomain, version: 1, matrices: [result.matrix] })
    return
  }
  expect(result.problems.length).toBeGreaterThan(0)
  const lines = text.split('\n').length
  for (const { code, line, column, message, hint } of result.problems) {
    expect(PROBLEMS).toHaveProperty(code)
    expect(line).toBeLessThanOrEqual(lines)
    expect(Math.min(line, column, message.length, hint.length)).toBeGreaterThan(0)
    expect(`${message}${hint}`).toMatch(/^[^\p{Cc}\p{Cs}\u2028\u2029]*$/u)
  }
}

const TOKENS = [
  ':',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '!',
  '!!map ',
  '|',
  '>',
  '%',
  '---\n',
  '...\n',
  '? ',
  '\n',
  '\r',
  '\t',
  '  ',
  '<<: ',
  '*',
  '**',
  '/',
  '_',
  'null',
  '~',
  '1e999',
  '0x1f',
  '__proto__',
  'partner/',
  '\0',
  '\ufeff',
  '\ud800',
  '\u2028',
  '🔒',
  'allowed_outbound',
  'isolation_level: high\n',
] as const

const lines = SOURCE.split('\n')
const mutation = fc.oneof(
  fc.record({ at: fc.nat(SOURCE.length), cut: fc.nat(12), put: fc.constantFrom(...TOKENS) }),
  fc.record({ at: fc.nat(SOURCE.length), cut: fc.nat(80), put: fc.string({ unit: 'binary', maxLength: 5 }) }),
  fc.record({
    at: fc.nat(SOURCE.length),
    cut: fc.constant(0),
    put: fc.constantFrom(...lines).map((line) => `\n${line}\n`),
  }),
)

test('the source file with a few mutations', () => {
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      holds(mutations.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), SOURCE))
    }),
    { numRuns: 500 },
  )
})

test('every prefix of the source file', () => {
  for (let end = 0; end <= SOURCE.length; end += 1) holds(SOURCE.slice(0, end))
})

test('any text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), holds), { numRuns: 500 })
})

test('any row of tokens', () => {
  const tokens = fc.array(fc.constantFrom(...TOKENS, 'service_communication_policies:', 'argus', 'required_auth: m'), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(tokens, (row) => holds(row.join(''))),
    { numRuns: 500 },
  )
})

test('any JSON below the root', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) =>
      holds(JSON.stringify({ service_communication_policies: value })),
    ),
    { numRuns: 500 },
  )
})
