import type { LintRule } from './rule.ts'

/** Rules that hold because the bytes can be read back: the strict reader is what asks. */
export const ENCODING_RULES: readonly LintRule[] = [
  { code: 'lint_integer', rows: [4], unreadable: ['der_integer_invalid'] },
  { code: 'lint_default', rows: [5], unreadable: ['der_default_explicit'] },
  { code: 'lint_boolean', rows: [6], unreadable: ['der_boolean_invalid'] },
  { code: 'lint_time', rows: [16], unreadable: ['der_time_invalid'] },
  { code: 'lint_encoding', rows: [] }, // whatever else cannot be read
]
