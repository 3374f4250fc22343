import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { guardPacketSize, packetScanner } from './size-guard.ts'

const CONNECT = 0x10
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
    test(`${name}: ${passes ? 'passes' : 'is refused'}`, () => {
      expect(packetScanner(() => limit)(Uint8Array.from(bytes))).toBe(passes)
    })
    test(`${name}, octet by octet: ${passes ? 'passes' : 'is refused'}`, () => {
      const scan = packetScanner(() => limit)
      expect(bytes.every((octet) => scan(Uint8Array.of(octet)))).toBe(passes)
    })
  }

  test('the limit grows with authentication', () => {
    let limit = 4
    const scan = packetScanner(() => limit)
    expect(scan(Uint8Array.of(CONNECT, 2, 0, 0))).toBe(true)
    limit = 100
    expect(scan(Uint8Array.of(0x30, 50))).toBe(true)
  })

  test('the stream is destroyed before the payload is buffered', () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    guardPacketSize(stream, () => false, { beforeAuthentication: 8, afterAuthentication: 8 })
    stream.push(Buffer.from([CONNECT, 9, 1]))
    expect(stream.destroyed).toBe(true)
    expect(stream.readableLength).toBe(0)
  })
})
