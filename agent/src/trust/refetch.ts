import { apiClient } from '@vcc/api'
import { clientContext, peerDispatcher, type TrustStatement, verifyTrustStatement } from '@vcc/mesh'
import { type Certificate, ekuOid } from '@vcc/x509'
import { callError, parseMeshRoot } from '../control/answers.ts'
import { AgentError, reasonOf } from '../errors.ts'
import { fingerprintOf } from '../join/fingerprint.ts'
import { fetchRoot } from '../join/root.ts'

/**
 * The trust statement as the control plane has it now, for an agent that holds the root and lost the statement. The
 * first one, which anybody may have sent, only says whom to ask: believed is what comes over a connection to the control
 * plane that the root vouches for.
 *
 * @param least  The version that was in force here: an older one is refused.
 * @throws {AgentError} `trust_file_invalid`, its reason why it could not be fetched
 */
export async function refetchStatement(
  controlUrl: string,
  root: Certificate,
  least: number,
  deps: { readonly now: () => Date; readonly signal: AbortSignal },
): Promise<string> {
  try {
    const first = await fetchRoot(controlUrl, fingerprintOf(root.der), deps.signal)
    const jws = await fetchVerified(controlUrl, root, verifyTrustStatement(first.statementJws, root), deps)
    const { version } = verifyTrustStatement(jws, root)
    if (version >= least) return jws
    throw new AgentError('root_refused', `the trust statement ${version} of ${controlUrl} is older than ${least}`)
  } catch (cause) {
    const reason = reasonOf(cause)
    const message = `the trust statement in the state folder cannot be used, and none could be fetched (${reason})`
    const hint = reason === 'control_unreachable' ? 'it starts once the control plane answers' : undefined
    throw new AgentError('trust_file_invalid', message, { cause, reason, hint })
  }
}

async function fetchVerified(
  controlUrl: string,
  root: Certificate,
  { trustDomain, oidArc }: TrustStatement,
  { now, signal }: { readonly now: () => Date; readonly signal: AbortSignal },
): Promise<string> {
  const expected = { root, id: `spiffe://${trustDomain}/control`, eku: ekuOid(oidArc, 'api'), now }
  const dispatcher = peerDispatcher(clientContext(root, undefined), expected)
  try {
    const client = apiClient({ baseUrl: controlUrl, dispatcher, timeoutMs: 15_000 })
    return parseMeshRoot(await client.call('meshRoot', {}, { signal })).trustStatement
  } catch (error) {
    throw callError(controlUrl, error)
  } finally {
    await dispatcher.destroy()
  }
}
