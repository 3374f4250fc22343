/**
 * Everything that can be refused on the way between control plane and agent. The codes are a contract: they
 * stand in logs, in acknowledgements and in metrics. `then` says what the receiver does about it.
 *
 * - `drop`: forget the message, keep what is held
 * - `pull`: fetch the complete document over HTTPS
 * - `alarm`: somebody tampers, or a peer is broken: forget the message and tell the operator
 */
export const MESH_FAILURES = {
  // Compact JWS, RFC 7515
  jws_too_large: { then: 'alarm' },
  jws_malformed: { then: 'alarm' },
  jws_header_refused: { then: 'alarm' },
  jws_type_refused: { then: 'alarm' },
  jws_algorithm_refused: { then: 'alarm' },
  jws_key_mismatch: { then: 'alarm' },
  jws_certificate_malformed: { then: 'alarm' },
  // The trust statement
  trust_malformed: { then: 'alarm' },
  trust_signature_invalid: { then: 'alarm' },
  trust_foreign: { then: 'alarm' },
  trust_stale: { then: 'alarm' },
  trust_conflict: { then: 'alarm' },
  trust_retired_dropped: { then: 'alarm' },
  // Signed state
  state_malformed: { then: 'alarm' },
  state_format_unknown: { then: 'alarm' },
  state_signature_invalid: { then: 'alarm' },
  state_signer_refused: { then: 'alarm' },
  state_hash_mismatch: { then: 'alarm' },
  state_foreign: { then: 'alarm' },
  state_stale: { then: 'drop' },
  state_conflict: { then: 'alarm' },
  state_expired: { then: 'pull' },
  state_gap: { then: 'pull' },
  state_signer_expired: { then: 'alarm' },
  denial_conflict: { then: 'alarm' },
  denial_overflow: { then: 'alarm' },
  // What the agent keeps on its disk
  held_malformed: { then: 'pull' },
  // Envelopes up, replies down
  envelope_malformed: { then: 'drop' },
  envelope_purpose_mismatch: { then: 'drop' },
  envelope_sender_refused: { then: 'drop' },
  envelope_signature_invalid: { then: 'drop' },
  envelope_sender_mismatch: { then: 'drop' },
  envelope_expired: { then: 'drop' },
  envelope_not_yet_valid: { then: 'drop' },
  envelope_replayed: { then: 'drop' },
  envelope_window_full: { then: 'drop' },
  reply_unexpected: { then: 'drop' },
  // A condition, not a refusal: see `clockReading`
  clock_behind: { then: 'alarm' },
} as const satisfies Record<string, { then: 'drop' | 'pull' | 'alarm' }>

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
