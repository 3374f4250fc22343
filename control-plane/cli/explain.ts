import { ApiProblem, type ProblemDocument } from '@vcc/api'
import { MeshError } from '@vcc/mesh'
import { CliError, type ExitName, errorCode } from '@vcc/runtime'

/** An answer of the API, or none, as an operator should read it. */
export function explainError(error: unknown): CliError | undefined {
  if (error instanceof ApiProblem) {
    const { problem } = error
    const code = problem.request_id === undefined ? problem.code : `${problem.code}, request ${problem.request_id}`
    return new CliError(exitOf(problem), code, messageOf(problem), { cause: error, hint: problem.hint })
  }
  const refused = refusedPeer(error)
  if (refused !== undefined) return refused
  const code = networkCode(error)
  if (code === undefined) return undefined
  return new CliError(
    'unreachable',
    'control_unreachable',
    `the control plane cannot be reached: ${NETWORK[code] ?? code}`,
    {
      cause: error,
      hint: 'does it run, and is the URL of `vcc-pki context` right?',
    },
  )
}

/** Somebody answers, and it is not the control plane that `configure` pinned. */
function refusedPeer(error: unknown): CliError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof MeshError && cause.code === 'peer_refused') {
      return new CliError('failed', 'control_peer_refused', cause.message, {
        cause: error,
        hint: 'something answers in the place of the control plane; compare with `vcc-control fingerprint`',
      })
    }
  }
  return undefined
}

/** With every fault of a file on a line of its own, as editors understand it. */
function messageOf(problem: ProblemDocument): string {
  const sentence = problem.detail ?? problem.title
  const faults = (problem.errors ?? []).map((fault) => {
    const place = fault.line === undefined ? (fault.at ?? '') : `${fault.line}:${fault.column ?? 1}`
    const hint = fault.hint === undefined ? '' : ` (${fault.hint})`
    return `  ${place}: ${fault.message}${hint}${fault.code === undefined ? '' : ` [${fault.code}]`}`
  })
  return [sentence, ...faults].join('\n')
}

function exitOf({ status }: ProblemDocument): ExitName {
  return EXIT_BY_STATUS[status] ?? 'failed'
}

const EXIT_BY_STATUS: Readonly<Record<number, ExitName>> = {
  400: 'usage',
  401: 'notAllowed',
  403: 'notAllowed',
  404: 'notFound',
  409: 'conflict',
  413: 'usage',
  429: 'unreachable',
  503: 'unreachable',
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'no answer',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
  UND_ERR_SOCKET: 'it closed the connection',
}

function networkCode(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = errorCode(cause)
    if (code !== undefined && code in NETWORK) return code
    if (cause.name === 'TimeoutError') return 'ETIMEDOUT'
  }
  return undefined
}
