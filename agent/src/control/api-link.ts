import { type ApiClient, apiClient } from '@vcc/api'
import { clientContext, peerDispatcher } from '@vcc/mesh'
import { ekuOid } from '@vcc/x509'
import type { Dispatcher } from 'undici'
import { AgentError } from '../errors.ts'
import type { Identity } from '../identity/identity.ts'
import type { MeshTrust } from '../trust/trust-files.ts'
import { callError } from './answers.ts'

export interface ApiLinkDeps {
  readonly trust: () => MeshTrust
  readonly identity: () => Identity
  /** From signed state, then from the configuration. Tried in order. */
  readonly urls: () => readonly string[]
  readonly now: () => Date
  /** Ends what is under way, and everything after it. */
  readonly signal: AbortSignal
}

export interface ApiLink extends AsyncDisposable {
  /** @throws {AgentError} `control_unreachable`, `control_refused` … of the last address tried. */
  readonly call: ApiClient['call']
  /** As nobody: for a re-enrolment, whose envelope proves who asks. */
  readonly anonymous: ApiClient['call']
  /** Since when no address serves; undefined while one does. */
  readonly downSince: () => Date | undefined
}

/** HTTPS to the control plane with the certificate in force; each certificate gets connections of its own. */
export function createApiLink(deps: ApiLinkDeps): ApiLink {
  let downSince: Date | undefined
  let connection: { serialHex: string; dispatcher: Dispatcher } | undefined

  const expected = () => ({
    root: deps.trust().root,
    id: `spiffe://${deps.trust().statement.trustDomain}/control`,
    eku: ekuOid(deps.trust().statement.oidArc, 'api'),
    now: deps.now,
  })
  const current = (): Dispatcher => {
    const { leaf, key, chainPem } = deps.identity()
    if (connection?.serialHex === leaf.serialHex) return connection.dispatcher
    void connection?.dispatcher.close().catch(() => {}) // what is under way ends; errors of it were its callers'
    const context = clientContext(deps.trust().root, { keyPem: key.privateKeyPem(), chainPem })
    connection = { serialHex: leaf.serialHex, dispatcher: peerDispatcher(context, expected()) }
    return connection.dispatcher
  }
  const over =
    (dispatcherOf: () => Dispatcher): ApiClient['call'] =>
    async (route, input, options) => {
      let failure: unknown = new AgentError('control_unreachable', 'no address of the control plane is known')
      for (const url of new Set(deps.urls())) {
        try {
          const client = apiClient({ baseUrl: url, dispatcher: dispatcherOf(), timeoutMs: 15_000 })
          const answer = await client.call(route, input, { signal: deps.signal, ...options })
          downSince = undefined
          return answer
        } catch (error) {
          deps.signal.throwIfAborted()
          const known = callError(url, error)
          // A refusal is an answer: the control plane is there. Somebody else in its place is none, and one that is
          // there and cannot (5xx) leaves it to the next.
          if (known.code === 'control_refused' && known.exit !== 'unreachable') {
            downSince = undefined
            throw known
          }
          failure = known
        }
      }
      downSince ??= deps.now()
      throw failure
    }
  return {
    call: over(current),
    anonymous: async (route, input, options) => {
      const dispatcher = peerDispatcher(clientContext(deps.trust().root, undefined), expected())
      try {
        return await over(() => dispatcher)(route, input, options)
      } finally {
        await dispatcher.destroy()
      }
    },
    downSince: () => downSince,
    async [Symbol.asyncDispose]() {
      await connection?.dispatcher.destroy()
    },
  }
}
