import type { Handle } from 'pkcs11js'
import type { Answer, Operation, Request } from '../message.ts'
import { calling, faultOf, returnValueOf, TokenFault } from './fault.ts'
import { type OpenToken, openToken } from './module.ts'
import { destroyKey, generateKey, listKeys, privateKeyHandle, readKey } from './objects.ts'
import { signDigest } from './sign.ts'

/** One token, and what may be asked of it. The first request is `open`; at most as many at a time as it has sessions. */
export interface TokenService {
  /** @throws {TokenFault} */
  readonly perform: (request: Request) => Promise<Answer>
  readonly close: () => void
}

/** @param onLost  Told once when a look at the idle token finds it gone. */
export function createTokenService(onLost: (why: string) => void): TokenService {
  let token: OpenToken | undefined
  let keepAlive: NodeJS.Timeout | undefined
  const free: Handle[] = []
  const handles = new Map<string, Handle>()

  const inSession = async <T>(work: (through: { module: OpenToken['module']; session: Handle }) => T | Promise<T>) => {
    const session = free.shift()
    if (token === undefined || session === undefined) throw new TokenFault('failed', 'there is no session for this')
    try {
      return await work({ module: token.module, session })
    } finally {
      free.push(session)
    }
  }

  const operations: { readonly [Op in Operation]: (request: Request<Op>) => Promise<Answer<Op>> } = {
    async open(request) {
      if (token !== undefined) throw new TokenFault('failed', 'the token is open already')
      const opened = openToken(request)
      token = opened
      free.push(...opened.sessions)
      keepAlive = setInterval(() => {
        const why = goneReason(opened, free)
        if (why === undefined) return
        clearInterval(keepAlive)
        onLost(why)
      }, request.keepAliveMs)
      return opened.facts
    },
    list: () => inSession((through) => ({ keyIds: listKeys(through) })),
    find: ({ keyId }) => inSession((through) => readKey(through, keyId)),
    generate: (request) => inSession((through) => generateKey(through, request)),
    destroy: ({ keyId }) =>
      inSession((through) => {
        handles.delete(keyId)
        destroyKey(through, keyId)
        return {}
      }),
    sign: ({ keyId, ...what }) =>
      inSession(async (through) => {
        const key = handles.get(keyId) ?? privateKeyHandle(through, keyId)
        handles.set(keyId, key) // of a token object: good in every session of the process
        return { signature: await signDigest(through, key, what) }
      }),
  }

  return {
    async perform(request) {
      const operation = operations[request.op] as (request: Request) => Promise<Answer> // its own row of the table
      return operation(request)
    },
    close() {
      clearInterval(keepAlive)
      // A call that is under way may hang, and would hold the module's locks.
      if (token === undefined || free.length < token.sessions.length) return
      try {
        token.module.C_Finalize()
      } catch {
        // the module is left in whatever state: the process ends next
      }
    },
  }
}

/**
 * Why the token is gone, undefined while it is there. Also what keeps it from closing idle sessions: some do after 15 s,
 * so each free one is used, for something that reaches the device.
 */
function goneReason({ module, slot }: OpenToken, free: readonly Handle[]): string | undefined {
  try {
    const { flags } = calling('C_GetSlotInfo', () => module.C_GetSlotInfo(slot))
    if ((flags & CKF_TOKEN_PRESENT) === 0) return 'C_GetSlotInfo: the slot is empty'
    calling('C_GetTokenInfo', () => module.C_GetTokenInfo(slot))
    for (const session of free) {
      try {
        module.C_GenerateRandom(session, Buffer.alloc(8))
      } catch (cause) {
        if (returnValueOf(cause) !== 'CKR_RANDOM_NO_RNG' && returnValueOf(cause) !== 'CKR_FUNCTION_NOT_SUPPORTED') {
          throw faultOf('C_GenerateRandom', cause)
        }
        calling('C_GetSessionInfo', () => module.C_GetSessionInfo(session))
      }
    }
    return undefined
  } catch (error) {
    return error instanceof TokenFault ? error.message : 'the module failed'
  }
}

/** PKCS#11 v2.40 §3.2; the binding does not name it. */
const CKF_TOKEN_PRESENT = 1
