/**
 * Everything that can be refused on the way between control plane and agent. The codes are a contract: they
 * stand in logs, in acknowledgements and in metrics. `receiver` is what whoever gets it does about it.
 *
 * - `drop`: forget the message, keep what is held
 * - `pull`: fetch the complete document over HTTPS
 * - `alarm`: somebody tampers, or a peer is broken: forget the message and tell the operator
 */
export const MESH_FAILURES = {
  // Compact JWS, RFC 7515
  jws_too_large: { receiver: 'alarm' },
  jws_malformed: { receiver: 'alarm' },
  jws_header_refused: { receiver: 'alarm' },
  jws_type_refused: { receiver: 'alarm' },
  jws_algorithm_refused: { receiver: 'alarm' },
  jws_key_mismatch: { receiver: 'alarm' },
  jws_certificate_malformed: { receiver: 'alarm' },
  // The trust statement
  trust_malformed: { receiver: 'alarm' },
  trust_signature_invalid: { receiver: 'alarm' },
  trust_foreign: { receiver: 'alarm' },
  trust_stale: { receiver: 'alarm' },
  trust_conflict: { receiver: 'alarm' },
  trust_retired_dropped: { receiver: 'alarm' },
  // Signed state
  state_malformed: { receiver: 'alarm' },
  state_format_unknown: { receiver: 'alarm' },
  state_signature_invalid: { receiver: 'alarm' },
  state_signer_refused: { receiver: 'alarm' },
  state_hash_mismatch: { receiver: 'alarm' },
  state_foreign: { receiver: 'alarm' },
  state_stale: { receiver: 'drop' },
  state_conflict: { receiver: 'alarm' },
  state_expired: { receiver: 'pull' },
  state_gap: { receiver: 'pull' },
  state_signer_expired: { receiver: 'alarm' },
  denial_conflict: { receiver: 'alarm' },
  denial_overflow: { receiver: 'alarm' },
  // What the agent keeps on its disk
  held_malformed: { receiver: 'pull' },
  // Envelopes up, replies down
  envelope_malformed: { receiver: 'drop' },
  envelope_purpose_mismatch: { receiver: 'drop' },
  envelope_sender_refused: { receiver: 'drop' },
  envelope_signature_invalid: { receiver: 'drop' },
  envelope_sender_mismatch: { receiver: 'drop' },
  envelope_expired: { receiver: 'drop' },
  envelope_not_yet_valid: { receiver: 'drop' },
  envelope_replayed: { receiver: 'drop' },
  envelope_window_full: { receiver: 'drop' },
  reply_unexpected: { receiver: 'drop' },
  // TLS to the control plane: who answers is somebody else
  peer_refused: { receiver: 'alarm' },
  // A condition, not a refusal: see `clockReading`
  clock_behind: { receiver: 'alarm' },
} as const satisfies Record<string, { receiver: 'drop' | 'pull' | 'alarm' }>

export type MeshFailure = keyof typeof MESH_FAILURES

/** A message or stored state we do not process. `message` is safe to show; `cause` is for the log. */
export class MeshError extends Error {
  override readonly name = 'MeshError'
  readonly code: MeshFailure

  constructor(code: MeshFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
