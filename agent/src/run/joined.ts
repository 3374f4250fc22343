import { now } from '@vcc/runtime'
import type { AgentConfig } from '../config.ts'
import { AgentError } from '../errors.ts'
import { type Identity, verifyIdentity } from '../identity/identity.ts'
import { type IdentityFiles, identityFiles } from '../identity/identity-file.ts'
import { type LoadedState, type StateFiles, stateFiles } from '../state/state-files.ts'
import { type MeshTrust, type TrustFiles, trustFiles } from '../trust/trust-files.ts'

/** What a join left in the state folder, and what came since. Everything of it is verified anew. */
export interface Joined {
  readonly trust: MeshTrust
  /** May have expired: then it is good for a re-enrolment only. */
  readonly identity: Identity
  readonly loaded: LoadedState
  readonly identities: IdentityFiles
  readonly states: StateFiles
  readonly statements: TrustFiles
}

/** @throws {AgentError} `not_joined`, `service_mismatch`, `identity_refused`, `identity_file_invalid`, `trust_file_invalid` */
export async function readJoined(config: Pick<AgentConfig, 'stateFolder' | 'service'>): Promise<Joined> {
  const { stateFolder } = config
  const [identities, statements, states] = [
    identityFiles(stateFolder),
    trustFiles(stateFolder),
    stateFiles(stateFolder),
  ]
  const trust = await statements.read()
  const stored = await identities.read()
  if (trust === undefined || stored === undefined) {
    throw new AgentError('not_joined', `there is no identity in ${stateFolder}`)
  }
  const { root, statement } = trust
  const floor = await states.floor()
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
  return { trust, identity, loaded, identities, states, statements }
}
