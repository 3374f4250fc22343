import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLParseError,
  type Node as YamlNode,
} from 'yaml'
import type { FieldPath } from './check.ts'
import { ConfigError, type ConfigProblem } from './problem.ts'

/** A YAML file that was read, and where each of its fields stands. */
export interface YamlSource {
  readonly value: unknown
  /** `agent.yaml:14:3`: the field's own name, or the nearest thing above it that is there. */
  readonly locate: (path: FieldPath) => string
}

/**
 * Parses YAML 1.2 with unique keys, without aliases or tags of its own: what is written is what is meant.
 *
 * @throws {ConfigError} with every syntax error
 */
export function parseYaml(text: string, fileName: string): YamlSource {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    version: '1.2',
    schema: 'core',
    prettyErrors: false,
    stringKeys: true,
  })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${fileName}:${line}:${col}`
  }
  const problems = [...document.errors, ...document.warnings].map((error) => syntaxProblem(error, at(error.pos[0])))
  visit(document, {
    Alias: (_key, alias) => {
      problems.push({
        at: at(rangeStart(alias)),
        field: '',
        message: `the alias *${alias.source} is not accepted`,
        hint: 'write the value out',
      })
    },
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    locate: (path) => at(offsetOf(document, path)),
  }
}

function offsetOf(document: Document, path: FieldPath): number {
  let node: unknown = document.contents
  let offset = rangeStart(node)
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step))
      if (pair === undefined) break
      offset = rangeStart(pair.key)
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(step)]
      if (item === undefined) break
      offset = rangeStart(item)
      node = item
    } else break
  }
  return offset
}

function rangeStart(node: unknown): number {
  // Parsed nodes have a range; an empty document has no node.
  return (node as YamlNode | null | undefined)?.range?.[0] ?? 0
}

function syntaxProblem(error: YAMLParseError | { code: string; message: string }, at: string): ConfigProblem {
  const message = error.message.split('\n')[0] ?? 'not YAML'
  if (error.code === 'DUPLICATE_KEY')
    return { at, field: '', message: 'this field is there twice', hint: 'keep one of the two' }
  if (error.code === 'TAB_AS_INDENT')
    return { at, field: '', message: 'a tab is not an indentation', hint: 'use spaces' }
  if (error.code === 'MULTIPLE_DOCS')
    return { at, field: '', message: 'more than one document', hint: 'remove what follows "---"' }
  return { at, field: '', message: `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}` }
}
