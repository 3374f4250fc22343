import { readFileSync } from 'node:fs'
import { LINT_RULES, type LintCode } from '@vcc/x509'
import { assert, describe, test } from 'vitest'

/** A row is held by lint rules, by tests named after it, or by neither, for a reason. */
interface Row {
  readonly is: string
  readonly rules?: readonly LintCode[]
  readonly tests?: readonly string[]
  readonly none?: string
}

const LINT = 'lib/x509/src/lint/lint.test.ts'
const TBS = 'lib/x509/src/profile/tbs.test.ts'
const ISSUE = 'control-plane/src/issuance/issue.test.ts'
const ENROLMENT = 'control-plane/src/enrolment/enrolment.test.ts'

/** knowledge/ca.md §5.1 (1–25) and §5.2 (26–36), row by row: what holds it. */
const ROWS: Readonly<Record<number, Row>> = {
  1: { is: 'serial', rules: ['lint_serial'], tests: [LINT, 'control-plane/src/issuance/serial.test.ts'] },
  2: { is: 'one text form of a serial', tests: ['lib/x509/src/certificate.test.ts'] },
  3: { is: 'serial reserved before signing', tests: [ISSUE] },
  4: { is: 'minimal INTEGER', rules: ['lint_integer'], tests: [LINT] },
  5: { is: 'DEFAULT omitted', rules: ['lint_default'], tests: [LINT] },
  6: { is: 'TRUE is FF', rules: ['lint_boolean'], tests: [LINT] },
  7: { is: 'basicConstraints', rules: ['lint_basic_constraints'], tests: [LINT, TBS] },
  8: { is: 'keyUsage', rules: ['lint_key_usage'], tests: [LINT] },
  9: { is: 'extended key usages nest', rules: ['lint_ext_key_usage'], tests: [LINT, ISSUE] },
  10: { is: 'subject and CN', rules: ['lint_subject', 'lint_subject_alt_name'], tests: [LINT, ISSUE] },
  11: { is: 'types of subjectAltName', rules: ['lint_subject_alt_name'], tests: [LINT, ISSUE] },
  12: { is: 'names are read from DER', tests: ['tools/house/rules.test.ts'] },
  13: { is: 'issuer byte for byte', rules: ['lint_issuer'], tests: [LINT, TBS] },
  14: { is: 'string types', rules: ['lint_name_encoding'], tests: [LINT] },
  15: { is: 'key identifiers', rules: ['lint_key_identifiers'], tests: [LINT, TBS] },
  16: { is: 'encoding of times', rules: ['lint_time'], tests: [LINT, TBS] },
  17: { is: 'validity', rules: ['lint_validity'], tests: [LINT, TBS, ISSUE] },
  18: { is: 'AlgorithmIdentifier', rules: ['lint_algorithm'], tests: [LINT, TBS] },
  19: { is: 'RSASSA-PSS parameters', rules: ['lint_algorithm'], tests: [LINT] },
  20: { is: 'r and s in DER', tests: ['lib/x509/src/algorithm.test.ts', 'lib/mesh/src/ecdsa.test.ts'] },
  21: { is: 'name constraints', rules: ['lint_name_constraints'], tests: [LINT, ISSUE] },
  22: { is: 'status URLs', rules: ['lint_status_urls'], tests: [LINT] },
  23: { is: 'extension allow-list', rules: ['lint_extension_set'], tests: [LINT, 'lib/x509/src/csr.test.ts'] },
  24: { is: 'size and number of names', rules: ['lint_size', 'lint_subject_alt_name'], tests: [LINT] },
  25: { is: 'what was linted is signed', tests: [TBS, ISSUE] },
  26: {
    is: 'proof of possession, keys',
    rules: ['lint_key'],
    tests: [LINT, 'lib/x509/src/csr.test.ts', 'lib/x509/src/public-key.test.ts', 'lib/x509/src/rsa-modulus.test.ts'],
  },
  27: { is: 'blocked keys', none: 'they come with revocation' },
  28: { is: 'policy on the final certificate', tests: [ISSUE, ENROLMENT, 'lib/x509/src/csr.test.ts'] },
  29: { is: 'renewal asks everything again', tests: [ENROLMENT] },
  30: { is: 'possession of the key to revoke', none: 'nothing can be revoked on request yet' },
  31: { is: 'idempotent issuance', tests: [ENROLMENT, 'control-plane/src/certificates/idempotency.test.ts'] },
  32: { is: 'crash-safe issuance', tests: [ENROLMENT] },
  33: { is: 'audit before the effect', tests: [ISSUE] },
  34: { is: 'tokens are used once', tests: [ENROLMENT] },
  35: { is: 'atomic rate limit', tests: ['control-plane/src/rate-limit.test.ts'] },
  36: { is: 'validators that call out', none: 'no validator fetches anything: names come from the registry' },
}

describe('rows of what a naive CA gets wrong', () => {
  test('1 to 36 are there', () => {
    const numbers = Array.from({ length: 36 }, (_, i) => i + 1)
    assert.deepEqual(Object.keys(ROWS).map(Number), numbers)
  })

  for (const [row, { is, rules = [], tests = [], none }] of Object.entries(ROWS)) {
    test(`ca-${row}: ${is}`, () => {
      assert.equal(tests.length > 0, none === undefined, 'a test, or a reason')
      const of = LINT_RULES.filter((rule) => rule.rows.includes(Number(row))).map(({ code }) => code)
      assert.deepEqual(of.toSorted(), rules.toSorted())
      const silent = tests.filter((file) => !new RegExp(`['"\`]ca-${row} `).test(readFileSync(file, 'utf8')))
      assert.deepEqual(silent, [], 'a test whose name begins with the row')
    })
  }
})
