import type { Held } from '@vcc/mesh'
import { errorCode } from '@vcc/runtime'
import type { TrustFiles } from '../trust/trust-files.ts'
import type { Marks } from './marks.ts'
import type { RefusedFile, StateFiles } from './state-files.ts'

/** A file of the state folder that is not as it should be. */
export interface FileProblem {
  readonly file: string
  /** `refused`: it was there and may not be used. `not_stored`: what is in force is not in it. */
  readonly problem: 'refused' | 'not_stored'
  /** Of the refusal, or the operating system's. */
  readonly code: string
  readonly since: Date
}

export interface KeptFiles {
  /** Whether it is on the disk. Where it is not, it is enforced all the same, and lost with the process. */
  readonly save: (held: Held) => Promise<boolean>
  readonly saveMarks: (marks: Marks) => Promise<boolean>
  readonly saveStatement: (jws: string) => Promise<boolean>
  readonly problems: () => readonly FileProblem[]
}

export interface KeptFilesDeps {
  readonly states: Pick<StateFiles, 'save' | 'saveMarks'>
  readonly statements: Pick<TrustFiles, 'writeStatement'>
  /** At the start. They are fetched anew, and a file that was written since is none of them. */
  readonly refused: readonly RefusedFile[]
  readonly events: {
    /** Once, until it can be stored again. */
    readonly notStored: (fact: { file: string; code: string }, error: unknown) => void
    readonly storedAgain: (fact: { file: string }) => void
  }
  readonly now: () => Date
}

/** Writes what is in force, and remembers which files are not as they should be. */
export function keptFiles({ states, statements, refused, events, now }: KeptFilesDeps): KeptFiles {
  const startedAt = now()
  const problems = new Map<string, FileProblem>(
    refused.map(({ file, code }) => [file, { file, code, problem: 'refused', since: startedAt }]),
  )

  async function keep(file: string, write: () => Promise<void>): Promise<boolean> {
    const before = problems.get(file)
    try {
      await write()
      problems.delete(file)
      if (before?.problem === 'not_stored') events.storedAgain({ file })
      return true
    } catch (error) {
      const code = systemCode(error)
      if (before?.problem === 'not_stored') return false
      problems.set(file, { file, code, problem: 'not_stored', since: now() })
      events.notStored({ file, code }, error)
      return false
    }
  }

  return {
    save: (held) => keep(`${held.kind}.json`, () => states.save(held)),
    saveMarks: (marks) => keep('marks.json', () => states.saveMarks(marks)),
    saveStatement: (jws) => keep('trust-statement.jws', () => statements.writeStatement(jws)),
    problems: () => [...problems.values()],
  }
}

/** `ENOSPC` says more than that a file could not be written. */
function systemCode(error: unknown): string {
  const cause = error instanceof Error ? errorCode(error.cause) : undefined
  return cause ?? errorCode(error) ?? 'internal_error'
}
