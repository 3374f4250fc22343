import { ApiProblem, IssuedIdentity, MeshRoot, StatePull } from '@vcc/api'
import type { ExitName } from '@vcc/runtime'
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { AgentError } from '../errors.ts'
import { transportError } from './transport-error.ts'

// The control plane is upgraded before its agents: what it says beyond this is passed over.
const { document, refresh } = StatePull.properties.fleet.properties
const Part = Type.Object({ document, refresh })
const { epoch, fleet, agent, serial, silentSeconds } = StatePull.properties.acknowledged.properties
const Acknowledged = Type.Object({ epoch, fleet, agent, serial, silentSeconds })

/** What is read of the answers that matter; the rest of an answer may be newer than this agent. */
export const parseMeshRoot = answerOf(
  Type.Object({ root: MeshRoot.properties.root, trustStatement: MeshRoot.properties.trustStatement }),
  'mesh root',
)
export const parseIssued = answerOf(
  Type.Object({ instance: IssuedIdentity.properties.instance, chain: IssuedIdentity.properties.chain }),
  'certificate',
)
export const parsePull = answerOf(
  Type.Object({ fleet: Part, agent: Part, acknowledged: Type.Optional(Acknowledged) }),
  'signed state',
)

export type PulledState = ReturnType<typeof parsePull>
/** What of an agent's acknowledgements and reports reached the control plane. */
export type RecordedAcks = Static<typeof Acknowledged>

export function derOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

/** An error of a call in the words of ours: what the control plane refused, or why it was not reached. */
export function callError(url: string, error: unknown): AgentError {
  if (error instanceof AgentError) return error
  if (!(error instanceof ApiProblem)) return transportError(url, error)
  const { code, title, detail, hint, status } = error.problem
  return new AgentError('control_refused', `the control plane refuses: ${detail ?? title}`, {
    cause: error,
    reason: code,
    hint,
    exit: EXITS[status] ?? 'failed',
  })
}

function answerOf<S extends TSchema>(schema: S, what: string): (answer: unknown) => Static<S> {
  const compiled = Compile(schema)
  return (answer) => {
    if (compiled.Check(answer)) return answer
    throw new AgentError('control_answer_invalid', `the answer of the control plane is not the ${what} it should be`)
  }
}

const EXITS: Readonly<Record<number, ExitName>> = {
  401: 'notAllowed',
  403: 'notAllowed',
  404: 'notFound',
  409: 'conflict',
  502: 'unreachable',
  503: 'unreachable',
  504: 'unreachable',
}
