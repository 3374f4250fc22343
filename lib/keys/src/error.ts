/** Why a key cannot be had or used. The message is safe to show; it never contains key material. */
export const KEY_FAILURES = {
  key_id_invalid: 'not the form of a key id',
  key_not_found: 'the store has no such key',
  key_unreadable: 'the operating system does not give the file',
  key_permissions: 'others on this machine can read or change the file',
  key_malformed: 'the file is not one that this store wrote',
  key_version_unknown: 'the file was written by a version we do not know',
  key_swapped: 'the file belongs to another key id, or holds another private key than it says',
  key_purpose_mismatch: 'the key was made for another purpose',
  key_wrapping_wrong: 'the file is encrypted under another wrapping key',
  key_tampered: 'key id, purpose, public key or ciphertext were changed after the file was written',
  key_certificate_mismatch: 'certificate and key do not belong together',
  signer_deadline: 'the deadline of the request passed before the signature was there',
  signer_failed: 'the key could not be used',
  hsm_unavailable: 'the token or its signer process does not answer; it is being opened again',
  hsm_busy: 'more requests wait for the token than may wait',
  hsm_module_unusable: 'the PKCS#11 module cannot be loaded or initialised',
  hsm_token_missing: 'no slot of the module holds the token that is configured',
  hsm_token_ambiguous: 'several tokens are like the one that is configured',
  hsm_pin_refused: 'the token refuses the PIN, which is not tried a second time',
  hsm_pin_locked: 'the token has locked its PIN, or would with the next wrong one',
  hsm_mechanism_missing: 'the token cannot make or use keys of this kind',
  hsm_attributes_refused: 'the token does not protect the key as it has to: sensitive, not extractable, made inside',
  hsm_key_refused: 'an object of the token that has the id of our key is not such a key',
} as const

export type KeyFailure = keyof typeof KEY_FAILURES

export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly code: KeyFailure
  readonly hint: string | undefined

  constructor(code: KeyFailure, message: string, options: ErrorOptions & { hint?: string | undefined } = {}) {
    super(message, options)
    this.code = code
    this.hint = options.hint
  }
}
