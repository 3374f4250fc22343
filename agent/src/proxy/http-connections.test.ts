import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually, leafOf, startPair, tlsClient } from './testing/mesh.ts'
import { ALPN_FOREIGN } from './wire.ts'

test('a request that comes before the answer to the last one is drained is answered, not lost', async () => {
  const size = 32 * 1024 * 1024
  await using mesh = await startPair({
    mode: 'http',
    async onRequest(incoming, response) {
      let bytes = 0
      for await (const chunk of incoming) bytes += (chunk as Buffer).length
      response.end(incoming.method === 'GET' ? Buffer.alloc(size) : `took ${bytes}`)
    },
  })
  const socket = await tlsClient(mesh.callee.inboundPort(), mesh.pki, leafOf(mesh.pki, 'argus'), {
    ALPNProtocols: [ALPN_FOREIGN],
  })
  let received = 0
  let last = ''
  socket.write('GET / HTTP/1.1\r\nHost: covina\r\n\r\n')
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    last = (last + chunk.toString('latin1')).slice(-200)
  })
  await eventually(() => (received > 0 ? true : undefined))
  socket.pause()
  await stalled(() => [...mesh.service.sockets].reduce((sum, one) => sum + one.bytesWritten, 0))
  // In one piece, so that several TLS records come with one read.
  socket.write(
    Buffer.concat([
      Buffer.from('POST / HTTP/1.1\r\nHost: covina\r\nContent-Length: 163840\r\n\r\n'),
      Buffer.alloc(163_840),
    ]),
  )
  socket.resume()
  await eventually(() => (last.includes('took') || socket.closed ? true : undefined))
  expect(last).toContain('took 163840')
  expect(received).toBeGreaterThan(size)
  socket.destroy()
})

/** Nothing has moved for a while: every buffer on the way is full. */
async function stalled(count: () => number): Promise<void> {
  for (let before = -1, now = count(); now !== before; now = count()) {
    before = now
    await sleep(300)
  }
}
