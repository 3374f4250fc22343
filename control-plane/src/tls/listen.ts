import type { AddressInfo, Server } from 'node:net'

export interface ListenAddress {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

/** Resolves with the port once the server accepts; rejects with the system's error (`EADDRINUSE`, `EACCES`). */
export function listenOn(server: Server, address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
      server.off('error', reject)
      const bound = server.address() as AddressInfo // a TCP listener's address is never a string
      resolve(bound.port)
    })
  })
}
