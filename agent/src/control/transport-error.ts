import { MeshError } from '@vcc/mesh'
import { errorCode } from '@vcc/runtime'
import { X509Error } from '@vcc/x509'
import { AgentError } from '../errors.ts'

/** A failure of the transport in the words of ours; an error that is ours already, or a cause that is, stays. */
export function transportError(url: string, error: unknown): AgentError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AgentError) return cause
    if (cause instanceof MeshError && cause.code === 'peer_refused') return peerRefused(cause)
  }
  const detail = TRANSPORT_WORDS[errorCode(error) ?? ''] ?? (error instanceof Error ? error.message : 'unknown reason')
  return new AgentError('control_unreachable', `the control plane at ${url} cannot be reached: ${detail}`, {
    cause: error,
  })
}

const TRANSPORT_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'there is no such host',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not of this mesh',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not of this mesh',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not of this mesh',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not of this mesh',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

function peerRefused(error: MeshError): AgentError {
  const reason = error.cause instanceof X509Error ? error.cause.code : 'peer_not_expected'
  return new AgentError('control_peer_refused', error.message, { cause: error, reason })
}
