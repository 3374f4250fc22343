import type { ProblemCode } from '@vcc/api'
import { KeyError, type KeyFailure } from '@vcc/keys'

/** What a key that cannot be had or used is to a caller. What is wrong with files of the key store is for the log. */
const KEY_PROBLEMS = {
  key_id_invalid: 'key_unknown',
  key_not_found: 'key_unknown',
  key_unreadable: 'internal',
  key_permissions: 'internal',
  key_malformed: 'internal',
  key_version_unknown: 'internal',
  key_swapped: 'internal',
  key_purpose_mismatch: 'internal',
  key_wrapping_wrong: 'internal',
  key_tampered: 'internal',
  key_certificate_mismatch: 'internal',
  signer_deadline: 'signer_unavailable',
  signer_failed: 'signer_unavailable',
  hsm_unavailable: 'hsm_unavailable',
  hsm_busy: 'hsm_busy',
  hsm_module_unusable: 'hsm_module_unusable',
  hsm_token_missing: 'hsm_token_missing',
  hsm_token_ambiguous: 'hsm_token_ambiguous',
  hsm_pin_refused: 'hsm_pin_refused',
  hsm_pin_locked: 'hsm_pin_locked',
  hsm_mechanism_missing: 'hsm_mechanism_missing',
  hsm_attributes_refused: 'hsm_attributes_refused',
  hsm_key_refused: 'hsm_key_refused',
} as const satisfies Record<KeyFailure, ProblemCode>

/** Its code alone: names of tokens and paths of modules are for admins, who ask for `hsm/status`. */
export function keyProblem(error: KeyError): ProblemCode {
  return KEY_PROBLEMS[error.code]
}

/** Why a signature was not had. A CA without its key is no fault of the caller, whatever it is called elsewhere. */
export function signerProblem(cause: unknown): ProblemCode {
  const code = cause instanceof KeyError ? keyProblem(cause) : 'signer_unavailable'
  return code.startsWith('hsm_') ? code : 'signer_unavailable'
}
