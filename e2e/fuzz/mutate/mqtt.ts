import type { Random } from '../random.ts'
import { joined, mutateBytes } from './bytes.ts'

/** What a client may write first: MQTT 3.1.1 packets of which fields, flags, lengths and order are changed. */
export function mutateMqtt(clientId: string, random: Random): Uint8Array {
  const first = random.oneIn(8) ? packetOf(random, clientId) : connect(clientId, random)
  const more = Array.from({ length: random.oneIn(2) ? 0 : 1 + random.int(3) }, () => packetOf(random, clientId))
  const packets = [first, ...more].map((packet) => (random.oneIn(3) ? mutateBytes(packet, random) : packet))
  return joined(...(random.oneIn(12) ? packets.toReversed() : packets))
}

function connect(clientId: string, random: Random): Uint8Array {
  const change = (usual: number, other: readonly [number, ...number[]]) =>
    random.oneIn(6) ? random.pick(other) : usual
  const flags = change(0x02, [0x00, 0x01, 0x04, 0x06, 0x0e, 0x1e, 0x26, 0x42, 0x82, 0xc2, 0xff])
  const name = random.oneIn(8) ? random.pick(['MQIsdp', 'mqtt', '', 'MQTT\u0000', 'HTTP']) : 'MQTT'
  const id = random.oneIn(4)
    ? random.pick(['', 'control', 'x'.repeat(300), `${clientId}x`, '#', '\u0000', '\ud800'])
    : clientId
  const body = joined(
    string(name, random),
    new Uint8Array([change(4, [0, 3, 5, 6, 0x84, 255]), flags]),
    short(change(60, [0, 1, 65_535])),
    ...(random.oneIn(12) ? [new Uint8Array([random.int(6), ...random.bytes(random.int(6))])] : []),
    string(id, random),
    ...((flags & 0x04) !== 0 ? [string('vcc/v1/fleet', random), string('will', random)] : []),
    ...((flags & 0x80) !== 0 ? [string('user', random)] : []),
    ...((flags & 0x40) !== 0 ? [string('x'.repeat(random.oneIn(4) ? 5000 : 8), random)] : []),
  )
  return packet(0x10 | change(0, [1, 2, 8, 15]), body, random)
}

function packetOf(random: Random, clientId: string): Uint8Array {
  const topic = random.pick([
    'vcc/v1/fleet',
    `vcc/v1/${clientId}/up/status`,
    '#',
    '+/+',
    '',
    '$SYS/#',
    '/'.repeat(200),
    '\u0000',
  ])
  const id = short(random.pick([0, 1, 65_535]))
  const qos = random.int(4)
  switch (random.int(8)) {
    case 0:
      return packet(
        0x30 | (qos << 1) | random.int(2),
        joined(string(topic, random), qos > 0 ? id : new Uint8Array(), random.bytes(random.int(40))),
        random,
      )
    case 1:
      return packet(
        0x82,
        joined(
          id,
          ...Array.from({ length: random.int(4) }, () => joined(string(topic, random), new Uint8Array([qos]))),
        ),
        random,
      )
    case 2:
      return packet(0xa2, joined(id, string(topic, random)), random)
    case 3:
      return packet(random.pick([0x40, 0x50, 0x62, 0x70]), id, random)
    case 4:
      return packet(random.pick([0xc0, 0xd0, 0xe0, 0xf0, 0x00, 0x20, 0x90, 0xb0]), random.bytes(random.int(4)), random)
    case 5:
      return new Uint8Array([
        random.pick([0x10, 0x30, 0x82]),
        ...random.pick([
          [0xff, 0xff, 0xff, 0x7f],
          [0xff, 0xff, 0xff, 0xff, 0x7f],
          [0x80, 0x80, 0x80, 0x00],
          [0x80, 0x00],
        ]),
      ])
    default:
      return connect(clientId, random)
  }
}

/** Fixed header and body; the remaining length is sometimes that of another body (MQTT 3.1.1 §2.2.3). */
function packet(first: number, body: Uint8Array, random: Random): Uint8Array {
  const length = random.oneIn(10)
    ? random.pick([0, body.length + 1, Math.max(0, body.length - 1), 5000, 268_435_455])
    : body.length
  const octets: number[] = []
  for (let left = length; ; left = Math.floor(left / 128)) {
    octets.push(left >= 128 ? (left % 128) | 0x80 : left)
    if (left < 128) break
  }
  return joined(new Uint8Array([first, ...octets]), body)
}

/** A UTF-8 string with its length, which is sometimes that of another (MQTT 3.1.1 §1.5.3). */
function string(text: string, random: Random): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  return joined(short(random.oneIn(16) ? random.pick([0, bytes.length + 1, 65_535]) : bytes.length), bytes)
}

function short(value: number): Uint8Array {
  return new Uint8Array([(value >> 8) & 0xff, value & 0xff])
}
