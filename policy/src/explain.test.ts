import { expect, test } from 'vitest'
import { compile } from './compile.ts'
import { explain } from './explain.ts'
import { CLASSES, HOME, id, matrixOf, policyOf, SOURCE } from './fixtures.ts'
import { indexPolicy } from './policy-index.ts'
import { slice } from './slice.ts'

const policy = policyOf(SOURCE, {
  externals: [{ organization: 'brandenburg', service: 'covina_database' }],
  alsoAccepted: { [id('argus')]: [CLASSES.vpb] },
})

const cases: readonly { source: string; target: string; words: string }[] = [
  {
    source: 'argus',
    target: 'vpb',
    words:
      'argus → vpb: allowed by argus.allowed_outbound[2]; argus presents mtls_certificate or ui_service_certificate, vpb presents ui_service_certificate; recorded, not enforced: vpb asset_signing: optional',
  },
  {
    source: 'covina',
    target: 'veritas',
    words:
      'covina → veritas: allowed by covina.allowed_outbound[1]; covina presents management_core_certificate, veritas presents orchestrator_certificate; recorded, not enforced: covina special_permissions: uds3_backend, registry_management; veritas pipeline_signing: required',
  },
  {
    source: 'argus',
    target: 'clara',
    words:
      'argus → clara: allowed by argus.allowed_outbound[1]; argus presents mtls_certificate or ui_service_certificate, clara (isolation_level high) presents ai_processing_certificate',
  },
  {
    source: 'covina',
    target: 'covina_database',
    words:
      "covina → covina-database: allowed by covina.allowed_outbound[2]; covina presents management_core_certificate, covina-database is external, decided on the caller's side only; recorded, not enforced: covina special_permissions: uds3_backend, registry_management",
  },
  {
    source: 'vpb',
    target: 'veritas',
    words:
      'vpb → veritas: refused by default-deny (not_allowed): vpb may call only argus, covina; veritas admits only covina (covina.allowed_outbound[1]); nothing allows this call',
  },
  {
    source: 'spiffe://evil.internal/org/brandenburg/svc/argus',
    target: 'covina',
    words:
      'spiffe://evil.internal/org/brandenburg/svc/argus → covina: refused by default-deny (not_allowed): spiffe://evil.internal/org/brandenburg/svc/argus has no entry in the matrix; covina admits only argus (argus.allowed_outbound[0]), clara (clara.allowed_outbound[0]), veritas (veritas.allowed_outbound[0]), vpb (vpb.allowed_outbound[1]); nothing allows this call',
  },
]

test.each(cases)('$source → $target', ({ source, target, words }) => {
  expect(explain(indexPolicy(policy), id(source), id(target))).toBe(words)
})

test.each(cases.slice(0, 4))('$source → $target is explained alike on either side', ({ source, target, words }) => {
  for (const own of [source, target]) {
    expect(explain(indexPolicy(slice(policy, id(own))), id(source), id(target))).toBe(words)
  }
})

test('across organisations names and rules carry the organisation, and only classes both accept are told', () => {
  const partner = `service_communication_policies:
  index: {required_auth: mtls_certificate}
  brandenburg/argus: {allowed_outbound: [index], required_auth: ui_service_certificate}
`
  const home = SOURCE.replace('[covina, clara, vpb]', '[partner/index]')
  const both = compile({
    trustDomain: HOME.trustDomain,
    version: 1,
    matrices: [matrixOf(home), matrixOf(partner, 'partner')],
    alsoAccepted: { [id('argus')]: [CLASSES.vpb] },
  })
  expect(explain(indexPolicy(both), id('argus'), id('partner/index'))).toBe(
    'brandenburg/argus → partner/index: allowed by brandenburg:argus.allowed_outbound[0] + partner:brandenburg/argus.allowed_outbound[0]; brandenburg/argus presents ui_service_certificate, partner/index presents mtls_certificate',
  )
})
