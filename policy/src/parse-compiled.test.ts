import { describe, expect, test } from 'vitest'
import { compile } from './compile.ts'
import type { PolicyFailure } from './error.ts'
import { HOME, id, matrixOf, SOURCE } from './fixtures.ts'
import { parseCompiled } from './parse-compiled.ts'
import { slice } from './slice.ts'

const PARTNER = `service_communication_policies:
  index: {required_auth: mtls_certificate}
  brandenburg/argus: {allowed_outbound: [index], required_auth: mtls_certificate}
`
const policy = compile({
  trustDomain: HOME.trustDomain,
  version: 3,
  matrices: [
    matrixOf(SOURCE.replace('[covina, clara, vpb]', '[covina, "cl*", partner/index, ghost]')),
    matrixOf(PARTNER, 'partner'),
  ],
  externals: [{ organization: 'brandenburg', service: 'covina_database' }],
})

test.each([
  ['the whole', policy],
  ['a slice', slice(policy, id('argus'))],
  ['the slice of a service nobody knows', slice(policy, id('nobody'))],
])('%s is read back as it was', (_, each) => expect(parseCompiled(JSON.parse(JSON.stringify(each)))).toEqual(each))

interface Json {
  [key: string]: Json
}

/** A mutable copy, changed. */
function changed(change: (copy: Json) => unknown): unknown {
  const copy: Json = JSON.parse(JSON.stringify(policy))
  change(copy)
  return copy
}

/** Sets a path to a value: `set('edges.0.rule', 7)`. */
function set(path: string, value: unknown): unknown {
  return changed((copy) => {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    const parent = keys.reduce<Json | undefined>((at, key) => at?.[key], copy)
    Object.assign(parent ?? {}, { [last]: value })
  })
}

function subject(name: string, change: Record<string, unknown>): unknown {
  return changed((copy) => Object.assign(copy['subjects']?.[id(name)] ?? {}, change))
}

const invalid: readonly { name: string; value: unknown; code?: PolicyFailure }[] = [
  { name: 'nothing', value: undefined },
  { name: 'null', value: null },
  { name: 'text', value: JSON.stringify(policy) },
  { name: 'a list', value: [] },
  { name: 'an empty object', value: {} },
  { name: 'format 2', value: set('format', 2), code: 'compiled_format_unknown' },
  { name: 'format 2, with fields of its own', value: { format: 2, more: true }, code: 'compiled_format_unknown' },
  { name: 'format "1"', value: set('format', '1') },
  { name: 'version 0', value: set('version', 0) },
  { name: 'version 1.5', value: set('version', 1.5) },
  { name: 'version as text', value: set('version', '3') },
  { name: 'an unknown field', value: set('more', true) },
  { name: 'an own __proto__', value: JSON.parse(JSON.stringify(policy).replace('{', '{"__proto__":{},')) },
  { name: 'no edges', value: changed((copy) => delete copy['edges']) },
  { name: 'a trust domain in capitals', value: set('trustDomain', 'VCC') },
  { name: 'a scope that is no service', value: set('scope', 'all') },
  { name: 'subjects as a list', value: set('subjects', []) },
  { name: 'a subject that is no ID', value: set('subjects', { argus: {} }) },
  { name: 'a subject called __proto__', value: set('subjects', JSON.parse('{"__proto__": {}}')) },
  { name: 'a subject of no kind', value: subject('argus', { kind: 'any' }) },
  { name: 'a subject with an unknown field', value: subject('argus', { admin: true }) },
  { name: 'a subject whose class is no name', value: subject('argus', { class: 'any class' }) },
  { name: 'a subject whose class is not accepted', value: subject('argus', { accepts: ['ui_service_certificate'] }) },
  { name: 'a subject that accepts nothing', value: subject('argus', { accepts: [] }) },
  {
    name: 'a subject that accepts a class twice',
    value: subject('argus', { accepts: ['mtls_certificate', 'mtls_certificate'] }),
  },
  { name: 'a subject with another isolation', value: subject('argus', { isolation: 'low' }) },
  { name: 'a permission with quotes', value: subject('argus', { permissions: ['a"b'] }) },
  { name: 'a permission with a line break', value: subject('argus', { permissions: ['a\nb'] }) },
  { name: 'recorded words with an escape', value: subject('argus', { recorded: ['asset_signing: \u001b[31m'] }) },
  { name: 'an external subject with a class', value: subject('covina-database', { class: 'mtls_certificate' }) },
  { name: 'edges as an object', value: set('edges', {}) },
  { name: 'an edge without a rule', value: changed((copy) => delete copy['edges']?.['0']?.['rule']) },
  { name: 'an edge with an unknown field', value: set('edges.0.note', '') },
  { name: 'an edge whose rule has a line break', value: set('edges.0.rule', 'a\nb') },
  { name: 'an edge whose rule is empty', value: set('edges.0.rule', '') },
  { name: 'an edge whose rule is endless', value: set('edges.0.rule', 'a'.repeat(513)) },
  { name: 'an edge from a service without a subject', value: set('edges.0.source', id('nobody')) },
  { name: 'an edge from an external service', value: set('edges.0.source', id('covina-database')) },
  { name: 'an edge to a service without a subject', value: set('edges.0.target', id('nobody')) },
  { name: 'an edge to a wildcard', value: set('edges.0.target', 'spiffe://vcc.internal/org/brandenburg/svc/*') },
  { name: 'an edge with no classes', value: set('edges.0.sourceClasses', []) },
  { name: 'an edge with undefined classes', value: set('edges.0.sourceClasses', undefined) },
  {
    name: 'an edge into an external service with isolation high',
    value: subject('covina-database', { isolation: 'high' }),
  },
  {
    name: 'a pair that is repeated',
    value: changed((copy) => Object.assign(copy['edges'] ?? {}, { 1: copy['edges']?.['0'] })),
  },
  {
    name: 'a pair both allowed and refused',
    value: changed((copy) => {
      const { source, target } = copy['edges']?.['0'] ?? {}
      Object.assign(copy['refusals']?.['0'] ?? {}, { source, target })
    }),
  },
  { name: 'a refusal with another code', value: set('refusals.0.code', 'toString') },
  { name: 'a refusal without a rule', value: set('refusals.0.rule', null) },
  {
    name: 'more than 500,000 edges',
    value: set(
      'edges',
      Array.from({ length: 500_001 }, () => 0),
    ),
    code: 'compiled_too_large',
  },
  {
    name: 'more than 500,000 edges and refusals',
    value: set(
      'refusals',
      Array.from({ length: 500_001 - policy.edges.length }, () => 0),
    ),
    code: 'compiled_too_large',
  },
  {
    name: 'more than 20,000 subjects',
    value: set('subjects', Object.fromEntries(Array.from({ length: 20_001 }, (_, n) => [String(n), {}]))),
    code: 'compiled_too_large',
  },
]

describe('refused', () => {
  test.each(invalid)('$name', ({ value, code }) => {
    expect(() => parseCompiled(value)).toThrow(
      expect.objectContaining({ name: 'PolicyError', code: code ?? 'compiled_invalid' }),
    )
  })
})

test('a refusal names the place', () => {
  expect(() => parseCompiled(set('edges.2.rule', 7))).toThrow('compiled policy: edges[2].rule must be a string')
})

test('the order of keys does not matter, and is the same afterwards', () => {
  const subjects = Object.fromEntries(Object.entries(policy.subjects).toReversed())
  expect(JSON.stringify(parseCompiled({ ...policy, subjects }))).toBe(JSON.stringify(policy))
})
