import type { Random } from '../random.ts'
import { joined, mutateBytes } from './bytes.ts'

/** A TLV that may be written wrongly on purpose. Content that is TLVs itself, also inside strings, is nodes. */
interface Node {
  readonly tag: number
  /** The count of unused bits before the content of a BIT STRING. */
  readonly prefix: Uint8Array
  readonly content: Uint8Array | Node[]
  readonly length: 'minimal' | 'long' | 'longest' | 'indefinite' | 'shorter' | 'longer' | 'endless'
  /** The octets it was read from, until something inside is changed. */
  raw?: Uint8Array | undefined
}

/**
 * DER that begins as a real value: tags, lengths, content, order, number and nesting of its elements are changed, elements of
 * other real values are put in. Mostly the lengths still fit, so that what is inside is looked at.
 */
export function mutateDer(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const der = random.some(corpus) ?? new Uint8Array()
  const read = readTree(der)
  if (read === undefined || random.oneIn(16)) return mutateBytes(der, random)
  const nodes = read.map(copy)
  for (let left = 1 + random.int(random.oneIn(4) ? 6 : 2); left > 0; left--) change(nodes, corpus, random)
  const written = joined(...nodes.map(write))
  return random.oneIn(12) ? mutateBytes(written, random) : written
}

function change(top: Node[], corpus: readonly Uint8Array[], random: Random): void {
  const places = placesOf(top)
  const place = random.some(places)
  if (place === undefined) return
  random.pick(CHANGES)(place, random, places, corpus)
  for (let owner = place.owner; owner !== undefined; owner = owner.up) owner.node.raw = undefined
}

interface Place {
  readonly siblings: Node[]
  readonly at: number
  /** The node that the siblings are in, and so on up. */
  readonly owner: Owner | undefined
}

interface Owner {
  readonly node: Node
  readonly up: Owner | undefined
}

type Change = (place: Place, random: Random, places: readonly Place[], corpus: readonly Uint8Array[]) => void

const CHANGES: readonly [Change, ...Change[]] = [
  ({ siblings, at }, random) => edit(siblings, at, (node) => ({ ...node, tag: random.pick(TAGS) })),
  ({ siblings, at }, random) => edit(siblings, at, (node) => ({ ...node, tag: node.tag ^ (1 << random.int(8)) })),
  ({ siblings, at }, random) => edit(siblings, at, (node) => ({ ...node, length: random.pick(LENGTHS) })),
  ({ siblings, at }) => void siblings.splice(at, 1),
  ({ siblings, at }) => void siblings.splice(at, 0, ...siblings.slice(at, at + 1)),
  ({ siblings, at }, random) => edit(siblings, at, (node) => ({ ...node, content: contentOf(node, random) })),
  ({ siblings, at }, random) => edit(siblings, at, (node) => ({ ...node, content: contentOf(node, random) })),
  ({ siblings, at }, random) => {
    const other = random.int(siblings.length)
    const [a, b] = [siblings[at], siblings[other]]
    if (a === undefined || b === undefined) return
    siblings[at] = b
    siblings[other] = a
  },
  ({ siblings, at }, random, places) => {
    const other = random.some(places)
    const node = other?.siblings[other.at]
    if (node !== undefined) siblings[at] = copy(node)
  },
  ({ siblings, at }, random, _places, corpus) => {
    const foreign = random.some(placesOf(readTree(random.some(corpus) ?? new Uint8Array()) ?? []))
    const node = foreign?.siblings[foreign.at]
    if (node !== undefined) siblings.splice(at, random.int(2), copy(node))
  },
  ({ siblings, at }, random) => {
    const depth = random.oneIn(4) ? 1 + random.int(60) : 1
    const tag = random.pick([0x30, 0x31, 0xa0, 0xa3, 0x04, 0x24])
    for (let i = 0; i < depth; i++) edit(siblings, at, (node) => ({ ...plain(tag), content: [node] }))
  },
  ({ siblings, at }, random) => {
    const times = random.oneIn(8) ? 200 : 1 + random.int(20)
    const node = siblings[at]
    if (node !== undefined) siblings.splice(at, 0, ...Array.from({ length: times }, () => node))
  },
]

function edit(siblings: Node[], at: number, change: (node: Node) => Node): void {
  const node = siblings[at]
  if (node !== undefined) siblings[at] = { ...change(node), raw: undefined }
}

function contentOf(node: Node, random: Random): Uint8Array {
  const now = Array.isArray(node.content) ? joined(...node.content.map(write)) : node.content
  const choice = random.int(10)
  if (choice < 3) return mutateBytes(now, random)
  if (choice === 3) return new Uint8Array()
  if (choice === 4) return joined(new Uint8Array([0]), now)
  if (choice === 5) return joined(new Uint8Array([0xff]), now)
  if (choice === 6) return random.bytes(random.int(40))
  if (choice === 7) return new Uint8Array(random.oneIn(4) ? 20_000 : 300).fill(random.int(256))
  if (choice === 8) return new TextEncoder().encode(random.pick(TEXTS))
  return now.toReversed()
}

function placesOf(nodes: Node[], owner?: Owner, places: Place[] = []): Place[] {
  for (const [at, node] of nodes.entries()) {
    places.push({ siblings: nodes, at, owner })
    if (Array.isArray(node.content)) placesOf(node.content, { node, up: owner }, places)
  }
  return places
}

function copy(node: Node): Node {
  return Array.isArray(node.content) ? { ...node, content: node.content.map(copy) } : { ...node }
}

/** Values of the corpus come again and again. */
const trees = new WeakMap<Uint8Array, { readonly nodes: Node[] | undefined }>()

function readTree(der: Uint8Array): Node[] | undefined {
  const known = trees.get(der) ?? { nodes: parse(der, 0) }
  trees.set(der, known)
  return known.nodes
}

/** The TLVs that `bytes` are from end to end, or undefined when they are none. */
function parse(bytes: Uint8Array, depth: number): Node[] | undefined {
  if (depth > 24) return undefined
  const nodes: Node[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1]
    if (first === undefined || (tag & 0x1f) === 0x1f || first === 0x80 || first > 0x83) return undefined
    const octets = first > 0x80 ? first & 0x7f : 0
    let length = octets === 0 ? first : 0
    for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0)
    const start = at + 2 + octets
    if (start + length > bytes.length) return undefined
    const raw = bytes.subarray(at, start + length)
    nodes.push({ ...nodeOf(tag, bytes.subarray(start, start + length), depth), raw })
    at = start + length
  }
  return nodes
}

function nodeOf(tag: number, content: Uint8Array, depth: number): Node {
  const isBits = tag === 0x03 && content[0] === 0
  const mayHold = (tag & 0x20) !== 0 || tag === 0x04 || isBits
  const prefix = isBits ? content.subarray(0, 1) : new Uint8Array()
  const inner =
    mayHold && content.length > prefix.length ? parse(content.subarray(prefix.length), depth + 1) : undefined
  return inner === undefined ? { ...plain(tag), content } : { ...plain(tag), prefix, content: inner }
}

function plain(tag: number): Node {
  return { tag, prefix: new Uint8Array(), content: new Uint8Array(), length: 'minimal' }
}

function write(node: Node): Uint8Array {
  if (node.raw !== undefined) return node.raw
  const inner = Array.isArray(node.content) ? joined(...node.content.map(write)) : node.content
  const content = joined(node.prefix, inner)
  const end = node.length === 'indefinite' ? new Uint8Array(2) : new Uint8Array()
  return joined(new Uint8Array([node.tag & 0xff, ...lengthOf(content.length, node.length)]), content, end)
}

function lengthOf(length: number, form: Node['length']): number[] {
  switch (form) {
    case 'long':
      return [0x82, (length >> 8) & 0xff, length & 0xff]
    case 'longest':
      return [0x84, 0, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]
    case 'indefinite':
      return [0x80]
    case 'endless':
      return [0x84, 0xff, 0xff, 0xff, 0xff]
    case 'shorter':
      return lengthOf(Math.max(0, length - 1), 'minimal')
    case 'longer':
      return lengthOf(length + 1, 'minimal')
    case 'minimal':
      if (length < 0x80) return [length]
      if (length < 0x100) return [0x81, length]
      return length < 0x10000
        ? [0x82, length >> 8, length & 0xff]
        : [0x83, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]
    default:
      return form satisfies never
  }
}

const LENGTHS = ['long', 'longest', 'indefinite', 'shorter', 'longer', 'endless'] as const
const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0x81, 0x82,
  0x86, 0x87, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1f, 0x3f, 0x00, 0xff,
] as const
const TEXTS = [
  '260301120000Z',
  '20500101000000Z',
  '19491231235959Z',
  '99991231235959Z',
  '260230000000Z',
  'spiffe://vcc.internal/org/a/svc/b',
  'spiffe://vcc.internal/control',
  '*.vcc.internal',
  'xn--a\u0000.b',
  'münchen',
  '__proto__',
  '/',
] as const
