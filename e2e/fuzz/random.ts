/** Numbers that look random and are the same for the same start value, target and case. */
export interface Random {
  /** 0 to `below` − 1. */
  int(below: number): number
  /** True once in `times`, on average. */
  oneIn(times: number): boolean
  pick<T>(list: readonly [T, ...T[]]): T
  /** Of a list that may be empty. */
  some<T>(list: readonly T[]): T | undefined
  bytes(length: number): Uint8Array
}

/** Each case has numbers of its own, so that one case can be run again without those before it. */
export function randomOf(seed: number, target: string, index: number): Random {
  let state = hashOf(`${seed}/${target}/${index}`)
  // Mulberry32.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    int,
    oneIn: (times) => int(times) === 0,
    pick: (list) => list[int(list.length)] ?? list[0],
    some: (list) => list[int(list.length)],
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
  }
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0
  return hash
}
