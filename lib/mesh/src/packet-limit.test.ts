import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { limitPackets, packetReader } from './packet-limit.ts'

const CONNECT = 0x10
const PUBLISH = 0x30
const cases: readonly { name: string; bytes: number[]; limit: number; passes: boolean }[] = [
  { name: 'an empty packet', bytes: [0xc0, 0], limit: 0, passes: true },
  { name: 'a packet of exactly the limit', bytes: [CONNECT, 4, 1, 2, 3, 4], limit: 4, passes: true },
  { name: 'a packet one octet above', bytes: [CONNECT, 5], limit: 4, passes: false },
  { name: 'a length of two octets within', bytes: [CONNECT, 0x80, 1], limit: 128, passes: true },
  { name: 'a length of four octets, 256 MiB', bytes: [CONNECT, 0xff, 0xff, 0xff, 0x7f], limit: 4096, passes: false },
  { name: 'a length that never ends', bytes: [CONNECT, 0x80, 0x80, 0x80, 0x80], limit: 1 << 30, passes: false },
  { name: 'a large packet behind a small one', bytes: [0xc0, 0, CONNECT, 0x7f], limit: 4, passes: false },
]

describe('packet sizes', () => {
  for (const { name, bytes, limit, passes } of cases) {
    test(`${name}: ${passes ? 'passes' : 'is refused, and everything after it'}`, () => {
      const read = packetReader(() => limit)
      expect(read(Uint8Array.from(bytes))).toBe(passes)
      if (!passes) expect(read(packet(0))).toBe(false)
    })
    test(`${name}, octet by octet: ${passes ? 'passes' : 'is refused'}`, () => {
      const read = packetReader(() => limit)
      expect(bytes.every((octet) => read(Uint8Array.of(octet)))).toBe(passes)
    })
  }

  for (const chunkSize of [1, 2, 3, 1000, 100_000]) {
    test(`packets up to the limit pass in chunks of ${chunkSize}`, () => {
      const read = packetReader(() => 20_000)
      const stream = Buffer.concat([0, 127, 128, 16_384, 20_000, 2].map(packet))
      for (let at = 0; at < stream.length; at += chunkSize) expect(read(stream.subarray(at, at + chunkSize))).toBe(true)
    })
  }

  test('the limit is asked at each packet', () => {
    let limit = 4
    const read = packetReader(() => limit)
    expect(read(Uint8Array.of(CONNECT, 2, 0, 0))).toBe(true)
    limit = 100
    expect(read(Uint8Array.of(PUBLISH, 50))).toBe(true)
  })

  test('the stream is destroyed before the body is buffered', () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    stream.on('error', () => {})
    limitPackets(stream, () => 8)
    stream.push(Buffer.from([CONNECT, 9, 1]))
    expect(stream.destroyed).toBe(true)
    expect(stream.readableLength).toBe(0)
  })
})

function packet(size: number): Buffer {
  const head = [PUBLISH]
  for (let rest = size; ; ) {
    const octet = rest % 128
    rest = Math.floor(rest / 128)
    head.push(rest > 0 ? octet | 0x80 : octet)
    if (rest === 0) break
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(size, 0xff)])
}
