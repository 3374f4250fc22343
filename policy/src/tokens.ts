import { CST, Lexer } from 'yaml'
import { quote } from './error.ts'
import type { Report } from './report.ts'

/**
 * Reports what a matrix has no use for (aliases, tags, directives) and bounds the nesting, token by token, before
 * anything recursive sees the text.
 *
 * @returns Whether the text may be composed into a tree.
 */
export function scanTokens(text: string, report: Report): boolean {
  let offset = 0
  let flowDepth = 0
  let indicators = 0
  let lineStart = true
  let indent = 0
  let verbatim = false
  let left = MAX_TOKENS
  let refusals = 0
  for (const source of new Lexer().lex(text)) {
    left -= 1
    if (left < 0 || refusals > MAX_REFUSALS) {
      report.add(
        'text_too_large',
        offset,
        'the text has too many parts to be read',
        'use wildcards, or split services among organisations',
      )
      return false
    }
    const type = CST.tokenType(source)
    if (verbatim) {
      verbatim = false
      offset += source.length
      continue
    }
    if (type === 'doc-mode' || type === 'flow-error-end') continue // marks without text
    if (lineStart) indent = type === 'space' && flowDepth === 0 ? source.length : 0
    lineStart = type === 'newline'
    if (type === 'scalar') {
      verbatim = true // a mark as well; the text comes next
      continue
    }
    const refused = type === null ? undefined : REFUSED[type]
    if (refused !== undefined) {
      refusals += 1
      report.add(refused.code, offset, `${refused.what} ${quote(source)} is not allowed`, refused.hint)
    }
    if (type === 'newline') indicators = 0
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') indicators += 1
    if (type === 'flow-map-start' || type === 'flow-seq-start') flowDepth += 1
    if (type === 'flow-map-end' || type === 'flow-seq-end') flowDepth -= 1
    if (flowDepth < 0) {
      report.add('yaml_syntax', offset, `not YAML: ${quote(source)} closes nothing`, 'check brackets and quotes')
      return false
    }
    const content = type !== 'space' && type !== 'newline' && type !== 'comment'
    if (flowDepth > MAX_DEPTH || indicators > MAX_DEPTH || (content && flowDepth === 0 && indent > MAX_INDENT)) {
      report.add('too_deep', offset, 'nested too deep', 'a matrix is a map of services, each a map of fields')
      return false
    }
    offset += source.length
  }
  return true
}

const REFUSED: Partial<
  Record<CST.TokenType, { code: 'alias_refused' | 'tag_refused' | 'directive_refused'; what: string; hint: string }>
> = {
  alias: { code: 'alias_refused', what: 'the alias', hint: 'write the value out' },
  anchor: { code: 'alias_refused', what: 'the anchor', hint: 'write the value out where it is used' },
  tag: { code: 'tag_refused', what: 'the tag', hint: 'remove it; the fields have their types already' },
  'directive-line': { code: 'directive_refused', what: 'the directive', hint: 'remove the line; the file is YAML 1.2' },
}

/** Reading costs some 10 µs per token at worst. */
const MAX_TOKENS = 500_000
const MAX_REFUSALS = 1_000
const MAX_DEPTH = 8
/** Columns. Block nesting costs at least one column each. */
const MAX_INDENT = 64
