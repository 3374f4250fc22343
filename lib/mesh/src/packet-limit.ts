import type { Duplex } from 'node:stream'

/**
 * Destroys a stream on which an MQTT packet of more than `maxBytes` is announced, before anybody keeps its body: 3.1.1
 * has no such limit of its own, and neither side trusts the other (aedes takes 256 MiB of a CONNECT that nobody has
 * authenticated). Reads fixed headers only and keeps nothing. Must be put on the stream before anything reads from it.
 *
 * Source: MQTT 3.1.1 §2.2.3 (remaining length: at most four octets).
 *
 * @param maxBytes  Of one packet after its fixed header; asked at each packet.
 */
export function limitPackets(stream: Duplex, maxBytes: () => number): void {
  const mayPass = packetReader(maxBytes)
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Uint8Array && !mayPass(chunk)) {
      stream.destroy(new Error(`the other side announced a packet of more than ${maxBytes()} bytes`))
      return false
    }
    return push(chunk, encoding)
  }
}

/** Eats a stream in chunks of any size; `false` once a packet is too large or its length malformed, and ever after. */
export function packetReader(maxBytes: () => number): (chunk: Uint8Array) => boolean {
  let skip = 0
  let length = 0
  let lengthOctets = 0
  let isInLength = false
  let isBroken = false
  return (chunk) => {
    for (let at = 0; at < chunk.length && !isBroken; ) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
        continue
      }
      const octet = chunk[at] ?? 0
      at += 1
      if (!isInLength) {
        // The first octet is type and flags; the length follows, seven bits an octet.
        isInLength = true
        length = 0
        lengthOctets = 0
        continue
      }
      length += (octet & 0x7f) * 128 ** lengthOctets
      lengthOctets += 1
      const isLast = octet < 0x80
      if (length > maxBytes() || (lengthOctets === 4 && !isLast)) isBroken = true
      if (!isLast) continue
      skip = length
      isInLength = false
    }
    return !isBroken
  }
}
