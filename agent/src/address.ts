import { isIP } from 'node:net'

/** Where something listens or is reached. */
export type SocketAddress = TcpAddress | { readonly kind: 'unix'; readonly path: string }
export type TcpAddress = { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/**
 * Reads `127.0.0.1:8000`, `[::1]:8000`, `name.example:8000` or `unix:/run/vcc/argus.sock`.
 *
 * @returns `undefined` for anything else: no port, port 0, a relative path, or a path the kernel cannot bind.
 */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path.startsWith('/') && Buffer.byteLength(path) <= MAX_SUN_PATH ? { kind: 'unix', path } : undefined
  }
  const match = HOST_PORT.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 1 && port <= 65_535)) return undefined
  return { kind: 'tcp', host, port }
}

export function formatSocketAddress(address: SocketAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Loopback addresses and `localhost`, whose meaning no name server decides. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Whether nobody outside this host can reach it. Names other than `localhost` are not looked up. */
export function isLocal(address: SocketAddress): boolean {
  return address.kind === 'unix' || isLoopback(address.host)
}

/** Where one listens, and where nobody can be dialled. */
export function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host)
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/
/** `sun_path` has 108 bytes with its end (unix(7)). */
const MAX_SUN_PATH = 107
