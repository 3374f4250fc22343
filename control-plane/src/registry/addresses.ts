import { BlockList, isIP, isIPv6 } from 'node:net'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, an IPv6 address in brackets. Undefined when it is not that. */
export function parseAddress(text: string): Address | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed)))
    return undefined
  return { host, port }
}

export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Whether every address lies in one of the networks. Without networks anything does. With them a host name never
 * does: what it resolves to is not ours to know.
 */
export function addressesWithin(addresses: readonly Address[], networks: readonly string[]): boolean {
  if (networks.length === 0) return true
  const allowed = blockList(networks)
  return addresses.every(({ host }) => isIP(host) !== 0 && allowed.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'))
}

/** Whether each text is a CIDR block: `10.0.0.0/8`, `fd00::/8`. */
export function areNetworks(networks: readonly string[]): boolean {
  return networks.every((text) => {
    const [address = '', prefix = '', ...more] = text.split('/')
    const family = isIP(address)
    return more.length === 0 && family !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32)
  })
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of networks) {
    const [address = '', prefix = ''] = text.split('/')
    list.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return list
}
