import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isLoopback } from '../address.ts'

/** Resolves the host of an upstream to addresses, in the order to try them. */
export interface Names {
  resolve(host: string): Promise<readonly string[]>
}

class NameError extends Error {
  override readonly name = 'NameError'
  readonly code = 'name_unresolved'
}

/**
 * Asks name servers directly (A, then AAAA), never `getaddrinfo`, whose four threads file access and key operations
 * share. So it does **not** read /etc/hosts. Address literals and `localhost` bypass it.
 *
 * Answers are kept for their TTL (5 s to 5 min); when the name servers fail, the last good answer stays in use however
 * old it is: a wrong address costs availability only, because identity is checked.
 *
 * @param servers  Name servers as `address:port`; without it those of the machine.
 */
export function createNames(deps: {
  readonly now: () => Date
  readonly servers?: readonly string[] | undefined
}): Names {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  if (deps.servers !== undefined) resolver.setServers([...deps.servers])
  const held = new Map<string, Held>()
  const asking = new Map<string, Promise<readonly string[]>>()

  async function ask(host: string): Promise<readonly string[]> {
    const [v4, v6] = await Promise.allSettled([
      resolver.resolve4(host, { ttl: true }),
      resolver.resolve6(host, { ttl: true }),
    ])
    const records = [...(v4.status === 'fulfilled' ? v4.value : []), ...(v6.status === 'fulfilled' ? v6.value : [])]
    const at = deps.now().getTime()
    const previous = held.get(host)
    if (records.length === 0) {
      const cause = v4.status === 'rejected' ? v4.reason : undefined
      if (previous === undefined) throw new NameError(`no address for ${host}`, { cause })
      held.set(host, { addresses: previous.addresses, until: at + MIN_TTL_MS })
      return previous.addresses
    }
    const ttlMs = Math.min(...records.map((record) => record.ttl)) * 1000
    const addresses = records.map((record) => record.address)
    if (held.size >= MAX_NAMES) held.clear()
    held.set(host, { addresses, until: at + Math.min(Math.max(ttlMs, MIN_TTL_MS), MAX_TTL_MS) })
    return addresses
  }

  return {
    async resolve(host) {
      if (isIP(host) !== 0) return [host]
      if (isLoopback(host)) return ['127.0.0.1', '::1']
      const known = held.get(host)
      if (known !== undefined && known.until > deps.now().getTime()) return known.addresses
      const underway = asking.get(host)
      if (underway !== undefined) return await underway
      const asked = ask(host).finally(() => asking.delete(host))
      asking.set(host, asked)
      return await asked
    },
  }
}

interface Held {
  readonly addresses: readonly string[]
  readonly until: number
}

const MIN_TTL_MS = 5_000
const MAX_TTL_MS = 300_000
const MAX_NAMES = 1_000
