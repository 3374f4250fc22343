import type { Random } from '../random.ts'

/** A JSON value with a few of its members removed, doubled, renamed, exchanged, retyped, or nested. */
export function mutateJson(value: unknown, random: Random): unknown {
  const root = { value: structuredClone(value) }
  for (let left = 1 + random.int(3); left > 0; left--) change(root, random)
  return root.value
}

interface Place {
  readonly parent: Record<string, unknown>
  readonly key: string
}

function change(root: { value: unknown }, random: Random): void {
  const places = placesOf(root)
  const place = random.some(places)
  if (place === undefined) return
  const { parent, key } = place
  switch (random.int(9)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1)
      else delete parent[key]
      return
    case 1:
      if (Array.isArray(parent)) parent.push(structuredClone(parent[Number(key)]))
      else Object.defineProperty(parent, random.pick(KEYS), ownValue(parent[key]))
      return
    case 2: {
      const other = random.pick(asSome(places, place))
      const kept = structuredClone(parent[key])
      parent[key] = structuredClone(other.parent[other.key])
      other.parent[other.key] = kept
      return
    }
    case 3:
      parent[key] = nested(parent[key], random.oneIn(8) ? 200 : 1 + random.int(20), random.oneIn(2))
      return
    case 4:
      parent[key] = scalarNear(parent[key], random)
      return
    case 5:
      parent[key] = scalarNear(parent[key], random)
      return
    case 6:
      if (Array.isArray(parent[key])) {
        const list = parent[key] as unknown[]
        const item = list[random.int(Math.max(1, list.length))] ?? null
        // Long lists are of short items: what is tried out is the reader, not the memory of this machine.
        const most = Math.floor(300_000 / (1 + JSON.stringify(item).length))
        const times = Math.min(most, random.oneIn(10) ? 5000 : 1 + random.int(40))
        parent[key] = [...list, ...Array.from({ length: times }, () => structuredClone(item))]
      } else parent[key] = anyValue(random)
      return
    default:
      parent[key] = anyValue(random)
  }
}

function scalarNear(value: unknown, random: Random): unknown {
  if (typeof value === 'number') return random.pick([value + 1, value - 1, -value, value + 0.5, value * 1e9, 2 ** 53])
  if (typeof value === 'boolean') return !value
  if (typeof value !== 'string') return anyValue(random)
  const at = random.int(value.length + 1)
  const piece = random.pick(PIECES)
  return random.pick([
    value.slice(0, at) + piece + value.slice(at + random.int(3)),
    value.toUpperCase(),
    value.slice(0, at),
    value + value,
    piece.repeat(random.oneIn(20) ? 20_000 : 300),
  ])
}

/** A copy: what is changed later must not change the table. */
function anyValue(random: Random): unknown {
  return structuredClone(random.pick(VALUES))
}

function nested(value: unknown, depth: number, asList: boolean): unknown {
  let inner = value
  for (let i = 0; i < depth; i++) inner = asList ? [inner] : { a: inner }
  return inner
}

/** Enumerable, under names that assignment would treat otherwise. */
function ownValue(value: unknown): PropertyDescriptor {
  return { value: structuredClone(value), enumerable: true, configurable: true, writable: true }
}

function placesOf(parent: Record<string, unknown>): Place[] {
  const places: Place[] = []
  const waiting: Record<string, unknown>[] = [parent]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const [key, value] of Object.entries(next)) {
      if (places.length >= 2000) return places
      places.push({ parent: next, key })
      if (typeof value === 'object' && value !== null) waiting.push(value as Record<string, unknown>)
    }
  }
  return places
}

function asSome<T>(list: readonly T[], first: T): readonly [T, ...T[]] {
  return [first, ...list]
}

const KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'extra',
  '',
  'alg',
  'kid',
  'format',
  'a.b',
  '\u0000',
  'ä',
] as const
const VALUES = [
  null,
  true,
  false,
  0,
  -1,
  1e308,
  2 ** 53,
  0.1,
  '',
  '__proto__',
  '\ud800',
  '\u0000',
  '9999-12-31T23:59:59Z',
  [],
  {},
  [[]],
  [null],
] as const
const PIECES = [
  '\u0000',
  '\ud800',
  '\n',
  ' ',
  '/',
  '..',
  '%2e',
  '=',
  '.',
  '-',
  '_',
  'ä',
  '\u202e',
  '0',
  'Z',
  '*',
] as const

/** JSON text that nests deeper than any stack. */
export function deepJson(random: Random): string {
  const depth = random.pick([500, 5000, 100_000])
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ])
  return open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth)
}
