import type { ProblemCode } from '@vcc/api'

/** One row per fault where a refusal has several, as in a policy file. */
export interface Fault {
  readonly code?: string
  readonly at?: string
  readonly line?: number
  readonly column?: number
  readonly message: string
  readonly hint?: string
}

/**
 * A refusal of the control plane. `message` is safe to show; `cause` is for the log.
 * The HTTP status and title of each code stand in `@vcc/api`'s PROBLEMS.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ProblemCode
  readonly hint: string | undefined
  readonly faults: readonly Fault[]

  constructor(
    code: ProblemCode,
    message: string,
    options: { cause?: unknown; hint?: string; faults?: readonly Fault[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.faults = options.faults ?? []
  }
}

/** What an operator can do about a clock that stands behind what is on record. */
export const CLOCK_HINT =
  'set the clock; if it was the record that was wrong: vcc-control audit acknowledge-clock, while vcc-control is stopped'
