import { enforcement, type HeldAgent, type HeldFleet, isoSeconds } from '@vcc/mesh'
import type { FileProblem } from '../state/kept-files.ts'
import type { AgentStatus } from './status.ts'

/** The two documents that are worked by. */
export interface Documents {
  readonly fleet: HeldFleet
  readonly agent: HeldAgent
}

/** What is in force, and for how long: of the two documents the one that ends first decides. */
export function stateInForce(
  documents: Documents | undefined,
  clock: { readonly now: Date; readonly floor: Date | undefined },
): AgentStatus['state'] {
  if (documents === undefined) {
    return { fleet: null, agent: null, policy_version: null, signed_at: null, enforcement: 'none', enforce_until: null }
  }
  const { fleet, agent } = documents
  const shorter = fleet.enforceUntil < agent.enforceUntil ? fleet : agent
  const { state, until } = enforcement(shorter, clock.now, clock.floor)
  const policy = agent.content.policy as { version?: number } // parsed when it was put in force
  return {
    fleet: nameOf(fleet),
    agent: nameOf(agent),
    policy_version: policy.version ?? null,
    signed_at: isoSeconds(shorter.issuedAt),
    enforcement: state,
    enforce_until: isoSeconds(until),
  }
}

/** A document that is held and could not be put in force. */
export interface RefusedDocument {
  readonly held: HeldFleet | HeldAgent
  readonly code: string
}

export function refusedWarnings(documents: Documents | undefined, refused: readonly RefusedDocument[]): string[] {
  return refused.map(({ held, code }) => {
    const instead = documents?.[held.kind]
    const name = instead === undefined || instead.content === held.content ? 'nothing' : nameOf(instead)
    return `the ${held.kind} document ${nameOf(held)} cannot be put in force (${code}); ${name} is instead`
  })
}

/** Signed state that was refused in a way that no accident explains. */
export interface StateAlarm {
  readonly code: string
  readonly at: Date
}

/** For an hour: long enough for whoever is called by it, and no longer than it says something of the present. */
export function alarmWarnings(alarm: StateAlarm | undefined, now: Date): string[] {
  if (alarm === undefined || now.getTime() - alarm.at.getTime() > ALARM_MS) return []
  return [`signed state was refused (${alarm.code}) at ${isoSeconds(alarm.at)}: something between tampers with it`]
}

const ALARM_MS = 3_600_000

export function fileWarnings(problems: readonly FileProblem[]): string[] {
  return problems.map(({ file, problem, code, since }) =>
    problem === 'refused'
      ? `${file} was refused at the start (${code}); it is fetched anew`
      : `${file} cannot be written since ${isoSeconds(since)} (${code}); what is in force would be lost with this process`,
  )
}

function nameOf({ epoch, generation }: HeldFleet | HeldAgent): string {
  return `${epoch}.${generation}`
}
