import { expect, test } from 'vitest'
import { className } from './class-name.ts'
import { POLICY_FAILURES, PolicyError, type PolicyFailure, printable } from './error.ts'
import { HOME, policyOf, SOURCE } from './fixtures.ts'
import { parseMatrix } from './parse.ts'
import { parseCompiled } from './parse-compiled.ts'
import { parseWorkloadId, workloadId } from './workload-id.ts'

const policy = policyOf(SOURCE)
const many = Array.from({ length: 20_000 }, (_, n) => ({ organization: 'brandenburg', service: `s${n}` }))

const cases: Readonly<Record<PolicyFailure, () => unknown>> = {
  workload_id_invalid: () => parseWorkloadId('spiffe://vcc.internal/control'),
  trust_domain_invalid: () => workloadId('VCC', 'brandenburg', 'argus'),
  organization_name_invalid: () => parseMatrix(SOURCE, { organization: 'Brandenburg' }),
  service_name_invalid: () => workloadId(HOME.trustDomain, HOME.organization, 'Argus'),
  service_name_reserved: () => workloadId(HOME.trustDomain, HOME.organization, 'control'),
  class_name_invalid: () => className('mtls-certificate'),
  policy_too_large: () => policyOf(SOURCE, { externals: many }),
  compiled_format_unknown: () => parseCompiled({ ...policy, format: 2 }),
  compiled_too_large: () => parseCompiled({ ...policy, edges: Array.from({ length: 500_001 }) }),
  compiled_invalid: () => parseCompiled({ ...policy, edges: [{}] }),
}

test.each(Object.keys(POLICY_FAILURES))('%s is thrown', (code) => {
  const run = new Map(Object.entries(cases)).get(code)
  expect(run).toThrow(PolicyError)
  expect(run).toThrow(expect.objectContaining({ code, message: expect.stringMatching(/^[^\p{Cc}]{1,200}$/u) }))
})

test('what would move the cursor or the direction of a line is replaced', () => {
  expect(printable('a\u001b[31m\u202e\ud800\n')).toBe('a�[31m���')
})
