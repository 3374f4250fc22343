import type { TrustStatement } from '@vcc/mesh'
import type { Certificate } from '@vcc/x509'
import { AgentError, reasonOf } from '../errors.ts'
import type { Marks } from '../state/marks.ts'
import type { RefusedFile, StateFiles } from '../state/state-files.ts'
import { STATEMENT_FILE, type TrustFiles } from './trust-files.ts'

export interface KnownStatement {
  readonly statement: TrustStatement
  /** The version that its own file holds; 0 when that file is not to be used. */
  readonly kept: number
  readonly refused: readonly RefusedFile[]
}

/**
 * The trust statement of the state folder: of its own file, or where that is lost, of the stored fleet document. Never
 * one that is older than what was in force here.
 *
 * @throws {AgentError} `trust_file_invalid`, its reason that of the file, when there is none
 */
export async function knownStatement(
  root: Certificate,
  marks: Marks,
  from: { statements: TrustFiles; states: Pick<StateFiles, 'statement'> },
): Promise<KnownStatement> {
  const { own, code } = await ownStatement(root, marks, from.statements)
  if (own !== undefined) return { statement: own, kept: own.version, refused: [] }
  const carried = await from.states.statement(root)
  if (carried !== undefined && carried.version >= marks.trust) {
    return { statement: carried, kept: 0, refused: [{ file: STATEMENT_FILE, code }] }
  }
  throw new AgentError('trust_file_invalid', `${STATEMENT_FILE} in the state folder cannot be used`, { reason: code })
}

async function ownStatement(root: Certificate, marks: Marks, statements: TrustFiles) {
  try {
    const own = await statements.readStatement(root)
    if (own === undefined) return { own, code: 'file_missing' }
    return own.version < marks.trust ? { own: undefined, code: 'trust_stale' } : { own, code: '' }
  } catch (error) {
    return { own: undefined, code: reasonOf(error) }
  }
}
