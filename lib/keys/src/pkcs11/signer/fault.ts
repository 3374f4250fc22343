import pkcs11js from 'pkcs11js'
import type { SignerFaultCode } from '../message.ts'

/** Why an operation of the token did not succeed. `detail` names the CKR code and the function, nothing secret. */
export class TokenFault extends Error {
  override readonly name = 'TokenFault'
  readonly code: SignerFaultCode
  /** Whether the token may have done what was asked. */
  readonly began: boolean

  constructor(code: SignerFaultCode, detail: string, options: { began?: boolean; cause?: unknown } = {}) {
    super(detail, { cause: options.cause })
    this.code = code
    this.began = options.began ?? false
  }
}

/** Runs one call of the module; what it throws becomes a fault by the name of its return value (PKCS#11 v2.40 §5.1). */
export function calling<T>(what: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw faultOf(what, cause)
  }
}

/** The same for a call that takes time in the pool; the token may have acted although it failed. */
export async function awaiting<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw faultOf(what, cause, true)
  }
}

/** `CKR_…`, or undefined for what no module returned. */
export function returnValueOf(error: unknown): string | undefined {
  return error instanceof pkcs11js.Pkcs11Error && error.message.startsWith('CKR_') ? error.message : undefined
}

/** What a call of the module threw, as a fault. */
export function faultOf(what: string, cause: unknown, began = false): TokenFault {
  const value = returnValueOf(cause)
  if (value === undefined) return new TokenFault('failed', `${what} failed`, { began, cause })
  const number = cause instanceof pkcs11js.Pkcs11Error ? cause.code : 0
  const detail = value === 'CKR_VENDOR_DEFINED' ? `${what}: vendor code 0x${number.toString(16)}` : `${what}: ${value}`
  return new TokenFault(CODES[value] ?? 'failed', detail, { began, cause })
}

/**
 * What a return value means for what comes next. `lost`: nothing in this process works again, whatever it is asked;
 * CKR_GENERAL_ERROR and CKR_HOST_MEMORY are among them, since modules give them for a token that is gone.
 */
const CODES: Readonly<Partial<Record<string, SignerFaultCode>>> = {
  CKR_SESSION_HANDLE_INVALID: 'lost',
  CKR_SESSION_CLOSED: 'lost',
  CKR_SESSION_COUNT: 'lost',
  CKR_DEVICE_ERROR: 'lost',
  CKR_DEVICE_MEMORY: 'lost',
  CKR_DEVICE_REMOVED: 'lost',
  CKR_TOKEN_NOT_PRESENT: 'lost',
  CKR_TOKEN_NOT_RECOGNIZED: 'lost',
  CKR_SLOT_ID_INVALID: 'lost',
  CKR_USER_NOT_LOGGED_IN: 'lost',
  CKR_CRYPTOKI_NOT_INITIALIZED: 'lost',
  CKR_OPERATION_ACTIVE: 'lost',
  CKR_OPERATION_NOT_INITIALIZED: 'lost',
  CKR_GENERAL_ERROR: 'lost',
  CKR_HOST_MEMORY: 'lost',
  CKR_MECHANISM_INVALID: 'mechanism_missing',
  CKR_MECHANISM_PARAM_INVALID: 'mechanism_missing',
  CKR_KEY_SIZE_RANGE: 'mechanism_missing',
  CKR_CURVE_NOT_SUPPORTED: 'mechanism_missing',
  CKR_DOMAIN_PARAMS_INVALID: 'mechanism_missing',
  CKR_PIN_INCORRECT: 'pin_refused',
  CKR_PIN_INVALID: 'pin_refused',
  CKR_PIN_LEN_RANGE: 'pin_refused',
  CKR_PIN_EXPIRED: 'pin_refused',
  CKR_USER_PIN_NOT_INITIALIZED: 'pin_refused',
  CKR_PIN_LOCKED: 'pin_locked',
}
