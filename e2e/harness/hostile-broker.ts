import { createServer, type TLSSocket } from 'node:tls'
import type { Shown } from './peer.ts'

/** An MQTT broker in the wrong hands: it takes everything, delivers nothing, and says what the test tells it to. */
export interface HostileBroker extends AsyncDisposable {
  readonly port: number
  /** Client ids in the order they connected. */
  readonly clients: readonly string[]
  /** Publishes to every client that is connected now, retained, as the control plane would. */
  readonly publish: (topic: string, payload: string | Uint8Array) => void
}

/** MQTT 3.1.1 as far as an agent needs it: CONNECT, SUBSCRIBE, PUBLISH up to QoS 1, PINGREQ. */
export async function startHostileBroker(shown: Shown): Promise<HostileBroker> {
  const sockets = new Set<TLSSocket>()
  const clients: string[] = []
  const server = createServer({ key: shown.keyPem, cert: shown.chainPem, minVersion: 'TLSv1.3' }, (socket) => {
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let packet = firstPacket(rest); packet !== undefined; packet = firstPacket(rest)) {
        rest = rest.subarray(packet.size)
        const answer = answerTo(packet)
        if (answer !== undefined) socket.write(answer)
        if (packet.type !== CONNECT) continue
        sockets.add(socket)
        clients.push(packet.body.subarray(12, 12 + packet.body.readUInt16BE(10)).toString('latin1'))
      }
    })
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    clients,
    publish(topic, payload) {
      const body = Buffer.concat([lengthPrefixed(topic), Buffer.from(payload)])
      for (const socket of sockets) socket.write(Buffer.concat([remainingLength(0x31, body.length), body]))
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

const CONNECT = 1
const PUBLISH = 3
const SUBSCRIBE = 8
const PINGREQ = 12

interface Packet {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
  readonly size: number
}

function firstPacket(bytes: Buffer): Packet | undefined {
  let length = 0
  for (let at = 1; at < bytes.length && at < 5; at++) {
    const octet = bytes[at] ?? 0
    length += (octet & 0x7f) * 128 ** (at - 1)
    if (octet >= 0x80) continue
    const size = at + 1 + length
    if (bytes.length < size) return undefined
    const first = bytes[0] ?? 0
    return { type: first >> 4, flags: first & 0x0f, body: bytes.subarray(at + 1, size), size }
  }
  return undefined
}

function answerTo({ type, flags, body }: Packet): Buffer | undefined {
  if (type === CONNECT) return Buffer.of(0x20, 2, 0, 0)
  if (type === PINGREQ) return Buffer.of(0xd0, 0)
  if (type === PUBLISH && (flags & 0x06) !== 0) {
    const at = 2 + body.readUInt16BE(0)
    return Buffer.of(0x40, 2, body[at] ?? 0, body[at + 1] ?? 0)
  }
  if (type !== SUBSCRIBE) return undefined
  let filters = 0
  for (let at = 2; at < body.length; at += 3 + body.readUInt16BE(at)) filters += 1
  return Buffer.concat([remainingLength(0x90, 2 + filters), body.subarray(0, 2), Buffer.alloc(filters, 1)])
}

function remainingLength(first: number, length: number): Buffer {
  const octets = [first]
  let left = length
  do {
    octets.push((left % 128) | (left >= 128 ? 0x80 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.from(octets)
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes])
}
