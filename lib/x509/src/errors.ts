/** TLS 1.3 alert descriptions that a refused certificate can cause (RFC 8446 §6.2). */
export type TlsAlert =
  | 'bad_certificate'
  | 'unsupported_certificate'
  | 'certificate_expired'
  | 'certificate_revoked'
  | 'certificate_unknown'
  | 'unknown_ca'
  | 'access_denied'
  | 'internal_error'
  | 'bad_certificate_status_response'

/**
 * Why bytes, a key, a profile or a path were refused: the TLS alert a handshake would end with, and the rule's source.
 * `internal_error` marks refusals that only the issuing side can meet (profile_*, lint_*) or a responder (ocsp_request_*).
 */
export const X509_FAILURES = {
  // Bytes
  der_too_large: { alert: 'bad_certificate', source: 'architecture.md, bounded input' },
  der_truncated: { alert: 'bad_certificate', source: 'X.690 §8.1.3' },
  der_trailing_bytes: { alert: 'bad_certificate', source: 'X.690 §8.1.1' },
  der_depth_exceeded: { alert: 'bad_certificate', source: 'architecture.md, bounded input' },
  der_tag_unexpected: { alert: 'bad_certificate', source: 'X.690 §8.1.2' },
  der_length_indefinite: { alert: 'bad_certificate', source: 'X.690 §10.1' },
  der_length_not_minimal: { alert: 'bad_certificate', source: 'X.690 §10.1' },
  der_boolean_invalid: { alert: 'bad_certificate', source: 'X.690 §11.1' },
  der_integer_invalid: { alert: 'bad_certificate', source: 'X.690 §8.3.2' },
  der_integer_out_of_range: { alert: 'bad_certificate', source: 'RFC 5280 §4.1' },
  der_bit_string_invalid: { alert: 'bad_certificate', source: 'X.690 §11.2' },
  der_oid_invalid: { alert: 'bad_certificate', source: 'X.690 §8.19' },
  der_string_invalid: { alert: 'bad_certificate', source: 'X.690 §8.23' },
  der_time_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.5' },
  der_default_explicit: { alert: 'bad_certificate', source: 'X.690 §11.5' },
  der_set_unordered: { alert: 'bad_certificate', source: 'X.690 §11.6' },
  der_empty: { alert: 'bad_certificate', source: 'RFC 5280 §4.2 (SIZE 1..MAX)' },
  pem_invalid: { alert: 'bad_certificate', source: 'RFC 7468 §3' },
  // Certificates
  certificate_version: { alert: 'unsupported_certificate', source: 'RFC 5280 §4.1.2.1' },
  certificate_serial: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.2' },
  certificate_unique_id: { alert: 'unsupported_certificate', source: 'RFC 5280 §4.1.2.8' },
  certificate_issuer_empty: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.4' },
  certificate_validity_inverted: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.5' },
  certificate_algorithm_mismatch: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.1.2' },
  extension_duplicate: { alert: 'bad_certificate', source: 'RFC 5280 §4.2' },
  extension_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1' },
  algorithm_unsupported: { alert: 'unsupported_certificate', source: 'RFC 4055 §3.1, RFC 5758 §3.2' },
  // Certificate revocation lists
  crl_version: { alert: 'certificate_unknown', source: 'RFC 5280 §5.1.2.1' },
  crl_algorithm_mismatch: { alert: 'certificate_unknown', source: 'RFC 5280 §5.1.1.2' },
  crl_issuer_empty: { alert: 'certificate_unknown', source: 'RFC 5280 §5.1.2.3' },
  crl_next_update_missing: { alert: 'certificate_unknown', source: 'RFC 5280 §5.1.2.5' },
  crl_number_missing: { alert: 'certificate_unknown', source: 'RFC 5280 §5.2.3' },
  crl_not_yet_valid: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3 (a)' },
  crl_expired: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3 (a)' },
  crl_signer_unknown: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3 (f)' },
  crl_signer_key_usage: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3 (f)' },
  crl_signature_invalid: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3 (g)' },
  certificate_revoked: { alert: 'certificate_revoked', source: 'RFC 5280 §6.1.3 (a)(3)' },
  revocation_unknown: { alert: 'certificate_unknown', source: 'RFC 5280 §6.3.3' },
  // Keys
  key_algorithm_refused: { alert: 'unsupported_certificate', source: 'RFC 5480 §2, RFC 3279 §2.3.1' },
  key_curve_refused: { alert: 'unsupported_certificate', source: 'RFC 5480 §2.1.1' },
  key_point_infinity: { alert: 'bad_certificate', source: 'SEC 1 §3.2.2.1' },
  key_point_form: { alert: 'bad_certificate', source: 'RFC 5480 §2.2' },
  key_point_out_of_range: { alert: 'bad_certificate', source: 'SEC 1 §3.2.2.1' },
  key_point_off_curve: { alert: 'bad_certificate', source: 'SEC 1 §3.2.2.1' },
  key_rsa_size: { alert: 'unsupported_certificate', source: 'architecture.md, Trust' },
  key_rsa_exponent: { alert: 'unsupported_certificate', source: 'FIPS 186-5 §A.1.1' },
  key_rsa_modulus: { alert: 'bad_certificate', source: 'FIPS 186-5 §A.1.1' },
  key_rsa_small_factor: { alert: 'bad_certificate', source: 'FIPS 186-5 §A.1.1' },
  key_rsa_roca: { alert: 'bad_certificate', source: 'knowledge/ca.md §5.2 row 26 (CVE-2017-15361)' },
  key_rsa_close_primes: { alert: 'bad_certificate', source: 'knowledge/ca.md §5.2 row 26' },
  key_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.7' },
  // Requests
  csr_version: { alert: 'bad_certificate', source: 'RFC 2986 §4.1' },
  csr_algorithm_refused: { alert: 'unsupported_certificate', source: 'knowledge/ca.md §5.2 row 26' },
  csr_signature_invalid: { alert: 'bad_certificate', source: 'RFC 2986 §4.2' },
  csr_attribute_duplicate: { alert: 'bad_certificate', source: 'RFC 2986 §4.1' },
  csr_names_refused: { alert: 'bad_certificate', source: 'architecture.md, Identities' },
  // Paths
  chain_empty: { alert: 'bad_certificate', source: 'RFC 5280 §6.1' },
  chain_too_long: { alert: 'bad_certificate', source: 'architecture.md, at most four certificates' },
  chain_surplus: { alert: 'bad_certificate', source: 'RFC 5280 §6.1' },
  chain_names_broken: { alert: 'unknown_ca', source: 'RFC 5280 §6.1.3 (a)(4)' },
  issuer_unknown: { alert: 'unknown_ca', source: 'RFC 5280 §6.1.1 (d)' },
  certificate_signature_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §6.1.3 (a)(1)' },
  certificate_expired: { alert: 'certificate_expired', source: 'RFC 5280 §6.1.3 (a)(2)' },
  certificate_not_yet_valid: { alert: 'certificate_expired', source: 'RFC 5280 §6.1.3 (a)(2)' },
  issuer_not_a_ca: { alert: 'unknown_ca', source: 'RFC 5280 §6.1.4 (k)' },
  issuer_key_usage: { alert: 'unknown_ca', source: 'RFC 5280 §6.1.4 (n)' },
  path_length_exceeded: { alert: 'unknown_ca', source: 'RFC 5280 §6.1.4 (l)' },
  leaf_is_a_ca: { alert: 'bad_certificate', source: 'X509-SVID §5.2' },
  leaf_key_usage: { alert: 'unsupported_certificate', source: 'RFC 8446 §4.4.2.2' },
  eku_missing: { alert: 'unsupported_certificate', source: 'RFC 5280 §4.2.1.12' },
  eku_not_granted: { alert: 'unsupported_certificate', source: 'architecture.md, Trust; knowledge/ca.md §5.1 row 9' },
  eku_forbidden_on_ca: { alert: 'unsupported_certificate', source: 'RFC 6960 §4.2.2.2; knowledge/ca.md §5.1 row 9' },
  extension_critical_unknown: { alert: 'unsupported_certificate', source: 'RFC 5280 §6.1.4 (o), §6.1.5 (f)' },
  name_not_permitted: { alert: 'bad_certificate', source: 'RFC 5280 §6.1.3 (b)' },
  name_excluded: { alert: 'bad_certificate', source: 'RFC 5280 §6.1.3 (c)' },
  name_unsupported: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1.10' },
  name_constraint_unsupported: { alert: 'unsupported_certificate', source: 'RFC 5280 §4.2.1.10' },
  policy_mapping_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §6.1.4 (a)' },
  policy_not_valid: { alert: 'bad_certificate', source: 'RFC 5280 §6.1.3 (f), §6.1.5 (g); RFC 9618 §5' },
  peer_name_mismatch: { alert: 'bad_certificate', source: 'RFC 9525 §6' },
  path_budget_exceeded: { alert: 'bad_certificate', source: 'architecture.md, bounded work' },
  signature_budget_exceeded: { alert: 'bad_certificate', source: 'architecture.md, bounded work' },
  name_budget_exceeded: { alert: 'bad_certificate', source: 'architecture.md, bounded work' },
  policy_budget_exceeded: { alert: 'bad_certificate', source: 'architecture.md, bounded work; RFC 9618 §3' },
  // What a path profile wants certificates to say
  extension_criticality: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1, §5.2, §5.3' },
  extension_on_leaf: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1.10' },
  key_identifier_missing: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1.1, §4.2.1.2, §5.2.1' },
  key_identifier_form: { alert: 'bad_certificate', source: 'Baseline Requirements §7.1.2.1.3, §7.1.2.11.1' },
  key_usage_without_ca: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1.9' },
  subject_empty: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.6' },
  subject_alt_name_missing: { alert: 'bad_certificate', source: 'RFC 5280 §4.1.2.6; Baseline Requirements §7.1.4.2' },
  alt_name_invalid: { alert: 'bad_certificate', source: 'RFC 5280 §4.2.1.6' },
  common_name_foreign: { alert: 'bad_certificate', source: 'Baseline Requirements §7.1.4.3' },
  wildcard_too_wide: { alert: 'bad_certificate', source: 'RFC 9525 §7.1; Baseline Requirements §3.2.2.6' },
  eku_forbidden_on_leaf: { alert: 'unsupported_certificate', source: 'Baseline Requirements §7.1.2.7.10' },
  class_missing: { alert: 'access_denied', source: 'architecture.md, Trust (class policy)' },
  class_ambiguous: { alert: 'access_denied', source: 'architecture.md, Trust (class policy)' },
  class_not_granted: { alert: 'access_denied', source: 'architecture.md, Trust (class policy)' },
  uri_san_missing: { alert: 'bad_certificate', source: 'X509-SVID §2' },
  uri_san_multiple: { alert: 'bad_certificate', source: 'X509-SVID §2' },
  // OCSP requests and responses. To a responder's client every refused request is `malformedRequest` (RFC 6960 §2.3).
  ocsp_request_version: { alert: 'internal_error', source: 'RFC 6960 §4.1.1' },
  ocsp_request_too_many: { alert: 'internal_error', source: 'architecture.md, bounded input' },
  ocsp_request_signature: { alert: 'internal_error', source: 'RFC 6960 §4.1.2' },
  ocsp_cert_id_invalid: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.1.1' },
  ocsp_nonce_invalid: { alert: 'bad_certificate_status_response', source: 'RFC 9654 §2.1' },
  ocsp_extension_critical: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.4' },
  ocsp_response_status: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.1' },
  ocsp_response_error: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §2.3' },
  ocsp_response_type: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.1' },
  ocsp_response_version: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.1' },
  ocsp_response_too_many: { alert: 'bad_certificate_status_response', source: 'architecture.md, bounded input' },
  ocsp_status_invalid: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.1; RFC 5280 §5.3.1' },
  ocsp_cert_id_mismatch: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §3.2 (1)' },
  ocsp_response_ambiguous: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §3.2 (1)' },
  ocsp_signature_invalid: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §3.2 (2)' },
  ocsp_responder_unknown: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §3.2 (3)' },
  ocsp_responder_issuer: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.2' },
  ocsp_responder_eku: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.2' },
  ocsp_responder_is_a_ca: { alert: 'bad_certificate_status_response', source: 'knowledge/ca.md §5.1 row 9' },
  ocsp_responder_key_usage: { alert: 'bad_certificate_status_response', source: 'RFC 5280 §4.2.1.3' },
  ocsp_responder_nocheck: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.2.1' },
  ocsp_responder_critical: { alert: 'bad_certificate_status_response', source: 'RFC 5280 §4.2' },
  ocsp_responder_validity: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §3.2 (4)' },
  ocsp_not_yet_valid: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.1' },
  ocsp_next_update_missing: { alert: 'bad_certificate_status_response', source: 'RFC 9919 §5' },
  ocsp_response_stale: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.1' },
  ocsp_produced_at: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §4.2.2.1' },
  ocsp_times_inconsistent: { alert: 'bad_certificate_status_response', source: 'RFC 6960 §2.4' },
  ocsp_nonce_missing: { alert: 'bad_certificate_status_response', source: 'RFC 9654 §2.1' },
  ocsp_nonce_mismatch: { alert: 'bad_certificate_status_response', source: 'RFC 9654 §2.1' },
  // Profiles and lint: the issuing side refuses its own input
  profile_serial: { alert: 'internal_error', source: 'RFC 5280 §4.1.2.2; knowledge/ca.md §5.1 row 1' },
  profile_issuer: { alert: 'internal_error', source: 'RFC 5280 §4.1.2.4' },
  profile_subject: { alert: 'internal_error', source: 'architecture.md, Identities' },
  profile_key: { alert: 'internal_error', source: 'architecture.md, Trust' },
  profile_validity: { alert: 'internal_error', source: 'RFC 5280 §4.1.2.5; knowledge/ca.md §5.1 row 17' },
  profile_names: { alert: 'internal_error', source: 'architecture.md, Identities' },
  profile_name_constraints: { alert: 'internal_error', source: 'RFC 5280 §4.2.1.10' },
  profile_class: { alert: 'internal_error', source: 'architecture.md, Trust (class policy)' },
  profile_status_url: { alert: 'internal_error', source: 'architecture.md, The three flows that matter' },
  profile_signature: { alert: 'internal_error', source: 'RFC 5280 §4.1.1.2' },
  lint_integer: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 4' },
  lint_default: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 5' },
  lint_boolean: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 6' },
  lint_time: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 16' },
  lint_encoding: { alert: 'internal_error', source: 'X.690' },
  lint_size: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 24' },
  lint_serial: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 1' },
  lint_algorithm: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 rows 18, 19' },
  lint_issuer: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 13' },
  lint_validity: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 17' },
  lint_subject: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 10' },
  lint_name_encoding: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 14' },
  lint_key: { alert: 'internal_error', source: 'knowledge/ca.md §5.2 row 26' },
  lint_extension_set: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 23' },
  lint_basic_constraints: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 7' },
  lint_key_usage: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 8' },
  lint_ext_key_usage: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 9' },
  lint_key_identifiers: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 15' },
  lint_subject_alt_name: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 rows 10, 11, 24' },
  lint_name_constraints: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 21' },
  lint_policies: { alert: 'internal_error', source: 'architecture.md, Trust (class policy)' },
  lint_status_urls: { alert: 'internal_error', source: 'knowledge/ca.md §5.1 row 22' },
} as const satisfies Record<string, { alert: TlsAlert; source: string }>

export type X509Failure = keyof typeof X509_FAILURES

/** Input that this library refuses. `message` is safe to show; it never contains key material. */
export class X509Error extends Error {
  override readonly name = 'X509Error'
  readonly code: X509Failure

  constructor(code: X509Failure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
