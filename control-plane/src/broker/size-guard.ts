import type { Duplex } from 'node:stream'

/** Bytes of one MQTT control packet after its fixed header. */
export interface PacketLimits {
  readonly beforeAuthentication: number
  readonly afterAuthentication: number
}

const PACKET_LIMITS: PacketLimits = { beforeAuthentication: 4 * 1024, afterAuthentication: 256 * 1024 }

/**
 * Closes a connection that announces an MQTT packet larger than allowed, before the broker buffers it
 * (aedes 1.2 takes 256 MiB of an unauthenticated CONNECT). Reads fixed headers only and keeps no payload.
 * Must be put on the stream before anything reads from it.
 *
 * Source: MQTT 3.1.1 §2.2.3 (remaining length: at most four octets).
 */
export function guardPacketSize(stream: Duplex, isAuthenticated: () => boolean, limits = PACKET_LIMITS): void {
  const scan = packetScanner(() => (isAuthenticated() ? limits.afterAuthentication : limits.beforeAuthentication))
  const push = stream.push.bind(stream)
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Uint8Array && !scan(chunk)) {
      stream.destroy()
      return false
    }
    return push(chunk, encoding)
  }
}

/** Follows packet boundaries through a byte stream. The function it returns answers false at the first packet past the limit. */
export function packetScanner(limit: () => number): (chunk: Uint8Array) => boolean {
  let skip = 0
  let inLength = false
  let length = 0
  let lengthOctets = 0
  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
      } else if (!inLength) {
        inLength = true
        length = 0
        lengthOctets = 0
        at += 1
      } else {
        const octet = chunk[at] ?? 0
        length += (octet & 0x7f) * 128 ** lengthOctets
        lengthOctets += 1
        at += 1
        if (length > limit()) return false
        if (octet < 0x80) {
          inLength = false
          skip = length
        } else if (lengthOctets === 4) return false
      }
    }
    return true
  }
}
