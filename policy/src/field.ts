import { isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml'
import { quote } from './error.ts'
import type { Report } from './report.ts'
import { suggester } from './suggest.ts'

/** A key and its value as they stand in the text. `offset` is the key's. */
export interface Field {
  readonly key: string
  readonly offset: number
  readonly value: Node | undefined
}

/** A string of the text, with its place. */
export interface Text {
  readonly text: string
  readonly offset: number
}

/** The pairs of a map in their order; keys that are no strings are reported. Undefined when it is no map. */
export function readMap(
  node: Node | undefined,
  what: string,
  offset: number,
  report: Report,
): readonly Field[] | undefined {
  if (!isMap(node)) {
    mismatch(node, offset, what, 'a map', 'write "name: value" lines below it', report)
    return undefined
  }
  return node.items.flatMap((pair) => readPair(pair, what, offsetOf(node, offset), report))
}

function readPair(pair: Pair, what: string, offset: number, report: Report): readonly Field[] {
  const key = asNode(pair.key)
  const value = asNode(pair.value)
  const place = offsetOf(key, offset)
  if (isScalar(key) && typeof key.value === 'string') return [{ key: key.value, offset: place, value }]
  mismatch(key, offset, `a key of ${what}`, 'a name', 'put the key in quotes if it is a name', report)
  return []
}

/** The fields of a map by name; unknown and repeated ones are reported. */
export function readFields<Name extends string>(
  fields: readonly Field[],
  known: readonly Name[],
  what: string,
  report: Report,
): ReadonlyMap<Name, Field> {
  const suggest = suggester(known)
  const found = new Map<Name, Field>()
  for (const field of fields) {
    const name = known.find((each) => each === field.key)
    if (name === undefined) {
      const hint = suggest(field.key) ?? `known are ${known.join(', ')}`
      report.add('field_unknown', field.offset, `${what} has no field ${quote(field.key)}`, hint)
    } else if (found.has(name)) {
      const first = report.at(found.get(name)?.offset ?? 0).line
      report.add('field_duplicate', field.offset, `${name} of ${what} is already on line ${first}`, 'keep one')
    } else found.set(name, field)
  }
  return found
}

/** A list of strings; items that are not, and repeated ones, are reported. */
export function readTexts(field: Field | undefined, limit: number, report: Report): readonly Text[] {
  if (field === undefined) return []
  const { key, value } = field
  if (!isSeq(value)) {
    mismatch(value, field.offset, key, 'a list', 'write [] for none, or [one, two]', report)
    return []
  }
  if (value.items.length > limit) {
    report.add(
      'list_too_long',
      field.offset,
      `${key} has ${value.items.length} items, at most ${limit} are allowed`,
      'use a wildcard or fewer items',
    )
    return []
  }
  return value.items.flatMap((item) => readText(asNode(item), `an item of ${key}`, field.offset, report) ?? [])
}

export function readText(node: Node | undefined, what: string, offset: number, report: Report): Text | undefined {
  const place = offsetOf(node, offset)
  if (isScalar(node) && typeof node.value === 'string') return { text: node.value, offset: place }
  const hint = isScalar(node) && node.value !== null ? 'put the value in quotes' : 'write one word, or remove it'
  mismatch(node, offset, what, 'a string', hint, report)
  return undefined
}

/** Aliases are reported when the text is scanned, and nothing is known of what they stand for. */
function mismatch(node: Node | undefined, offset: number, what: string, wanted: string, hint: string, report: Report) {
  if (isAlias(node)) return
  report.add('type_mismatch', offsetOf(node, offset), `${what} is ${kindOf(node)}, not ${wanted}`, hint)
}

function asNode(value: unknown): Node | undefined {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value) ? value : undefined
}

function offsetOf(node: Node | undefined, otherwise: number): number {
  return node?.range?.[0] ?? otherwise
}

function kindOf(node: Node | undefined): string {
  if (isMap(node)) return 'a map'
  if (isSeq(node)) return 'a list'
  if (!isScalar(node) || node.value === null) return 'empty'
  return typeof node.value === 'string' ? 'a string' : `the ${typeof node.value} ${quote(String(node.source))}`
}
