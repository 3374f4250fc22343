import { basename } from 'node:path'
import type { Static } from 'typebox'
import { RuntimeError } from '../error.ts'
import { readFileBounded } from '../file.ts'
import { type Environment, environment } from '../host.ts'
import { checkValue, type FieldPath } from './check.ts'
import { applyEnvironment, type EnvironmentTable } from './environment.ts'
import { ConfigError, type ConfigProblem, MAX_PROBLEMS } from './problem.ts'
import { type ConfigShape, nodeOf } from './shape.ts'
import { parseYaml } from './source.ts'

export interface ConfigOptions<Shape extends ConfigShape> {
  /** The variables that override fields; an override wins over the file. */
  readonly env?: EnvironmentTable
  /** What fields mean together; asked when each by itself is right. Fields are written as `listen.port`. */
  readonly check?: (config: Static<Shape>, report: (field: string, message: string, hint?: string) => void) => void
  readonly environment?: Environment
}

/**
 * Reads a YAML file of at most 1 MiB into the shape's type, with defaults and overrides from the environment.
 * Reads nothing that the file names: secrets are opened by `readSecretFile`.
 *
 * @throws {ConfigError} with every problem, its place and a hint
 * @throws {RuntimeError} `file_missing`, `file_unreadable`, `file_not_regular`, `file_too_large`
 */
export async function readYamlConfig<const Shape extends ConfigShape>(
  path: string,
  shape: Shape,
  options: ConfigOptions<Shape> = {},
): Promise<Static<Shape>> {
  const bytes = await readFileBounded(path, MAX_BYTES).catch((cause: unknown) => {
    if (!(cause instanceof RuntimeError) || cause.code !== 'file_missing') throw cause
    throw new ConfigError([{ at: path, field: '', message: 'there is no such file', hint: '--config names another' }], {
      cause,
    })
  })
  return parseYamlConfig(bytes.toString('utf8'), basename(path), shape, options)
}

/** The same for text that is already there. @throws {ConfigError} */
export function parseYamlConfig<const Shape extends ConfigShape>(
  text: string,
  fileName: string,
  shape: Shape,
  options: ConfigOptions<Shape> = {},
): Static<Shape> {
  const node = nodeOf(shape)
  const source = parseYaml(text, fileName)
  const overrides = applyEnvironment(node, source.value ?? {}, options.env ?? {}, options.environment ?? environment())
  const problems: ConfigProblem[] = []
  const report = (fieldPath: FieldPath, message: string, hint?: string) => {
    if (problems.length > MAX_PROBLEMS) return
    const at = overrides.variableOf(fieldPath) ?? source.locate(fieldPath)
    problems.push({ at, field: formatPath(fieldPath), message, ...(hint === undefined ? {} : { hint }) })
  }
  // Every field is checked against the shape, or there is a problem.
  const config = checkValue(node, overrides.value, [], report) as Static<Shape>
  if (problems.length === 0) options.check?.(config, (field, message, hint) => report(parsePath(field), message, hint))
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function formatPath(path: FieldPath): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

function parsePath(field: string): FieldPath {
  return field.split(/[.[\]]+/).filter((step) => step !== '')
}

const MAX_BYTES = 1_048_576
