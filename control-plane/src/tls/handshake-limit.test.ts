import { once } from 'node:events'
import { Socket } from 'node:net'
import { createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { limitHandshakes } from './handshake-limit.ts'

test('the place of a connection is free again when it ends, also where two had one address and port', async () => {
  const server = createServer()
  server.removeAllListeners('connection') // that of TLS: nothing is shaken here
  limitHandshakes(server, { connections: 8, pending: 2 })
  const arrives = () => {
    const socket = new Socket()
    server.emit('connection', socket)
    return socket
  }
  const first = [arrives(), arrives()]
  expect(arrives().destroyed).toBe(true)
  for (const socket of first) {
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
  }
  expect([arrives(), arrives(), arrives()].map((socket) => socket.destroyed)).toEqual([false, false, true])
})
