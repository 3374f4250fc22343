import { apiClient, type RouteInput } from '@vcc/api'
import { clientContext, peerDispatcher, STATE_FORMATS, verifyTrustStatement } from '@vcc/mesh'
import { ensureFolder, removeTemporaries } from '@vcc/runtime'
import { buildCsr, type Certificate, ekuOid } from '@vcc/x509'
import { callError, derOf, parseIssued } from '../control/answers.ts'
import { AgentError } from '../errors.ts'
import { type Identity, verifyIdentity } from '../identity/identity.ts'
import { type IdentityFiles, identityFiles } from '../identity/identity-file.ts'
import type { AgentKey } from '../identity/key.ts'
import { lockFolder } from '../state/folder-lock.ts'
import { type MeshTrust, trustFiles } from '../trust/trust-files.ts'
import { AGENT_VERSION } from '../version.ts'
import { fetchRoot } from './root.ts'

export interface JoinRequest {
  readonly controlUrl: string
  /** 64 hexadecimal digits. */
  readonly fingerprint: string
  readonly token: string
  readonly stateFolder: string
  /** `host:port` under which other agents reach this one; may be empty, the agent reports them later. */
  readonly addresses: readonly string[]
}

export interface JoinDeps {
  readonly now: () => Date
  /** What is being done, one sentence at a time. */
  readonly onStep: (sentence: string) => void
  readonly signal?: AbortSignal
}

/**
 * Takes part for the first time: compares the root's fingerprint, sends the token only to the control plane that this
 * root vouches for, and stores root, trust statement and identity.
 *
 * May be repeated after a crash at any point: the key is on disk before its request leaves, and the same key gets the
 * same certificate while the token is valid.
 *
 * @throws {AgentError} `state_folder_busy`, `already_joined`, `control_*`, `fingerprint_mismatch`, `root_refused`, `identity_refused`
 */
export async function joinMesh(request: JoinRequest, deps: JoinDeps): Promise<Identity> {
  await ensureFolder(request.stateFolder)
  using _ = await lockFolder(request.stateFolder)
  await removeTemporaries(request.stateFolder)
  const identities = identityFiles(request.stateFolder)
  const trusts = trustFiles(request.stateFolder)
  const finished = await finishedBefore(identities, await trusts.read(), deps)
  if (finished !== undefined) return finished

  deps.onStep(`fetching the mesh root from ${request.controlUrl}`)
  const { root, statementJws } = await fetchRoot(request.controlUrl, request.fingerprint, deps.signal)
  const statement = statementOf(statementJws, root)
  const known = await trusts.readRoot()
  if (known !== undefined && Buffer.compare(known.der, root.der) !== 0) {
    throw new AgentError('already_joined', `${request.stateFolder} belongs to another mesh`)
  }
  deps.onStep('the fingerprint is right, and the root signed the trust statement')
  await trusts.write(root, statementJws)

  const key = await identities.pendingKey()
  deps.onStep('asking for a certificate, over a connection verified by that root')
  const chainDer = await requestCertificate(request, { root, statement }, key, deps)
  const identity = verifyIdentity({ key, chainDer }, { ...rulesOf({ root, statement }), now: deps.now() })
  await identities.write({ key, chainDer })
  await identities.dropPending()
  return identity
}

/** An identity that is there already: the one of this very join, cut short after it was stored, or another. */
async function finishedBefore(
  identities: IdentityFiles,
  trust: MeshTrust | undefined,
  deps: Pick<JoinDeps, 'now'>,
): Promise<Identity | undefined> {
  const stored = await identities.read()
  if (stored === undefined) return undefined
  const pending = await identities.readPending()
  const identity = trust && verifyIdentity(stored, { ...rulesOf(trust), now: deps.now() }, { acceptExpired: true })
  if (identity !== undefined && pending?.publicKey.spkiSha256Hex === stored.key.publicKey.spkiSha256Hex) {
    await identities.dropPending()
    return identity
  }
  const who = identity === undefined ? 'an identity' : `instance ${identity.instance} of ${identity.workload}`
  throw new AgentError('already_joined', `${identities.path} holds ${who}`)
}

async function requestCertificate(
  request: JoinRequest,
  trust: MeshTrust,
  key: AgentKey,
  deps: JoinDeps,
): Promise<readonly Uint8Array[]> {
  const dispatcher = peerDispatcher(clientContext(trust.root, undefined), {
    root: trust.root,
    id: `spiffe://${trust.statement.trustDomain}/control`,
    eku: ekuOid(trust.statement.oidArc, 'api'),
    now: deps.now,
  })
  try {
    const body: RouteInput<'meshJoin'>['body'] = {
      token: request.token,
      csr: Buffer.from(await buildCsr(key)).toString('base64'),
      stateFormats: [...STATE_FORMATS],
      version: AGENT_VERSION,
      ...(request.addresses.length === 0 ? {} : { addresses: [...request.addresses] }),
    }
    const client = apiClient({ baseUrl: request.controlUrl, dispatcher })
    const answer = await client.call('meshJoin', { body }, deps.signal === undefined ? {} : { signal: deps.signal })
    return parseIssued(answer).chain.map(derOf)
  } catch (error) {
    throw callError(request.controlUrl, error)
  } finally {
    await dispatcher.destroy()
  }
}

function statementOf(jws: string, root: Certificate): MeshTrust['statement'] {
  try {
    return verifyTrustStatement(jws, root)
  } catch (cause) {
    throw new AgentError('root_refused', 'the trust statement is not one that this root signed', { cause })
  }
}

function rulesOf(trust: MeshTrust) {
  return { root: trust.root, oidArc: trust.statement.oidArc, classOids: undefined, expected: undefined }
}
