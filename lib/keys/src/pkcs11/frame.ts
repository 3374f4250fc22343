import type { Duplex } from 'node:stream'

/** Both directions: the longest is the list of 5,000 keys. */
export const MAX_FRAME_BYTES = 262_144

/** One value as JSON, after its length in four octets. */
export function writeFrame(channel: Duplex, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  if (body.length > MAX_FRAME_BYTES) throw new TypeError(`a frame of ${body.length} bytes`)
  const frame = Buffer.allocUnsafe(4 + body.length)
  frame.writeUInt32BE(body.length)
  body.copy(frame, 4)
  channel.write(frame)
}

/**
 * Calls `take` with each value that comes in, in order. Destroys the channel with a TypeError at the first frame that is
 * too long or not JSON, and when `take` throws: after that nothing of it can be believed.
 */
export function readFrames(channel: Duplex, take: (value: unknown) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  channel.on('data', (chunk: Buffer) => {
    if (channel.destroyed) return // what was read already still comes
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    try {
      while (rest.length >= 4) {
        const length = rest.readUInt32BE()
        if (length > MAX_FRAME_BYTES) throw new TypeError(`a frame of ${length} bytes`)
        if (rest.length < 4 + length) return
        const body = rest.subarray(4, 4 + length)
        rest = rest.subarray(4 + length)
        take(JSON.parse(body.toString('utf8')))
      }
    } catch (cause) {
      channel.destroy(new TypeError('the channel between control plane and signer process is broken', { cause }))
    }
  })
}
