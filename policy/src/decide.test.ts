import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type ClassName, className } from './class-name.ts'
import { compile } from './compile.ts'
import { type Call, type Decision, decide, decideDial } from './decide.ts'
import { DENIALS, type DenyCode } from './deny.ts'
import { CLASSES, HOME, id, matrixOf, policyOf, SOURCE } from './fixtures.ts'
import { indexPolicy } from './policy-index.ts'
import { slice } from './slice.ts'

const EXTERNALS = [
  { organization: 'brandenburg', service: 'covina_database' },
  { organization: 'brandenburg', service: 'vault' },
]

const WIDER = SOURCE.replace(
  'vpb:\n    allowed_outbound: [argus, covina]',
  'vpb:\n    allowed_outbound: [argus, covina, "cl*", ghost, vault, partner/index]',
)
  .concat('  vault: {required_auth: mtls_certificate, isolation_level: high}\n')
  .concat('  partner/reader: {allowed_outbound: [covina], required_auth: mtls_certificate}\n')
  .concat('  partner/ghost: {allowed_outbound: [covina]}\n')

const PARTNER = `service_communication_policies:
  index: {required_auth: mtls_certificate}
  reader: {required_auth: mtls_certificate, allowed_outbound: [brandenburg/covina]}
  brandenburg/vpb: {allowed_outbound: [index], required_auth: ui_service_certificate}
`

const policy = compile({
  trustDomain: HOME.trustDomain,
  version: 7,
  matrices: [matrixOf(WIDER), matrixOf(PARTNER, 'partner')],
  externals: EXTERNALS,
  alsoAccepted: { [id('argus')]: [CLASSES.vpb], [id('vpb')]: [CLASSES.argus], [id('partner/reader')]: [CLASSES.vpb] },
})
const index = indexPolicy(policy)

type Side = string | readonly [name: string, presented: ClassName | 'no-certificate']

/** Services present the class of their name in CLASSES, unless a case says otherwise. */
function call(source: Side, target: Side): Call {
  const [from, fromClass] = presented(source)
  const [to, toClass] = presented(target)
  if (fromClass === 'no-certificate') throw new Error('a caller has a certificate')
  return { source: id(from), sourceClass: fromClass, target: id(to), targetClass: toClass }
}

function presented(side: Side): readonly [string, ClassName | 'no-certificate'] {
  if (typeof side !== 'string') return side
  const own: Readonly<Record<string, ClassName>> = CLASSES
  return [side, own[side] ?? CLASSES.argus]
}

const allowed: readonly { name: string; source: Side; target: Side; rule: string }[] = [
  { name: 'an explicit edge', source: 'argus', target: 'covina', rule: 'argus.allowed_outbound[0]' },
  {
    name: 'an explicit edge into isolation high',
    source: 'veritas',
    target: 'clara',
    rule: 'veritas.allowed_outbound[1]',
  },
  {
    name: 'a wildcard to an external service',
    source: 'covina',
    target: ['covina-database', 'no-certificate'],
    rule: 'covina.allowed_outbound[2]',
  },
  {
    name: 'the former class during a change',
    source: ['argus', CLASSES.vpb],
    target: 'covina',
    rule: 'argus.allowed_outbound[0]',
  },
  {
    name: 'the former class of a target',
    source: 'vpb',
    target: ['argus', CLASSES.vpb],
    rule: 'vpb.allowed_outbound[0]',
  },
  {
    name: 'across organisations when both allow',
    source: 'partner/reader',
    target: 'covina',
    rule: 'partner:reader.allowed_outbound[0] + brandenburg:partner/reader.allowed_outbound[0]',
  },
]

const denied: readonly { name: string; source: Side; target: Side; code: DenyCode; rule: string; reason: string }[] = [
  {
    name: 'a call no rule speaks of',
    source: 'vpb',
    target: 'veritas',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'vpb may call only argus, covina, partner/index; veritas admits only covina (covina.allowed_outbound[1]); nothing allows this call',
  },
  {
    name: 'the way back',
    source: 'covina',
    target: 'argus',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'covina may call only clara, covina-database, veritas; argus admits only vpb (vpb.allowed_outbound[0]); nothing allows this call',
  },
  {
    name: 'a caller without an entry',
    source: 'nobody',
    target: 'argus',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'nobody has no entry in the matrix; argus admits only vpb (vpb.allowed_outbound[0]); nothing allows this call',
  },
  {
    name: 'a target without an entry, that no rule names',
    source: 'clara',
    target: 'nobody',
    code: 'not_allowed',
    rule: 'default-deny',
    reason: 'clara may call only covina; nobody has no entry in the matrix; nothing allows this call',
  },
  {
    name: 'oneself',
    source: 'clara',
    target: 'clara',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'clara may call only covina; clara admits only argus (argus.allowed_outbound[1]), covina (covina.allowed_outbound[0]), veritas (veritas.allowed_outbound[1]); nothing allows this call',
  },
  {
    name: 'an external service as the caller',
    source: 'covina-database',
    target: 'covina',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'covina-database is external and has no identity to call with; covina admits only argus (argus.allowed_outbound[0]), clara (clara.allowed_outbound[0]), veritas (veritas.allowed_outbound[0]), vpb (vpb.allowed_outbound[1]) and 1 more; nothing allows this call',
  },
  {
    name: 'a target without an entry, that a rule names',
    source: 'vpb',
    target: 'ghost',
    code: 'target_not_in_matrix',
    rule: 'vpb.allowed_outbound[3]',
    reason: 'vpb.allowed_outbound[3] names ghost, which has no entry in the matrix',
  },
  {
    name: 'a foreign caller without an entry at home, that a rule admits',
    source: 'partner/ghost',
    target: 'covina',
    code: 'source_not_in_matrix',
    rule: 'brandenburg:partner/ghost.allowed_outbound[0]',
    reason: 'brandenburg:partner/ghost.allowed_outbound[0] admits partner/ghost, which has no entry in its own matrix',
  },
  {
    name: 'an external service with isolation high',
    source: 'vpb',
    target: ['vault', 'no-certificate'],
    code: 'external_isolation_high',
    rule: 'vault.isolation_level',
    reason: 'vpb.allowed_outbound[4] names vault, which is external and therefore no target with isolation_level high',
  },
  {
    name: 'a caller of another class',
    source: ['clara', CLASSES.vpb],
    target: 'covina',
    code: 'source_class_mismatch',
    rule: 'clara.required_auth',
    reason: 'clara presents a certificate of class ui_service_certificate, accepted is ai_processing_certificate',
  },
  {
    name: 'a target of another class',
    source: 'argus',
    target: ['covina', CLASSES.argus],
    code: 'target_class_mismatch',
    rule: 'covina.required_auth',
    reason: 'covina presents a certificate of class mtls_certificate, accepted is management_core_certificate',
  },
  {
    name: 'classes of caller and target exchanged',
    source: ['argus', CLASSES.covina],
    target: ['covina', CLASSES.argus],
    code: 'source_class_mismatch',
    rule: 'argus.required_auth',
    reason:
      'argus presents a certificate of class management_core_certificate, accepted is mtls_certificate or ui_service_certificate',
  },
  {
    name: 'a mesh service that shows no certificate',
    source: 'argus',
    target: ['covina', 'no-certificate'],
    code: 'target_class_mismatch',
    rule: 'covina.required_auth',
    reason: 'covina presents no certificate, accepted is management_core_certificate',
  },
  {
    name: 'an external service that shows a certificate of the mesh',
    source: 'covina',
    target: ['covina-database', CLASSES.covina],
    code: 'target_class_mismatch',
    rule: 'covina-database.required_auth',
    reason: 'covina-database presents a certificate of class management_core_certificate, accepted is none',
  },
  {
    name: "a class that only the caller's organisation accepts",
    source: ['vpb', CLASSES.argus],
    target: 'partner/index',
    code: 'source_class_mismatch',
    rule: 'partner:brandenburg/vpb.required_auth',
    reason: 'brandenburg/vpb presents a certificate of class mtls_certificate, accepted is ui_service_certificate',
  },
  {
    name: 'a class that begins like the accepted one',
    source: ['clara', className('ai_processing_certificate2')],
    target: 'covina',
    code: 'source_class_mismatch',
    rule: 'clara.required_auth',
    reason: 'clara presents a certificate of class ai_processing_certificate2, accepted is ai_processing_certificate',
  },
  {
    name: 'a service of the same name in another organisation',
    source: ['partner/argus', CLASSES.argus],
    target: 'covina',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'partner/argus has no entry in the matrix; brandenburg/covina admits only argus (argus.allowed_outbound[0]), clara (clara.allowed_outbound[0]), veritas (veritas.allowed_outbound[0]), vpb (vpb.allowed_outbound[1]) and 1 more; nothing allows this call',
  },
  {
    name: 'a service of the same name in another trust domain',
    source: ['spiffe://evil.internal/org/brandenburg/svc/argus', CLASSES.argus],
    target: 'covina',
    code: 'not_allowed',
    rule: 'default-deny',
    reason:
      'spiffe://evil.internal/org/brandenburg/svc/argus has no entry in the matrix; covina admits only argus (argus.allowed_outbound[0]), clara (clara.allowed_outbound[0]), veritas (veritas.allowed_outbound[0]), vpb (vpb.allowed_outbound[1]) and 1 more; nothing allows this call',
  },
]

describe('allowed', () => {
  test.each(allowed)('$name', ({ source, target, rule }) => {
    expect(decide(index, call(source, target))).toMatchObject({
      allowed: true,
      rule,
      permit: { rule, policyVersion: 7 },
    })
  })
})

describe('refused', () => {
  test.each(denied)('$name', ({ source, target, code, rule, reason }) => {
    expect(decide(index, call(source, target))).toEqual({ allowed: false, code, rule, reason })
  })
})

test('a permit carries what the next stage needs', () => {
  const decision = decide(index, call('covina', 'clara'))
  expect(decision.allowed && decision.permit).toEqual({
    source: id('covina'),
    target: id('clara'),
    rule: 'covina.allowed_outbound[0]',
    permissions: ['uds3_backend', 'registry_management'],
    policyVersion: 7,
  })
})

describe('before dialling', () => {
  test('the edge alone is judged', () => {
    expect(decideDial(index, { source: id('argus'), target: id('covina') })).toMatchObject({
      allowed: true,
      rule: 'argus.allowed_outbound[0]',
    })
  })
  test('a missing edge is refused as by decide', () => {
    const pair = call('vpb', 'veritas')
    expect(decideDial(index, pair)).toEqual(decide(index, pair))
  })
})

describe('a slice says why from its own side', () => {
  const reasonOf = (own: string, decision: (slice: ReturnType<typeof indexPolicy>) => Decision) => {
    const result = decision(indexPolicy(slice(policyOf(SOURCE), id(own))))
    return result.allowed ? 'allowed' : `${result.code} ${result.rule}: ${result.reason}`
  }
  test.each([
    ['veritas', 'vpb', 'veritas', 'veritas admits only covina (covina.allowed_outbound[1]); nothing allows vpb'],
    ['vpb', 'vpb', 'veritas', 'vpb may call only argus, covina; nothing allows veritas'],
    ['vpb', 'nobody', 'vpb', 'vpb admits only argus (argus.allowed_outbound[2]); nothing allows nobody'],
    ['clara', 'argus', 'vpb', 'nothing known here allows argus to call vpb'],
  ])('slice of %s, %s → %s', (own, source, target, reason) => {
    const expected = `not_allowed default-deny: ${reason}`
    expect(reasonOf(own, (part) => decide(part, call(source, target)))).toBe(expected)
  })
})

test('every denial has a case', () => {
  const seen = new Set<string>(denied.map(({ code }) => code)).union(
    new Set(['wildcard_into_high', 'source_not_registered', 'target_not_registered']),
  )
  expect(Object.keys(DENIALS).filter((code) => !seen.has(code))).toEqual([])
})

test('a wildcard does not admit into isolation high', () => {
  const narrow = indexPolicy(policyOf(SOURCE.replace('[argus, covina]', '["cl*"]')))
  expect(decide(narrow, call('vpb', 'clara'))).toEqual({
    allowed: false,
    code: 'wildcard_into_high',
    rule: 'clara.isolation_level',
    reason: 'vpb.allowed_outbound[0] is a wildcard, and only an explicit name admits into clara (isolation_level high)',
  })
})

test('proofs and parsed policies are minted in one place each', () => {
  const mints = {
    Permit: ['decide.ts'],
    DialPermit: ['decide.ts'],
    Matrix: ['parse.ts'],
    CompiledPolicy: ['compile.ts', 'parse-compiled.ts', 'slice.ts'],
  }
  const folder = new URL('.', import.meta.url)
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const found = Object.keys(mints).map((type) => {
    const cast = new RegExp(`\\bas (?:unknown as )?${type}\\b`)
    return [type, sources.filter((name) => cast.test(readFileSync(new URL(name, folder), 'utf8'))).toSorted()]
  })
  expect(Object.fromEntries(found)).toEqual(mints)
})
