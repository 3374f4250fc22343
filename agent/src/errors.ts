import { type ExitName, errorCode } from '@vcc/runtime'

/**
 * What the agent itself refuses or fails at, with the exit code of a command that ends with it.
 * Codes of signed state and envelopes are @vcc/mesh's, of certificates @vcc/x509's, of policy @vcc/policy's.
 */
export const AGENT_FAILURES = {
  not_joined: { exit: 'failed', hint: 'run `vcc-agent join` first, with the same state folder' },
  already_joined: {
    exit: 'conflict',
    hint: 'choose another state folder, or move this one away if the identity is to be given up',
  },
  join_token_missing: {
    exit: 'usage',
    hint: 'write the token to a file and name it with --token-file, or pipe it to standard input',
  },
  join_token_invalid: {
    exit: 'usage',
    hint: 'the token is one line of 20 to 200 letters, digits, - and _, as `vcc-pki` printed it',
  },
  fingerprint_invalid: {
    exit: 'usage',
    hint: 'the fingerprint is printed with the join token: sha256: and 64 hexadecimal digits',
  },
  fingerprint_mismatch: {
    exit: 'failed',
    hint: 'compare the fingerprint with an administrator over another channel; the token was not sent',
  },
  root_refused: { exit: 'failed', hint: 'this is not the control plane of the mesh you mean; nothing was sent to it' },
  control_unreachable: { exit: 'unreachable', hint: 'check the address and port 8444, and that vcc-control runs' },
  control_peer_refused: { exit: 'failed', hint: 'something between here and the control plane answers in its place' },
  control_answer_invalid: { exit: 'failed', hint: 'control plane and agent may be two minor versions apart at most' },
  control_refused: { exit: 'failed', hint: undefined },
  identity_file_invalid: {
    exit: 'failed',
    hint: 'the state folder was changed by hand or its disk is damaged; join again with a new folder',
  },
  identity_refused: { exit: 'failed', hint: undefined },
  trust_file_invalid: {
    exit: 'failed',
    hint: 'the state folder was changed by hand or its disk is damaged; join again with a new folder',
  },
  service_mismatch: {
    exit: 'usage',
    hint: 'the configuration belongs to another service than the identity in the state folder',
  },
  state_folder_unusable: {
    exit: 'failed',
    hint: 'mount its disk for writing, and let the folder belong to the user of vcc-agent',
  },
  state_folder_busy: { exit: 'conflict', hint: 'stop the other vcc-agent of this state folder first' },
  admin_socket_unusable: { exit: 'failed', hint: 'move away what is in its place, or name another path with `admin`' },
  agent_unreachable: { exit: 'unreachable', hint: 'is vcc-agent running? --config or --admin name its socket' },
  admin_answer_invalid: {
    exit: 'failed',
    hint: 'vcc-agent on the socket and on the command line should be one version',
  },
  admin_request_invalid: { exit: 'usage', hint: undefined },
  renewal_unanswered: { exit: 'unreachable', hint: undefined },
} as const satisfies Record<string, { exit: ExitName; hint: string | undefined }>

export type AgentFailure = keyof typeof AGENT_FAILURES

/** `message` is safe to show; `reason` is the code of the library or peer that refused, where there is one. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentFailure
  readonly reason: string | undefined
  readonly hint: string | undefined
  readonly exit: ExitName

  constructor(
    code: AgentFailure,
    message: string,
    options: ErrorOptions & { reason?: string | undefined; hint?: string | undefined; exit?: ExitName } = {},
  ) {
    super(message, options)
    this.code = code
    this.reason = options.reason
    this.hint = options.hint ?? AGENT_FAILURES[code].hint
    this.exit = options.exit ?? AGENT_FAILURES[code].exit
  }
}

/** The most telling code of an error: of the peer or library that refused, else its own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AgentError) return error.reason ?? error.code
  return errorCode(error) ?? 'internal_error'
}
