import { describe, expect, test } from 'vitest'
import { isClassName } from './class-name.ts'
import { PolicyError, type PolicyFailure } from './error.ts'
import { HOME } from './fixtures.ts'
import { canonicalServiceName } from './name.ts'
import { displayName, parseWorkloadId, resolveWorkload, workloadId } from './workload-id.ts'

const ARGUS = 'spiffe://vcc.internal/org/brandenburg/svc/argus'

function codeOf(run: () => unknown): PolicyFailure | 'none' {
  try {
    run()
    return 'none'
  } catch (error) {
    if (error instanceof PolicyError) return error.code
    throw error
  }
}

test('an ID is built from canonical names', () => {
  expect(workloadId('vcc.internal', 'land_berlin', 'covina_ingestion')).toBe(
    'spiffe://vcc.internal/org/land-berlin/svc/covina-ingestion',
  )
})

test('an ID is read back into its parts', () => {
  const { trustDomain, organization, service } = parseWorkloadId(ARGUS)
  expect({ trustDomain, organization, service }).toEqual({ ...HOME, service: 'argus' })
})

describe('not the ID of a service', () => {
  const refused = [
    '',
    'argus',
    `${ARGUS}/`,
    `${ARGUS}\n`,
    ` ${ARGUS}`,
    `${ARGUS}?x`,
    `${ARGUS}#x`,
    `${ARGUS}, URI:spiffe://vcc.internal/org/brandenburg/svc/clara`,
    'SPIFFE://vcc.internal/org/brandenburg/svc/argus',
    'spiffe://VCC.internal/org/brandenburg/svc/argus',
    'spiffe://vcc.internal:443/org/brandenburg/svc/argus',
    'spiffe://user@vcc.internal/org/brandenburg/svc/argus',
    'spiffe:///org/brandenburg/svc/argus',
    'spiffe://vcc.internal/org/brandenburg/svc/covina_ingestion',
    'spiffe://vcc.internal/org/brandenburg/svc/Argus',
    'spiffe://vcc.internal/org/brandenburg/svc/%61rgus',
    'spiffe://vcc.internal/org/brandenburg/svc/',
    'spiffe://vcc.internal/org/brandenburg/svc/../svc/argus',
    'spiffe://vcc.internal/org//svc/argus',
    'spiffe://vcc.internal/org/brandenburg/argus',
    'spiffe://vcc.internal/control',
    'spiffe://vcc.internal/broker',
    'spiffe://vcc.internal/admin/x',
    'spiffe://vcc.internal/org/brandenburg/svc/control',
    'spiffe://vcc.internal/org/brandenburg/svc/broker',
    `spiffe://vcc.internal/org/brandenburg/svc/${'a'.repeat(41)}`,
    `spiffe://${'a'.repeat(256)}/org/brandenburg/svc/argus`,
  ]
  test.each(refused)('%j', (uri) => expect(codeOf(() => parseWorkloadId(uri))).toBe('workload_id_invalid'))
})

describe('what an operator types', () => {
  test.each([
    ['argus', ARGUS],
    ['brandenburg/argus', ARGUS],
    [ARGUS, ARGUS],
    ['covina_ingestion', 'spiffe://vcc.internal/org/brandenburg/svc/covina-ingestion'],
    ['partner/index', 'spiffe://vcc.internal/org/partner/svc/index'],
  ])('%s is %s', (text, meant) => expect(resolveWorkload(text, HOME)).toBe(meant))

  test.each([
    ['', 'service_name_invalid'],
    ['Argus', 'service_name_invalid'],
    ['*_database', 'service_name_invalid'],
    ['a/b/c', 'service_name_invalid'],
    ['/argus', 'organization_name_invalid'],
    ['control', 'service_name_reserved'],
    ['partner/broker', 'service_name_reserved'],
    ['spiffe://vcc.internal/control', 'workload_id_invalid'],
  ] as const)('%j is refused: %s', (text, code) => expect(codeOf(() => resolveWorkload(text, HOME))).toBe(code))
})

test.each(['', 'VCC', 'a b', 'a/b', 'a'.repeat(256)])('%j is no trust domain', (domain) => {
  expect(codeOf(() => workloadId(domain, 'brandenburg', 'argus'))).toBe('trust_domain_invalid')
})

test('a refused name is quoted in one short line', () => {
  expect(() => canonicalServiceName(`a\n\u001b[31m\u202e${'x'.repeat(500)}`)).toThrow(
    /^"a\\n\\u001b\[31m�x{1,60}…" is not a service name$/,
  )
})

test('a name is displayed with its organisation only beside another one', () => {
  const argus = parseWorkloadId(ARGUS).id
  const index = resolveWorkload('partner/index', HOME)
  expect([displayName(argus, argus), displayName(index, argus), displayName(index, index)]).toEqual([
    'argus',
    'partner/index',
    'index',
  ])
})

test.each(['', 'A', 'mtls-certificate', '9a', '_a', 'a b', 'no-certificate', 'a'.repeat(65)])(
  '%j is no class name',
  (text) => {
    expect(isClassName(text)).toBe(false)
  },
)
