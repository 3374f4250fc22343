import { describe, expect, test } from 'vitest'
import { className } from './class-name.ts'
import { compile } from './compile.ts'
import { diff, isUnchanged } from './diff.ts'
import { HOME, id, matrixOf, policyOf, SOURCE } from './fixtures.ts'
import { formatDiff } from './format-diff.ts'

const source = policyOf(SOURCE)
const externals = [{ organization: 'brandenburg', service: 'vpb' }]

const cases: readonly { name: string; text: string; lines: readonly string[] }[] = [
  { name: 'nothing', text: SOURCE, lines: ['no change'] },
  {
    name: 'comments and order of a list',
    text: SOURCE.replace('[covina, clara, vpb]', '[vpb, clara, covina] # so'),
    lines: ['no change'],
  },
  { name: 'endpoints, which decide nothing', text: SOURCE.replace(':8000', ':8001'), lines: ['no change'] },
  {
    name: 'an edge more',
    text: SOURCE.replace('[argus, covina]', '[argus, covina, veritas]'),
    lines: ['+ vpb → veritas (vpb.allowed_outbound[2])'],
  },
  {
    name: 'an edge less, one more',
    text: SOURCE.replace('allowed_outbound: [covina]\n', 'allowed_outbound: [vpb]\n'),
    lines: ['+ clara → vpb (clara.allowed_outbound[0])', '- clara → covina (clara.allowed_outbound[0])'],
  },
  {
    name: 'another class',
    text: SOURCE.replace('orchestrator_certificate', 'mtls_certificate'),
    lines: ['~ veritas required_auth: orchestrator_certificate → mtls_certificate'],
  },
  {
    name: 'isolation high',
    text: SOURCE.replace('orchestrator_certificate', 'orchestrator_certificate\n    isolation_level: high'),
    lines: ['~ veritas isolation_level: standard → high'],
  },
  {
    name: 'permissions',
    text: SOURCE.replace('[uds3_backend, registry_management]', '[uds3_backend]'),
    lines: [
      '~ covina recorded: special_permissions: uds3_backend, registry_management → special_permissions: uds3_backend',
      '~ covina → clara permissions: uds3_backend, registry_management → uds3_backend',
      '~ covina → veritas permissions: uds3_backend, registry_management → uds3_backend',
    ],
  },
  {
    name: 'a service more, which a wildcard meets',
    text: `${SOURCE}  covina_database: {required_auth: mtls_certificate}\n`,
    lines: ['+ service covina-database', '+ covina → covina-database (covina.allowed_outbound[2])'],
  },
  {
    name: 'a service less',
    text: SOURCE.slice(0, SOURCE.indexOf('  vpb:')),
    lines: [
      '- service vpb',
      '- argus → vpb (argus.allowed_outbound[2])',
      '- vpb → argus (vpb.allowed_outbound[0])',
      '- vpb → covina (vpb.allowed_outbound[1])',
    ],
  },
]

describe('the source against a file with', () => {
  test.each(cases)('$name', ({ text, lines }) => {
    const changes = diff(source, policyOf(text, { version: 2 }))
    expect(formatDiff(changes)).toEqual(lines)
    expect(isUnchanged(changes)).toBe(lines[0] === 'no change')
  })
})

test('without a former policy everything is new', () => {
  const changes = diff(undefined, source)
  expect([changes.servicesAdded.length, changes.gained.length, changes.lost.length]).toEqual([
    5,
    source.edges.length,
    0,
  ])
})

test('a service that becomes external', () => {
  expect(formatDiff(diff(source, policyOf(SOURCE, { externals })))).toEqual([
    '- vpb → argus (vpb.allowed_outbound[0])',
    '- vpb → covina (vpb.allowed_outbound[1])',
    '~ vpb kind: mesh → external',
  ])
})

test('a class accepted beside the own one', () => {
  const more = policyOf(SOURCE, { alsoAccepted: { [id('vpb')]: [className('mtls_certificate')] } })
  expect(formatDiff(diff(source, more))).toEqual(['~ vpb accepted classes: none → mtls_certificate'])
})

test('names carry their organisation as soon as two are concerned, and classes accepted across are told', () => {
  const partner = (auth: string) => `service_communication_policies:
  index: {required_auth: mtls_certificate}
  brandenburg/argus: {allowed_outbound: [index]${auth}}
`
  const both = (auth: string) =>
    compile({
      trustDomain: HOME.trustDomain,
      version: 1,
      matrices: [
        matrixOf(SOURCE.replace('[covina, clara, vpb]', '[partner/index]')),
        matrixOf(partner(auth), 'partner'),
      ],
    })
  expect(formatDiff(diff(both(''), both(', required_auth: mtls_certificate')))).toEqual([
    '~ brandenburg/argus → partner/index caller classes: none → mtls_certificate',
  ])
})
