import { describe, expect, test } from 'vitest'
import { className } from './class-name.ts'
import { compile } from './compile.ts'
import type { CompiledPolicy } from './compiled.ts'
import { PolicyError } from './error.ts'
import { HOME, id, matrixOf, policyOf, SOURCE } from './fixtures.ts'

const database = { organization: 'brandenburg', service: 'covina_database' }

/** `argus → covina argus.allowed_outbound[0]`, refusals with their code. */
function pairs(policy: CompiledPolicy): readonly string[] {
  const short = (uri: string) =>
    uri.replace('spiffe://vcc.internal/org/', '').replace('/svc/', '/').replace('brandenburg/', '')
  return [
    ...policy.edges.map((edge) => `${short(edge.source)} → ${short(edge.target)} ${edge.rule}`),
    ...policy.refusals.map(
      (each) => `${short(each.source)} ✗ ${short(each.target)} ${each.code} ${each.rule} via ${each.via}`,
    ),
  ]
}

function services(lines: string): string {
  return `service_communication_policies:\n${lines.trim().replaceAll(/^ */gm, '  ')}\n`
}

test('the source compiles to testdata/source.compiled.json', async () => {
  const policy = policyOf(SOURCE, { externals: [database] })
  await expect(`${JSON.stringify(policy, null, 2)}\n`).toMatchFileSnapshot('../testdata/source.compiled.json')
})

describe('within an organisation', () => {
  const cases: readonly { name: string; text: string; pairs: readonly string[] }[] = [
    { name: 'nothing is allowed by itself', text: 'a: {required_auth: m}\nb: {required_auth: m}', pairs: [] },
    {
      name: 'a name that has no entry is a refusal of its own',
      text: 'a: {required_auth: m, allowed_outbound: [ghost]}',
      pairs: ['a ✗ ghost target_not_in_matrix a.allowed_outbound[0] via a.allowed_outbound[0]'],
    },
    {
      name: '_ equals -',
      text: 'a: {required_auth: m, allowed_outbound: [b-c]}\nb_c: {required_auth: m}',
      pairs: ['a → b-c a.allowed_outbound[0]'],
    },
    {
      name: 'a wildcard matches names, itself included, none beyond',
      text: 'a-db: {required_auth: m, allowed_outbound: ["*_db"]}\nb-db: {required_auth: m}\ndb-c: {required_auth: m}',
      pairs: ['a-db → a-db a-db.allowed_outbound[0]', 'a-db → b-db a-db.allowed_outbound[0]'],
    },
    {
      name: 'an explicit name names the rule before any wildcard',
      text: 'a: {required_auth: m, allowed_outbound: ["b*", "bc*", bcd]}\nbcd: {required_auth: m}',
      pairs: ['a → bcd a.allowed_outbound[2]'],
    },
    {
      name: 'of two wildcards the first names the rule',
      text: 'a: {required_auth: m, allowed_outbound: ["*d", "b*"]}\nbcd: {required_auth: m}',
      pairs: ['a → bcd a.allowed_outbound[0]'],
    },
    {
      name: 'a wildcard does not admit into isolation high',
      text: 'a: {required_auth: m, allowed_outbound: ["b*"]}\nbcd: {required_auth: m, isolation_level: high}',
      pairs: ['a ✗ bcd wildcard_into_high bcd.isolation_level via a.allowed_outbound[0]'],
    },
    {
      name: 'a name beside a wildcard does',
      text: 'a: {required_auth: m, allowed_outbound: ["b*", bcd]}\nbcd: {required_auth: m, isolation_level: high}',
      pairs: ['a → bcd a.allowed_outbound[1]'],
    },
    {
      name: 'a wildcard meets the external service',
      text: 'a: {required_auth: m, allowed_outbound: ["*_database"]}',
      pairs: ['a → covina-database a.allowed_outbound[0]'],
    },
    {
      name: 'an external service is no target with isolation high, not even by name',
      text: 'a: {required_auth: m, allowed_outbound: [covina-database]}\ncovina_database: {required_auth: m, isolation_level: high}',
      pairs: ['a ✗ covina-database external_isolation_high covina-database.isolation_level via a.allowed_outbound[0]'],
    },
    {
      name: 'an external service calls nobody',
      text: 'a: {required_auth: m}\ncovina_database: {required_auth: m, allowed_outbound: [a]}',
      pairs: [],
    },
  ]
  test.each(cases)('$name', ({ text, pairs: expected }) => {
    expect(pairs(policyOf(services(text), { externals: [database] }))).toEqual(expected)
  })
})

describe('across organisations', () => {
  const cases: readonly { name: string; home: string; partner: string; pairs: readonly string[] }[] = [
    {
      name: 'both sides must allow',
      home: 'argus: {required_auth: m, allowed_outbound: [partner/index]}',
      partner: 'index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index]}',
      pairs: [
        'argus → partner/index brandenburg:argus.allowed_outbound[0] + partner:brandenburg/argus.allowed_outbound[0]',
      ],
    },
    {
      name: "the caller's side alone does not suffice",
      home: 'argus: {required_auth: m, allowed_outbound: [partner/index]}',
      partner: 'index: {required_auth: p}\nbrandenburg/argus: {}',
      pairs: ['argus ✗ partner/index not_allowed default-deny via brandenburg:argus.allowed_outbound[0]'],
    },
    {
      name: "the callee's side alone does not suffice",
      home: 'argus: {required_auth: m}',
      partner: 'index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index]}',
      pairs: ['argus ✗ partner/index not_allowed default-deny via partner:brandenburg/argus.allowed_outbound[0]'],
    },
    {
      name: 'a caller that its own organisation does not know',
      home: '{}',
      partner: 'index: {required_auth: p}\nbrandenburg/ghost: {allowed_outbound: [index]}',
      pairs: [
        'ghost ✗ partner/index source_not_in_matrix partner:brandenburg/ghost.allowed_outbound[0] via partner:brandenburg/ghost.allowed_outbound[0]',
      ],
    },
    {
      name: 'a callee that its own organisation does not know',
      home: 'argus: {required_auth: m, allowed_outbound: [partner/ghost]}',
      partner: 'brandenburg/argus: {}',
      pairs: [
        'argus ✗ partner/ghost target_not_in_matrix brandenburg:argus.allowed_outbound[0] via brandenburg:argus.allowed_outbound[0]',
      ],
    },
    {
      name: 'an organisation without a matrix',
      home: 'argus: {required_auth: m, allowed_outbound: [third/index]}',
      partner: '{}',
      pairs: [
        'argus ✗ third/index target_not_in_matrix brandenburg:argus.allowed_outbound[0] via brandenburg:argus.allowed_outbound[0]',
      ],
    },
    {
      name: 'a wildcard stays in its organisation',
      home: 'argus: {required_auth: m, allowed_outbound: ["inde*", "*x"]}',
      partner: 'index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index]}',
      pairs: ['argus ✗ partner/index not_allowed default-deny via partner:brandenburg/argus.allowed_outbound[0]'],
    },
    {
      name: "the callee's organisation may admit by a wildcard",
      home: 'argus: {required_auth: m, allowed_outbound: [partner/index]}',
      partner:
        'index: {required_auth: p}\nother: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: ["*e*"]}'.replace(
          '*e*',
          'in*',
        ),
      pairs: [
        'argus → partner/index brandenburg:argus.allowed_outbound[0] + partner:brandenburg/argus.allowed_outbound[0]',
      ],
    },
    {
      name: 'but not into isolation high',
      home: 'argus: {required_auth: m, allowed_outbound: [partner/index]}',
      partner: 'index: {required_auth: p, isolation_level: high}\nbrandenburg/argus: {allowed_outbound: ["in*"]}',
      pairs: [
        'argus ✗ partner/index wildcard_into_high partner:index.isolation_level via partner:brandenburg/argus.allowed_outbound[0]',
      ],
    },
    {
      name: "the class the callee's organisation accepts must be the caller's",
      home: 'argus: {required_auth: m, allowed_outbound: [partner/index]}',
      partner: 'index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index], required_auth: p}',
      pairs: [
        'argus ✗ partner/index source_class_mismatch partner:brandenburg/argus.required_auth via brandenburg:argus.allowed_outbound[0] + partner:brandenburg/argus.allowed_outbound[0]',
      ],
    },
    {
      name: 'equal names of two organisations are two services',
      home: 'argus: {required_auth: m, allowed_outbound: [index]}\nindex: {required_auth: m}',
      partner: 'index: {required_auth: p, allowed_outbound: [argus]}\nargus: {required_auth: p}',
      pairs: ['argus → index argus.allowed_outbound[0]', 'partner/index → partner/argus index.allowed_outbound[0]'],
    },
  ]
  test.each(cases)('$name', ({ home, partner, pairs: expected }) => {
    const text = (lines: string) => (lines === '{}' ? 'service_communication_policies: {}' : services(lines))
    const matrices = [matrixOf(text(home)), matrixOf(text(partner), 'partner')]
    const shown = pairs(compile({ trustDomain: HOME.trustDomain, version: 1, matrices }))
    expect(shown).toEqual(expected)
  })

  test("the callee is told what its own organisation grants, not what the caller's does", () => {
    const home = matrixOf(
      services('argus: {required_auth: m, allowed_outbound: [partner/index], special_permissions: [root]}'),
    )
    const partner = matrixOf(
      services(
        'index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index], special_permissions: [read]}',
      ),
      'partner',
    )
    const { edges } = compile({ trustDomain: HOME.trustDomain, version: 1, matrices: [home, partner] })
    expect(edges.map(({ permissions }) => permissions)).toEqual([['read']])
  })

  test('an organisation may have a trust domain of its own', () => {
    const home = matrixOf(services('argus: {required_auth: m, allowed_outbound: [partner/index]}'))
    const partner = matrixOf(
      services('index: {required_auth: p}\nbrandenburg/argus: {allowed_outbound: [index]}'),
      'partner',
    )
    const trustDomains = { partner: 'mesh.partner.example' }
    const { edges } = compile({ trustDomain: HOME.trustDomain, trustDomains, version: 1, matrices: [home, partner] })
    expect(edges.map(({ target }) => target)).toEqual(['spiffe://mesh.partner.example/org/partner/svc/index'])
  })

  test('an organisation called like a member of every object is one like any other', () => {
    const home = matrixOf(services('argus: {required_auth: m}'), 'constructor')
    const policy = compile({ trustDomain: HOME.trustDomain, trustDomains: {}, version: 1, matrices: [home] })
    expect(Object.keys(policy.subjects)).toEqual(['spiffe://vcc.internal/org/constructor/svc/argus'])
  })
})

test('classes accepted beside the own one are a sorted set', () => {
  const both = [className('ui_service_certificate'), className('mtls_certificate'), className('a_certificate')]
  const policy = policyOf(SOURCE, { alsoAccepted: { [id('argus')]: both } })
  expect(policy.subjects[id('argus')]).toMatchObject({
    class: 'mtls_certificate',
    accepts: ['a_certificate', 'mtls_certificate', 'ui_service_certificate'],
  })
})

describe('bounds', () => {
  const names = (count: number) => Array.from({ length: count }, (_, n) => `ssssssssss${n}`)
  const meshOf = (count: number, targets: string) =>
    services(
      names(count)
        .map((name) => `${name}: {required_auth: m, allowed_outbound: ${targets}}`)
        .join('\n'),
    )

  /** `s*`, `ss*`, … all match every name. */
  const overlapping = `[${Array.from({ length: 10 }, (_, n) => `"${'s'.repeat(n + 1)}*"`).join(',')}]`

  test('500,000 pairs', () => expect(policyOf(meshOf(707, '["s*"]')).edges).toHaveLength(707 * 707))

  test.each([
    ['more than 500,000 pairs', meshOf(708, '["s*"]')],
    ['10,000 services that all call each other', meshOf(10_000, '["s*"]')],
    ['wildcards that overlap more than 2,000,000 times', meshOf(600, overlapping)],
  ])('%s are refused', (_, text) => {
    expect(() => policyOf(text)).toThrow(expect.objectContaining({ name: 'PolicyError', code: 'policy_too_large' }))
  })

  test('20,001 services are refused', () => {
    const externals = names(20_000).map((service) => ({ organization: 'brandenburg', service }))
    expect(() => policyOf(SOURCE, { externals })).toThrow(PolicyError)
  })
})

test.each([
  [
    'two matrices of one organisation',
    () => compile({ trustDomain: 'x', version: 1, matrices: [matrixOf(SOURCE), matrixOf(SOURCE)] }),
  ],
  [
    '17 classes for one service',
    () =>
      policyOf(SOURCE, { alsoAccepted: { [id('argus')]: Array.from({ length: 16 }, (_, n) => className(`c${n}`)) } }),
  ],
  ['version 0', () => policyOf(SOURCE, { version: 0 })],
  ['version 1.5', () => policyOf(SOURCE, { version: 1.5 })],
])('%s is a mistake of the program', (_, run) => expect(run).toThrow(TypeError))
