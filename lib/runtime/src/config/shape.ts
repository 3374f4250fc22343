import { type Static, type TObject, type TSchema, type TSchemaOptions, type TUnsafe, Type } from 'typebox'
import type { Duration } from '../duration.ts'

/** A shape of a configuration: a closed typebox object of the kinds that `Node` lists. */
export type ConfigShape = TObject
/** What a shape parses to. Durations are `{ ms }`, fields with a default are there. */
export type Config<Shape extends TSchema> = Static<Shape>

/** For every object of a shape: unknown fields are refused. */
export const CLOSED = { additionalProperties: false } as const

/** A length of time with its unit, such as `10m`. Its default is written the same way. */
export function DurationField(
  options: { description?: string; default?: string; minimumMs?: number; maximumMs?: number } = {},
): TUnsafe<Duration> {
  return Type.Unsafe<Duration>({ ...options, type: 'string', format: 'duration' })
}

/** The name of a file or systemd credential that holds a secret: never the secret. */
export function SecretFileField(options: TSchemaOptions = {}) {
  return Type.String({ minLength: 1, maxLength: 4096, ...options, format: 'secret-file' })
}

/** What a schema of ours may say; a keyword that is not here would be ignored, so it is a mistake in the program. */
export interface Node {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly patternProperties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: false
  readonly required?: readonly string[]
  readonly maxProperties?: number
  readonly items?: Node
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly patternHint?: string
  readonly format?: 'duration' | 'secret-file'
  readonly minimum?: number
  readonly maximum?: number
  readonly minimumMs?: number
  readonly maximumMs?: number
  readonly enum?: readonly (string | number)[]
  readonly const?: string | number | boolean
  /** Objects told apart by one constant property. */
  readonly anyOf?: readonly Node[]
}

/** @throws {TypeError} for a shape that says what this library does not check */
export function nodeOf(schema: TSchema): Node {
  const node = schema as Node // its keywords are checked next
  assertKnown(node, '')
  return node
}

/** The property whose constant tells the objects of a union apart, `undefined` for a union of constants. */
export function discriminatorOf(node: Node): string | undefined {
  const [first, ...others] = node.anyOf ?? []
  return Object.keys(first?.properties ?? {}).find(
    (name) =>
      first?.properties?.[name]?.const !== undefined &&
      others.every((other) => other.properties?.[name]?.const !== undefined),
  )
}

function assertKnown(node: Node, path: string): void {
  for (const keyword of Object.keys(node)) {
    if (!KEYWORDS.has(keyword))
      throw new TypeError(`the shape of ${path || 'a configuration'} says "${keyword}", which nothing checks`)
  }
  if (node.type === 'object' && node.patternProperties === undefined && node.additionalProperties !== false) {
    throw new TypeError(`the object ${path} is not CLOSED`)
  }
  for (const [name, child] of Object.entries(node.properties ?? {}))
    assertKnown(child, path === '' ? name : `${path}.${name}`)
  for (const child of Object.values(node.patternProperties ?? {})) assertKnown(child, `${path}.*`)
  if (node.items !== undefined) assertKnown(node.items, `${path}[]`)
  for (const child of node.anyOf ?? []) assertKnown(child, path)
  if (
    node.anyOf !== undefined &&
    discriminatorOf(node) === undefined &&
    !node.anyOf.every((child) => child.const !== undefined)
  ) {
    throw new TypeError(`the alternatives of ${path} are not told apart by one constant property`)
  }
}

const KEYWORDS: ReadonlySet<string> = new Set(
  (
    'type description default examples properties patternProperties additionalProperties required maxProperties ' +
    'items minItems maxItems uniqueItems minLength maxLength pattern patternHint format minimum maximum ' +
    'minimumMs maximumMs enum const anyOf'
  ).split(' '),
)
