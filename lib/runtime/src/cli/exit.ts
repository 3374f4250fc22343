/** What a command's exit code means. 10–15 are a verifier's: "proved wrong", apart from "could not decide" (2, 7). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  no: 3,
  notAllowed: 4,
  notFound: 5,
  conflict: 6,
  unreachable: 7,
  pending: 8,
  unsigned: 10,
  signatureWrong: 11,
  signerNotTrusted: 12,
  certificateRevoked: 13,
  expired: 14,
  policyRefuses: 15,
  interrupted: 130,
} as const

export type ExitName = keyof typeof EXIT

/**
 * How a command ends when it does not do what was asked.
 * The message is one lower-case sentence that quotes the input; the hint says what to type.
 */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: ExitName
  readonly code: string
  readonly hint: string | undefined

  constructor(
    exit: ExitName,
    code: string,
    message: string,
    options: ErrorOptions & { hint?: string | undefined } = {},
  ) {
    super(message, options)
    this.exit = exit
    this.code = code
    this.hint = options.hint
  }
}
