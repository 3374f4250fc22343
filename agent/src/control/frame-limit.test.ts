import { expect, test } from 'vitest'
import { frameReader } from './frame-limit.ts'

const packet = (size: number) => {
  const head = [0x30]
  for (let rest = size; ; ) {
    const byte = rest % 128
    rest = Math.floor(rest / 128)
    head.push(rest > 0 ? byte | 0x80 : byte)
    if (rest === 0) break
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(size, 0xff)])
}

for (const chunkSize of [1, 2, 3, 1000, 100_000]) {
  test(`packets up to the limit pass in chunks of ${chunkSize}`, () => {
    const read = frameReader(20_000)
    const stream = Buffer.concat([packet(0), packet(127), packet(128), packet(16_384), packet(20_000), packet(2)])
    for (let at = 0; at < stream.length; at += chunkSize) expect(read(stream.subarray(at, at + chunkSize))).toBe(true)
  })
}

const refused: readonly { name: string; bytes: Buffer }[] = [
  { name: 'one byte over the limit', bytes: packet(20_001).subarray(0, 4) },
  { name: '256 MiB', bytes: Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]) },
  { name: 'a length of five bytes', bytes: Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]) },
  { name: 'too large after a good one', bytes: Buffer.concat([packet(5), packet(30_000)]) },
]
for (const { name, bytes } of refused) {
  test(`${name} is refused, and everything after it`, () => {
    const read = frameReader(20_000)
    expect(read(bytes)).toBe(false)
    expect(read(packet(1))).toBe(false)
  })
}
