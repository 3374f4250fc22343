import type { Server } from 'node:tls'
import { addressPrefix } from '../audit/entry.ts'

export interface HandshakeLimits {
  /** Connections in all, handshakes among them. */
  readonly connections: number
  /** Connections of one network (/24, /56) that have not finished their handshake. */
  readonly pending: number
}

/** For two thousand agents with two connections each, and for a fleet behind one address that comes back at once. */
const LIMITS: HandshakeLimits = { connections: 8192, pending: 1024 }

/**
 * Bounds what a listener keeps for peers that have proved nothing yet, and ends handshakes that fail or take too long
 * (`tls.Server` only reports those). One network cannot fill the queue of the others.
 */
export function limitHandshakes(server: Server, limits: HandshakeLimits = LIMITS): void {
  const pendingOf = new Map<string, number>()
  const settlers = new Map<string, () => void>()
  server.maxConnections = limits.connections
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('connection', (socket) => {
    const { remoteAddress = '', remotePort } = socket
    const network = addressPrefix(remoteAddress) ?? remoteAddress
    const pending = pendingOf.get(network) ?? 0
    if (pending >= limits.pending) {
      socket.destroy()
      return
    }
    pendingOf.set(network, pending + 1)
    const key = `${remoteAddress} ${remotePort}`
    let isSettled = false
    const settle = () => {
      if (isSettled) return
      isSettled = true
      // A client may use its port again before the end of the connection before is told.
      if (settlers.get(key) === settle) settlers.delete(key)
      const left = (pendingOf.get(network) ?? 1) - 1
      if (left === 0) pendingOf.delete(network)
      else pendingOf.set(network, left)
    }
    settlers.set(key, settle)
    socket.once('close', settle)
  })
  server.on('secureConnection', ({ remoteAddress = '', remotePort }) =>
    settlers.get(`${remoteAddress} ${remotePort}`)?.(),
  )
}
