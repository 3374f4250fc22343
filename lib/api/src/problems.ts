/**
 * Every code the API can answer with, its HTTP status and title: the one map to the wire.
 * `docs/reference/errors.md` is made from it.
 */
export const PROBLEMS = {
  request_invalid: { status: 400, title: 'The request does not fit its schema' },
  body_too_large: { status: 413, title: 'The request body is larger than this route takes' },
  media_type_unsupported: { status: 415, title: 'The request body is not JSON' },
  route_unknown: { status: 404, title: 'There is no such route' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Not available at the moment' },
  storage_full: { status: 507, title: 'The disk of the control plane is full' },
  storage_failed: { status: 503, title: 'The control plane can no longer store anything' },
  clock_behind: { status: 503, title: 'The clock of the control plane stands behind its own records' },
  too_many_requests: { status: 429, title: 'Too many requests from there', retryAfterSeconds: 1 },

  client_certificate_required: { status: 401, title: 'A client certificate is required' },
  client_certificate_refused: { status: 401, title: 'The client certificate is not accepted' },
  not_allowed: { status: 403, title: 'This identity may not do this' },

  token_unknown: { status: 403, title: 'No such join token' },
  token_expired: { status: 403, title: 'The join token has expired' },
  token_bound: { status: 409, title: 'The join token was used by another key' },
  csr_refused: { status: 400, title: 'The CSR is not acceptable' },
  identity_unknown: { status: 403, title: 'This instance is not registered' },
  identity_forked: { status: 409, title: 'A newer certificate of this instance exists' },
  identity_revoked: { status: 403, title: 'This identity is revoked' },
  re_enrolment_too_late: { status: 403, title: 'The certificate expired too long ago' },
  envelope_refused: { status: 400, title: 'The signed envelope is not acceptable' },
  renewal_too_early: { status: 409, title: 'A certificate issued now would be older than demanded' },
  addresses_refused: { status: 403, title: 'An advertised address is outside the allowed networks' },
  issuance_refused: { status: 403, title: 'Policy refuses this certificate' },
  issuance_lost: { status: 409, title: 'The issuance was resolved otherwise meanwhile' },
  signer_unavailable: { status: 503, title: 'The signing key does not answer', retryAfterSeconds: 5 },
  idempotency_key_reused: { status: 409, title: 'The idempotency key belongs to another request' },

  service_unknown: { status: 404, title: 'No such service' },
  service_exists: { status: 409, title: 'A service of this name exists' },
  service_name_invalid: { status: 400, title: 'The service name is not acceptable' },
  service_not_in_matrix: { status: 403, title: 'The policy in force has no entry for this service' },
  service_invalid: { status: 400, title: 'The registration is not acceptable' },
  instance_unknown: { status: 404, title: 'No such instance' },
  no_policy: { status: 409, title: 'No policy is in force yet' },
  policy_invalid: { status: 400, title: 'The matrix is not acceptable' },
  policy_unknown: { status: 404, title: 'No such policy version' },
  policy_changed_meanwhile: { status: 409, title: 'Another policy came into force meanwhile' },
  class_change_unsupported: { status: 409, title: 'The class of a service with live instances cannot change yet' },
  class_not_issuable: { status: 409, title: 'No issuing CA may grant this class' },
  too_many_targets: { status: 409, title: 'A service would have more targets than an agent can be told of' },
  format_not_supported: { status: 409, title: 'An agent cannot express this policy' },

  certificate_unknown: { status: 404, title: 'No such certificate' },
  already_revoked: { status: 409, title: 'The certificate is revoked already' },
  not_revocable: { status: 409, title: 'This certificate is not revoked in this way' },
  revocation_invalid: { status: 400, title: 'The revocation is not acceptable' },
  revocation_too_large: { status: 409, title: 'More certificates than one revocation, or signed state, can carry' },
  last_admin: { status: 409, title: 'The last certificate of an admin would be revoked' },
  key_blocked: { status: 403, title: 'The key is compromised and never certified again' },
  identity_denied: { status: 403, title: 'The identity, its key or its issuer is shut out' },
  crl_unknown: { status: 404, title: 'No such CRL' },
  crl_too_large: { status: 500, title: 'More revoked certificates than one CRL can carry' },
  denial_unknown: { status: 404, title: 'No such denial' },
  denial_exists: { status: 409, title: 'This is shut out already' },
  denial_released: { status: 409, title: 'The denial was released before' },
  certificate_ambiguous: { status: 409, title: 'Several certificates have this serial' },
  cursor_invalid: { status: 400, title: 'The cursor is not one of ours' },
  authority_unknown: { status: 404, title: 'No such CA' },
  authority_exists: { status: 409, title: 'A CA of this name exists' },
  key_unknown: { status: 404, title: 'No such key' },
  key_in_use: { status: 409, title: 'The key is in use' },
  hsm_unavailable: { status: 503, title: 'The HSM does not answer', retryAfterSeconds: 5 },
  hsm_busy: { status: 503, title: 'The HSM has more to do than it can', retryAfterSeconds: 1 },
  hsm_token_missing: { status: 503, title: 'The token is not in its slot', retryAfterSeconds: 30 },
  hsm_token_ambiguous: { status: 503, title: 'Several tokens are like the one configured' },
  hsm_module_unusable: { status: 503, title: 'The PKCS#11 module cannot be used', retryAfterSeconds: 30 },
  hsm_pin_refused: { status: 503, title: 'The token refuses the PIN' },
  hsm_pin_locked: { status: 503, title: 'The PIN of the token is locked' },
  hsm_mechanism_missing: { status: 409, title: 'The token cannot make or use keys of this kind' },
  hsm_attributes_refused: { status: 500, title: 'The token does not protect the key as it has to' },
  hsm_key_refused: { status: 500, title: 'An object of the token is not the key it should be' },
  template_unknown: { status: 404, title: 'No such template' },
  validity_refused: { status: 400, title: 'The validity period is outside what the template allows' },
} as const satisfies Record<string, Problem>

export interface Problem {
  readonly status: number
  readonly title: string
  /** Sent as Retry-After, where waiting alone may help. */
  readonly retryAfterSeconds?: number
}

export type ProblemCode = keyof typeof PROBLEMS
