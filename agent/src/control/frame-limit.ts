import type { Duplex } from 'node:stream'

/**
 * Destroys a stream on which an MQTT packet of more than `maxBytes` is announced, before its body is kept by anybody:
 * 3.1.1 has no such limit of its own, and the broker is not trusted. Looks at fixed headers only.
 *
 * Source: MQTT 3.1.1 §2.2.3 (remaining length).
 */
export function limitFrames(stream: Duplex, maxBytes: number): void {
  const reader = frameReader(maxBytes)
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Uint8Array && !reader(chunk)) {
      stream.destroy(new Error(`the broker announced a packet of more than ${maxBytes} bytes`))
      return false
    }
    return push(chunk, encoding)
  }
}

/** Eats a stream in chunks of any size; `false` once a packet is too large or its length malformed. */
export function frameReader(maxBytes: number): (chunk: Uint8Array) => boolean {
  let skip = 0
  let length = 0
  let factor = 0
  let isBroken = false
  return (chunk) => {
    for (let at = 0; at < chunk.length && !isBroken; ) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
        continue
      }
      const byte = chunk[at] ?? 0
      at += 1
      if (factor === 0) {
        // The first byte is type and flags; the length follows, seven bits a byte.
        factor = 1
        length = 0
        continue
      }
      length += (byte & 0x7f) * factor
      factor *= 128
      if (length > maxBytes || factor > 128 ** 4) isBroken = true
      if (byte < 0x80) {
        skip = length
        factor = 0
      }
    }
    return !isBroken
  }
}
