import { formatDuration, parseDuration } from '../duration.ts'
import { RuntimeError } from '../error.ts'
import { didYouMean } from './problem.ts'
import { discriminatorOf, type Node } from './shape.ts'

export type FieldPath = readonly (string | number)[]
export type Report = (path: FieldPath, message: string, hint?: string) => void

/** The value with its defaults and durations. Every problem is reported; what has the wrong type is `undefined`. */
export function checkValue(node: Node, value: unknown, path: FieldPath, report: Report): unknown {
  if (node.const !== undefined || node.enum !== undefined)
    return checkChoice(node.enum ?? [node.const ?? ''], value, path, report)
  if (node.anyOf !== undefined) return checkUnion(node, node.anyOf, value, path, report)
  const actual = kindOf(value)
  if (actual !== node.type && !(node.type === 'number' && actual === 'integer')) {
    report(path, `expected ${NAMES[node.type ?? 'object']}, found ${describe(value)}`, typeHint(node, value))
    return undefined
  }
  if (typeof value === 'string') return checkString(node, value, path, report)
  if (typeof value === 'number') return checkNumber(node, value, path, report)
  if (Array.isArray(value)) return checkArray(node, value, path, report)
  if (isObject(value))
    return node.patternProperties === undefined
      ? checkObject(node, value, path, report)
      : checkRecord(node, value, path, report)
  return value
}

function checkObject(node: Node, value: Record<string, unknown>, path: FieldPath, report: Report): unknown {
  const properties = node.properties ?? {}
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(properties, name)) continue
    const meant = didYouMean(name, Object.keys(properties))
    report(
      [...path, name],
      'unknown field',
      meant === undefined ? `known here: ${Object.keys(properties).join(', ')}` : `did you mean "${meant}"?`,
    )
  }
  const result: Record<string, unknown> = {}
  for (const [name, child] of Object.entries(properties)) {
    // `key:` without a value is a slip of the pen: the default is taken only when the field is absent.
    const given = Object.hasOwn(value, name) ? value[name] : child.default
    if (given !== undefined) result[name] = checkValue(child, given, [...path, name], report)
    else if (node.required?.includes(name)) report([...path, name], 'is missing', child.description)
  }
  return result
}

function checkRecord(node: Node, value: Record<string, unknown>, path: FieldPath, report: Report): unknown {
  const entries = Object.entries(value)
  if (node.maxProperties !== undefined && entries.length > node.maxProperties)
    report(path, `more than ${node.maxProperties} entries`)
  const patterns = Object.entries(node.patternProperties ?? {})
  const result: Record<string, unknown> = Object.create(null)
  for (const [name, entry] of entries) {
    const match = patterns.find(([pattern]) => new RegExp(pattern, 'u').test(name))
    if (match === undefined)
      report(
        [...path, name],
        'this name is not allowed here',
        `names match ${patterns.map(([pattern]) => pattern).join(' or ')}`,
      )
    else result[name] = checkValue(match[1], entry, [...path, name], report)
  }
  return result
}

function checkArray(node: Node, value: readonly unknown[], path: FieldPath, report: Report): unknown {
  if (value.length < (node.minItems ?? 0))
    report(path, `at least ${node.minItems} entries are needed, found ${value.length}`)
  if (value.length > (node.maxItems ?? MAX_ITEMS)) {
    report(path, `at most ${node.maxItems ?? MAX_ITEMS} entries are possible, found ${value.length}`)
    return undefined
  }
  if (node.uniqueItems === true) {
    const seen = new Set<string>()
    for (const [index, item] of value.entries()) {
      const text = JSON.stringify(item)
      if (seen.has(text)) report([...path, index], `${describe(item)} is there twice`)
      seen.add(text)
    }
  }
  const { items } = node
  return items === undefined ? value : value.map((item, index) => checkValue(items, item, [...path, index], report))
}

function checkUnion(
  node: Node,
  alternatives: readonly Node[],
  value: unknown,
  path: FieldPath,
  report: Report,
): unknown {
  const discriminator = discriminatorOf(node)
  if (discriminator === undefined)
    return checkChoice(
      alternatives.map((each) => each.const ?? ''),
      value,
      path,
      report,
    )
  if (!isObject(value)) {
    report(path, `expected ${NAMES.object}, found ${describe(value)}`)
    return undefined
  }
  const constantOf = (each: Node) => each.properties?.[discriminator]?.const
  if (!Object.hasOwn(value, discriminator)) {
    report([...path, discriminator], 'is missing', `one of ${alternatives.map(constantOf).join(', ')}`)
    return undefined
  }
  const chosen = alternatives.find((each) => constantOf(each) === value[discriminator])
  if (chosen !== undefined) return checkObject(chosen, value, path, report)
  return checkChoice(
    alternatives.map((each) => constantOf(each) ?? ''),
    value[discriminator],
    [...path, discriminator],
    report,
  )
}

function checkChoice(
  choices: readonly (string | number | boolean)[],
  value: unknown,
  path: FieldPath,
  report: Report,
): unknown {
  if (choices.some((choice) => choice === value)) return value
  const meant = typeof value === 'string' ? didYouMean(value, choices.map(String)) : undefined
  report(
    path,
    `${describe(value)} is not possible`,
    meant === undefined ? `one of ${choices.join(', ')}` : `did you mean "${meant}"?`,
  )
  return undefined
}

function checkString(node: Node, value: string, path: FieldPath, report: Report): unknown {
  if (node.format === 'duration') return checkDuration(node, value, path, report)
  const length = Array.from(value).length
  if (length < (node.minLength ?? 0))
    report(path, length === 0 ? 'must not be empty' : `at least ${node.minLength} characters are needed`)
  else if (length > (node.maxLength ?? MAX_CHARACTERS))
    report(path, `at most ${node.maxLength ?? MAX_CHARACTERS} characters are possible`)
  else if (node.pattern !== undefined && !new RegExp(node.pattern, 'u').test(value)) {
    report(path, `${describe(value)} does not have the right form`, node.patternHint ?? `it matches ${node.pattern}`)
  }
  return value
}

function checkDuration(node: Node, value: string, path: FieldPath, report: Report): unknown {
  try {
    const duration = parseDuration(value)
    if (duration.ms < (node.minimumMs ?? 0))
      report(path, `${describe(value)} is shorter than ${formatDuration(node.minimumMs ?? 0)}`)
    if (duration.ms > (node.maximumMs ?? Number.POSITIVE_INFINITY))
      report(path, `${describe(value)} is longer than ${formatDuration(node.maximumMs ?? 0)}`)
    return duration
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error
    report(path, error.message, error.hint)
    return undefined
  }
}

function checkNumber(node: Node, value: number, path: FieldPath, report: Report): unknown {
  if (value < (node.minimum ?? Number.NEGATIVE_INFINITY)) report(path, `${value} is less than ${node.minimum}`)
  if (value > (node.maximum ?? Number.POSITIVE_INFINITY)) report(path, `${value} is more than ${node.maximum}`)
  return value
}

function typeHint(node: Node, value: unknown): string | undefined {
  if (node.format === 'duration' && typeof value === 'number')
    return `write the unit, such as "${value}s" or "${value}m"`
  if (node.type === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `put it in quotes: "${value}"`
  if (node.type === 'array' && typeof value === 'string') return `write a list: [${value.slice(0, 40)}]`
  return node.description
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number')
    return Number.isInteger(value) ? 'integer' : Number.isFinite(value) ? 'number' : 'not a number'
  if (value === null) return 'nothing'
  return isObject(value) ? 'object' : typeof value
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return `"${value.length > 40 ? `${value.slice(0, 40)}…` : value}"`
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return 'a group of fields'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const NAMES = {
  object: 'a group of fields',
  array: 'a list',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
} as const

const MAX_ITEMS = 10_000
const MAX_CHARACTERS = 65_536
