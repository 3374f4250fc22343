import type { ProxyEvents } from './observe.ts'
import type { Address } from './upstream.ts'

/** Which addresses have failed lately. Only a hint: when all have, all are tried. */
export interface AddressBook {
  /** Those that work first, in the given order, then the ejected ones, the one due soonest first. */
  order(addresses: readonly Address[]): readonly Address[]
  failed(upstream: string, address: Address, reason: string): void
  worked(address: Address): void
  ejected(addresses: readonly Address[]): number
}

export function createAddressBook(deps: { readonly now: () => Date; readonly events: ProxyEvents }): AddressBook {
  const failures = new Map<string, { count: number; until: number }>()
  const isOut = (address: Address) => (failures.get(keyOf(address))?.until ?? 0) > deps.now().getTime()
  return {
    order(addresses) {
      const out = addresses.filter(isOut)
      if (out.length === 0) return addresses
      const due = (address: Address) => failures.get(keyOf(address))?.until ?? 0
      return [...addresses.filter((address) => !isOut(address)), ...out.toSorted((a, b) => due(a) - due(b))]
    },
    failed(upstream, address, reason) {
      const count = (failures.get(keyOf(address))?.count ?? 0) + 1
      const forMs = Math.min(FIRST_MS * 2 ** (count - 1), LONGEST_MS)
      if (failures.size >= MAX_ADDRESSES) failures.clear()
      failures.set(keyOf(address), { count, until: deps.now().getTime() + forMs })
      deps.events.address_ejected({ upstream, address: keyOf(address), reason, forMs })
    },
    worked(address) {
      failures.delete(keyOf(address))
    },
    ejected: (addresses) => addresses.filter(isOut).length,
  }
}

function keyOf(address: Address): string {
  return `${address.host}:${address.port}`
}

const FIRST_MS = 1_000
const LONGEST_MS = 30_000
const MAX_ADDRESSES = 10_000
