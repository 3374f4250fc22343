/** MQTT 3.1.1 as far as control plane and agents speak it: CONNECT, SUBSCRIBE, PUBLISH up to QoS 1, PINGREQ. */

export const CONNECT = 1
export const PUBLISH = 3
export const SUBSCRIBE = 8
const PINGREQ = 12

export interface Packet {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
  readonly size: number
}

export interface Message {
  readonly topic: string
  readonly payload: string
  readonly retain: boolean
}

/** The first packet of a stream, or undefined while it is not there whole. */
export function firstPacket(bytes: Buffer): Packet | undefined {
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

export function clientIdOf({ body }: Packet): string {
  return body.subarray(12, 12 + body.readUInt16BE(10)).toString('latin1')
}

export function filtersOf({ body }: Packet): string[] {
  const filters: string[] = []
  for (let at = 2; at < body.length; at += 3 + body.readUInt16BE(at)) {
    filters.push(body.subarray(at + 2, at + 2 + body.readUInt16BE(at)).toString('latin1'))
  }
  return filters
}

export function messageOf({ flags, body }: Packet): Message {
  const end = 2 + body.readUInt16BE(0)
  const payload = body.subarray(end + ((flags & 0x06) === 0 ? 0 : 2))
  return {
    topic: body.subarray(2, end).toString('latin1'),
    payload: payload.toString('latin1'),
    retain: (flags & 1) === 1,
  }
}

/** CONNACK, SUBACK, PUBACK, PINGRESP: everything is granted and confirmed. */
export function answerTo(packet: Packet): Buffer | undefined {
  const { type, flags, body } = packet
  if (type === CONNECT) return Buffer.of(0x20, 2, 0, 0)
  if (type === PINGREQ) return Buffer.of(0xd0, 0)
  if (type === PUBLISH && (flags & 0x06) !== 0) {
    const at = 2 + body.readUInt16BE(0)
    return Buffer.of(0x40, 2, body[at] ?? 0, body[at + 1] ?? 0)
  }
  if (type !== SUBSCRIBE) return undefined
  const { length } = filtersOf(packet)
  return Buffer.concat([remainingLength(0x90, 2 + length), body.subarray(0, 2), Buffer.alloc(length, 1)])
}

/** QoS 0: what comes twice or not at all is the broker's doing. */
export function publishPacket({ topic, payload, retain }: Message): Buffer {
  const body = Buffer.concat([lengthPrefixed(topic), Buffer.from(payload, 'latin1')])
  return Buffer.concat([remainingLength(retain ? 0x31 : 0x30, body.length), body])
}

/** `+` stands for one level; that is all that anybody of ours subscribes with. */
export function matches(filter: string, topic: string): boolean {
  const [wanted, levels] = [filter.split('/'), topic.split('/')]
  return wanted.length === levels.length && wanted.every((level, at) => level === '+' || level === levels[at])
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
