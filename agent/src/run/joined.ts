import { now } from '@vcc/runtime'
import type { AgentConfig } from '../config.ts'
import { AgentError, reasonOf } from '../errors.ts'
import { type Identity, verifyIdentity } from '../identity/identity.ts'
import { type IdentityFiles, identityFiles } from '../identity/identity-file.ts'
import { type LoadedState, type RefusedFile, type StateFiles, stateFiles } from '../state/state-files.ts'
import { knownStatement } from '../trust/known-statement.ts'
import { refetchStatement } from '../trust/refetch.ts'
import { type MeshTrust, STATEMENT_FILE, type TrustFiles, trustFiles } from '../trust/trust-files.ts'

/** What a join left in the state folder, and what came since. Everything of it is verified anew. */
export interface Joined {
  readonly trust: MeshTrust
  /** The version of the trust statement that its file holds; 0 when that file is not to be used. */
  readonly keptStatement: number
  /** May have expired: then it is good for a re-enrolment only. */
  readonly identity: Identity
  readonly loaded: LoadedState
  /** Files that were there and are not to be used. */
  readonly refused: readonly RefusedFile[]
  readonly identities: IdentityFiles
  readonly states: StateFiles
  readonly statements: TrustFiles
}

/**
 * Reads it, and fetches the trust statement anew where that is lost; everything else of an identity is its holder's alone.
 *
 * @throws {AgentError} `not_joined`, `service_mismatch`, `identity_refused`, `identity_file_invalid`, `trust_file_invalid`
 */
export async function readJoinedOrFetch(
  config: Pick<AgentConfig, 'stateFolder' | 'service' | 'controlUrl'>,
  signal: AbortSignal,
  onRefused: (refused: RefusedFile) => void,
): Promise<Joined> {
  try {
    return await readJoined(config)
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'trust_file_invalid') throw error
    const statements = trustFiles(config.stateFolder)
    const root = await statements.readRoot() // throws by itself when it is the root that cannot be used
    if (root === undefined) throw error
    onRefused({ file: STATEMENT_FILE, code: reasonOf(error) })
    const { marks } = await stateFiles(config.stateFolder).marks()
    await statements.writeStatement(await refetchStatement(config.controlUrl, root, marks.trust, { now, signal }))
    return await readJoined(config)
  }
}

async function readJoined(config: Pick<AgentConfig, 'stateFolder' | 'service'>): Promise<Joined> {
  const { stateFolder } = config
  const [identities, statements, states] = [
    identityFiles(stateFolder),
    trustFiles(stateFolder),
    stateFiles(stateFolder),
  ]
  const root = await statements.readRoot()
  const stored = await identities.read()
  if (root === undefined || stored === undefined) {
    throw new AgentError('not_joined', `there is no identity in ${stateFolder}`)
  }
  const { marks } = await states.marks()
  const { statement, kept, refused } = await knownStatement(root, marks, { statements, states })
  const { floor } = marks
  const at = floor !== undefined && floor > now() ? floor : now()
  const rules = { root, oidArc: statement.oidArc, classOids: undefined, expected: undefined, now: at }
  const identity = verifyIdentity(stored, rules, { acceptExpired: true })
  if (config.service !== undefined && config.service.replaceAll('_', '-') !== identity.service) {
    throw new AgentError(
      'service_mismatch',
      `the configuration is for ${config.service}, the identity for ${identity.service}`,
    )
  }
  const whose = { instance: identity.instance, service: identity.workload }
  const loaded = await states.load({ root, trust: statement, ...whose })
  return {
    trust: { root, statement },
    keptStatement: kept,
    identity,
    loaded,
    refused: [...refused, ...loaded.refused],
    identities,
    states,
    statements,
  }
}
