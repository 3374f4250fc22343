import type { Environment } from '../host.ts'
import type { FieldPath } from './check.ts'
import type { Node } from './shape.ts'

/** Which variable overrides which field: `VCC_LOG_LEVEL` → `log.level`. */
export type EnvironmentTable = Readonly<Record<`VCC_${string}`, string>>

export interface Overrides {
  readonly value: unknown
  /** The variable a field came from, if one did. */
  readonly variableOf: (path: FieldPath) => string | undefined
}

/**
 * The value with the fields that the environment overrides. Lists are written with commas.
 *
 * @throws {TypeError} for a table that names a field the shape lacks, or lets a secret itself into the environment
 */
export function applyEnvironment(node: Node, value: unknown, table: EnvironmentTable, env: Environment): Overrides {
  const variables = new Map<string, string>()
  let result = value
  for (const [variable, field] of Object.entries(table)) {
    const path = field.split('.')
    const target = fieldOf(node, path, variable)
    const text = env[variable]
    if (text === undefined || text === '') continue
    result = withField(result, path, parseText(target, text))
    variables.set(field, variable)
  }
  return {
    value: result,
    variableOf: (path) => {
      for (let length = path.length; length > 0; length--) {
        const variable = variables.get(path.slice(0, length).join('.'))
        if (variable !== undefined) return variable
      }
      return undefined
    },
  }
}

function fieldOf(node: Node, path: readonly string[], variable: string): Node {
  if (SECRET.test(variable)) {
    throw new TypeError(`${variable}: a secret comes from a file; call it ${variable}_FILE`)
  }
  let at: Node | undefined = node
  for (const step of path) at = at?.properties?.[step]
  if (at === undefined)
    throw new TypeError(`${variable} overrides ${path.join('.')}, which the configuration does not have`)
  return at
}

/** Text that is not what the field wants stays text, and is refused by the check that follows. */
function parseText(node: Node, text: string): unknown {
  const { type } = node
  if (type === 'integer' || type === 'number') return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (type === 'array') return text.split(',').map((item) => parseText(node.items ?? {}, item.trim()))
  return text
}

function withField(value: unknown, path: readonly string[], field: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return field
  if (value !== null && value !== undefined && (typeof value !== 'object' || Array.isArray(value))) return value
  const group: Record<string, unknown> = { ...value }
  return { ...group, [step]: withField(group[step], rest, field) }
}

const SECRET = /_(KEY|TOKEN|PASSWORD|PASSPHRASE|SECRET|PIN)$/
