import pkcs11js, { type Handle, type PKCS11, type TokenInfo } from 'pkcs11js'
import type { Request, TokenFacts } from '../message.ts'
import { calling, faultOf, returnValueOf, TokenFault } from './fault.ts'

/** A module with a session pool on one token, logged in. */
export interface OpenToken {
  readonly module: PKCS11
  readonly slot: Handle
  /** One operation at a time in each. A login belongs to the token: no session of ours ever logs out. */
  readonly sessions: readonly Handle[]
  readonly facts: TokenFacts
}

/**
 * Loads the module, finds the token by what stands on it, opens the pool and logs in, once.
 *
 * The PIN is tried only where a wrong one would not lock the token: a token that says "final try" is left alone.
 *
 * @throws {TokenFault} `module_unusable`, `token_missing`, `token_ambiguous`, `pin_refused`, `pin_locked`, `lost`
 */
export function openToken(asked: Request<'open'>): OpenToken {
  const module = load(asked.module)
  const { slot, info } = findToken(module, asked)
  assertMayLogIn(info)
  const sessions = openSessions(module, slot, asked.sessions)
  const [first] = sessions
  if (first === undefined) throw new TokenFault('lost', 'the token gives no session')
  logIn(module, first, asked.pin)
  const library = calling('C_GetInfo', () => module.C_GetInfo())
  return {
    module,
    slot,
    sessions,
    facts: {
      label: words(info.label),
      serial: words(info.serialNumber),
      manufacturer: words(info.manufacturerID),
      model: words(info.model),
      firmware: `${info.firmwareVersion.major}.${info.firmwareVersion.minor}`,
      library: `${words(library.libraryDescription)} ${library.libraryVersion.major}.${library.libraryVersion.minor}`,
      sessions: sessions.length,
    },
  }
}

/** Fixed fields of PKCS#11 are padded with blanks; what else stands there is the vendor's. */
function words(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').trim()
}

function load(path: string): PKCS11 {
  const module = new pkcs11js.PKCS11()
  try {
    module.load(path)
    module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK })
    return module
  } catch (cause) {
    const why = returnValueOf(cause) ?? (cause instanceof Error ? cause.message : 'it cannot be loaded')
    throw new TokenFault('module_unusable', why, { cause })
  }
}

function findToken(module: PKCS11, asked: Request<'open'>): { slot: Handle; info: TokenInfo } {
  const slots = calling('C_GetSlotList', () => module.C_GetSlotList(true))
  const tokens = slots.flatMap((slot) => {
    const info = tokenIn(module, slot)
    return info !== undefined && isAsked(info, asked) ? [{ slot, info }] : []
  })
  const [token] = tokens
  if (token === undefined) throw new TokenFault('token_missing', `none of ${slots.length} tokens is the one asked for`)
  if (tokens.length > 1) throw new TokenFault('token_ambiguous', `${tokens.length} tokens are like the one asked for`)
  return token
}

/** Another slot's reader may be broken; that is no reason not to use ours. */
function tokenIn(module: PKCS11, slot: Handle): TokenInfo | undefined {
  try {
    return module.C_GetTokenInfo(slot)
  } catch {
    return undefined
  }
}

function isAsked(info: TokenInfo, { label, serial }: Request<'open'>): boolean {
  if ((info.flags & pkcs11js.CKF_TOKEN_INITIALIZED) === 0) return false
  return (label === null || words(info.label) === label) && (serial === null || words(info.serialNumber) === serial)
}

function assertMayLogIn({ flags }: TokenInfo): void {
  if ((flags & pkcs11js.CKF_USER_PIN_LOCKED) !== 0) throw new TokenFault('pin_locked', 'the PIN is locked')
  if ((flags & pkcs11js.CKF_USER_PIN_FINAL_TRY) !== 0) {
    throw new TokenFault('pin_locked', 'one more wrong PIN locks the token: it is not tried here')
  }
}

function openSessions(module: PKCS11, slot: Handle, wanted: number): readonly Handle[] {
  const sessions: Handle[] = []
  while (sessions.length < wanted) {
    try {
      sessions.push(module.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION))
    } catch (cause) {
      if (returnValueOf(cause) === 'CKR_SESSION_COUNT' && sessions.length > 0) break // a small token: a small pool
      throw faultOf('C_OpenSession', cause)
    }
  }
  return sessions
}

function logIn(module: PKCS11, session: Handle, pin: string): void {
  try {
    module.C_Login(session, pkcs11js.CKU_USER, pin)
  } catch (cause) {
    if (returnValueOf(cause) === 'CKR_USER_ALREADY_LOGGED_IN') return
    throw faultOf('C_Login', cause)
  }
}
