import { formatDuration } from '../duration.ts'
import type { EnvironmentTable } from './environment.ts'
import { type ConfigShape, discriminatorOf, type Node, nodeOf } from './shape.ts'

/**
 * The reference of a configuration in Markdown: every field with its type, default, variable and description.
 * Same shape, same bytes.
 */
export function configReference(title: string, shape: ConfigShape, env: EnvironmentTable = {}): string {
  const variables = new Map(Object.entries(env).map(([variable, field]) => [field, variable]))
  const rows = rowsOf(nodeOf(shape), '', variables)
  const lines = rows.map(
    (row) => `| ${[`\`${row.field}\``, row.type, row.standard, row.variable, row.description].map(cell).join(' | ')} |`,
  )
  return `# ${title}\n\n| field | type | default | variable | meaning |\n|---|---|---|---|---|\n${lines.join('\n')}\n`
}

interface Row {
  readonly field: string
  readonly type: string
  readonly standard: string
  readonly variable: string
  readonly description: string
}

function rowsOf(node: Node, path: string, variables: ReadonlyMap<string, string>): Row[] {
  const rows: Row[] = []
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const field = path === '' ? name : `${path}.${name}`
    const isRequired = node.required?.includes(name) === true
    const variable = variables.get(field)
    rows.push({
      field,
      type: typeOf(child),
      standard: child.default !== undefined ? `\`${JSON.stringify(child.default)}\`` : isRequired ? '**required**' : '',
      variable: variable === undefined ? '' : `\`${variable}\``,
      description: child.description ?? '',
    })
    rows.push(...inner(child, field, variables))
  }
  return rows
}

function inner(node: Node, field: string, variables: ReadonlyMap<string, string>): Row[] {
  const discriminator = discriminatorOf(node)
  if (discriminator !== undefined) {
    return (node.anyOf ?? []).flatMap((each) =>
      rowsOf(each, `${field}(${discriminator}: ${each.properties?.[discriminator]?.const})`, new Map()),
    )
  }
  if (node.items !== undefined) return inner(node.items, `${field}[]`, variables)
  const entries = Object.values(node.patternProperties ?? {})
  return [...rowsOf(node, field, variables), ...entries.flatMap((each) => inner(each, `${field}.<name>`, variables))]
}

function typeOf(node: Node): string {
  if (node.enum !== undefined) return node.enum.map((choice) => `\`${choice}\``).join(', ')
  if (node.const !== undefined) return `\`${node.const}\``
  if (node.anyOf !== undefined)
    return discriminatorOf(node) === undefined ? node.anyOf.map((each) => `\`${each.const}\``).join(', ') : 'one of'
  if (node.format === 'duration') return `duration${bounds(node.minimumMs, node.maximumMs, formatDuration)}`
  if (node.format === 'secret-file') return 'secret file'
  if (node.type === 'array') return `list of ${typeOf(node.items ?? {})}`
  if (node.type === 'object') return node.patternProperties === undefined ? 'group' : 'named groups'
  return `${node.type ?? 'any'}${bounds(node.minimum, node.maximum, String)}`
}

function bounds(low: number | undefined, high: number | undefined, format: (value: number) => string): string {
  if (low === undefined && high === undefined) return ''
  return ` (${low === undefined ? '' : format(low)}…${high === undefined ? '' : format(high)})`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
