import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Distinct TCP ports that were free on 127.0.0.1 a moment ago. A server that can listen on port 0 itself should: between
 * this call and the use of a port another process may take it.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      if (address === null || typeof address === 'string') throw new TypeError('freePorts: not a TCP address')
      return address.port
    }),
  )
  await Promise.all(
    servers.map(async (server) => {
      server.close()
      await once(server, 'close')
    }),
  )
  return ports
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
