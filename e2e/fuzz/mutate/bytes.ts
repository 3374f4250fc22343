import type { Random } from '../random.ts'

/** Damage that knows nothing of what the octets mean. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  return random.pick([flip, cut, drop, insert, repeat, overwrite, append])(bytes, random)
}

function flip(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = new Uint8Array(bytes)
  for (let left = 1 + random.int(4); left > 0 && copy.length > 0; left--) {
    const at = random.int(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.int(8))
  }
  return copy
}

function cut(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.slice(0, random.int(bytes.length + 1))
}

function drop(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.int(bytes.length + 1)
  return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(16)))
}

function insert(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.int(bytes.length + 1)
  return joined(bytes.subarray(0, at), random.bytes(1 + random.int(16)), bytes.subarray(at))
}

function repeat(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.int(bytes.length + 1)
  const part = bytes.subarray(at, at + 1 + random.int(64))
  const times = random.oneIn(20) ? 1000 : 1 + random.int(8)
  return joined(bytes.subarray(0, at), ...Array.from({ length: times }, () => part), bytes.subarray(at))
}

function overwrite(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = new Uint8Array(bytes)
  const at = random.int(copy.length + 1)
  copy.fill(random.pick([0x00, 0xff, 0x80, 0x7f, 0x30, 0x20]), at, at + 1 + random.int(32))
  return copy
}

function append(bytes: Uint8Array, random: Random): Uint8Array {
  return joined(bytes, random.bytes(1 + random.int(8)))
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
