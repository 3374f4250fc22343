/** Codes of `PolicyError`. The value says what the code stands for. */
export const POLICY_FAILURES = {
  workload_id_invalid: 'not a SPIFFE ID of a service',
  trust_domain_invalid: 'not a trust domain name',
  organization_name_invalid: 'not the name of an organisation',
  service_name_invalid: 'not the name of a service',
  service_name_reserved: 'a name the mesh keeps for itself',
  class_name_invalid: 'not the name of a certificate class',
  policy_too_large: 'the matrices resolve to more edges than are allowed',
  compiled_format_unknown: 'a compiled policy in a format this version does not read',
  compiled_too_large: 'a compiled policy beyond the bounds',
  compiled_invalid: 'a compiled policy that is not well formed',
} as const

export type PolicyFailure = keyof typeof POLICY_FAILURES

/** Input this package will not process. A call the matrix refuses is a `Decision`, never this. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
  readonly code: PolicyFailure

  constructor(code: PolicyFailure, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
  }
}

/** Foreign text for one line of a message: quoted, unprintable characters escaped or replaced, at most 60 characters. */
export function quote(text: string): string {
  return printable(JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text))
}

/** Text that may contain foreign text, as one line of at most 200 printable characters. */
export function printable(text: string): string {
  return text.slice(0, 200).replaceAll(UNPRINTABLE, '�')
}

// Controls, halves of surrogate pairs, line separators, and what turns the direction of writing.
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu
