import { apiClient } from '@vcc/api'
import { unverifiedDispatcher } from '@vcc/mesh'
import { type Certificate, decodeCertificate } from '@vcc/x509'
import { callError, derOf, parseMeshRoot } from '../control/answers.ts'
import { AgentError } from '../errors.ts'
import { fingerprintOf, sameFingerprint } from './fingerprint.ts'

/**
 * Fetches the mesh root from whoever answers, and believes it because its fingerprint was known before: SHA-256 over
 * the DER. Sends nothing but the request for it.
 *
 * @throws {AgentError} `control_unreachable`, `control_answer_invalid`, `fingerprint_mismatch`, `root_refused`
 */
export async function fetchRoot(
  controlUrl: string,
  fingerprint: string,
  signal?: AbortSignal,
): Promise<{ root: Certificate; statementJws: string }> {
  const answer = await fetchUnverified(controlUrl, signal)
  const der = derOf(answer.root)
  const found = fingerprintOf(der)
  if (!sameFingerprint(found, fingerprint)) {
    throw new AgentError('fingerprint_mismatch', `the mesh root of ${controlUrl} has the fingerprint sha256:${found}`)
  }
  return { root: decodeRoot(der), statementJws: answer.trustStatement }
}

async function fetchUnverified(controlUrl: string, signal: AbortSignal | undefined) {
  // Whoever answers is judged by the fingerprint of what it says, and gets no secret.
  const dispatcher = unverifiedDispatcher()
  try {
    const client = apiClient({ baseUrl: controlUrl, dispatcher, timeoutMs: 15_000 })
    return parseMeshRoot(await client.call('meshRoot', {}, signal === undefined ? {} : { signal }))
  } catch (error) {
    throw callError(controlUrl, error)
  } finally {
    await dispatcher.destroy()
  }
}

function decodeRoot(der: Uint8Array): Certificate {
  try {
    const root = decodeCertificate(der)
    if (root.isSelfIssued && root.extensions.basicConstraints?.isCa === true) return root
  } catch (cause) {
    throw new AgentError('root_refused', 'what the fingerprint names is not a certificate', { cause })
  }
  throw new AgentError('root_refused', 'what the fingerprint names is not a root')
}
