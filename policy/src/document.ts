import { type Node, parseAllDocuments } from 'yaml'
import { printable } from './error.ts'
import { type Report, reporter } from './report.ts'
import { scanTokens } from './tokens.ts'

/** The tree of one document; without a root, `report` has the reason. */
export interface YamlTree {
  readonly root: Node | undefined
  readonly report: Report
}

/**
 * YAML 1.2 reduced to what a matrix needs: at most 1 MiB, one document; no aliases, tags, directives or control
 * characters; bounded nesting. Keys may repeat here. Never throws.
 */
export function readDocument(text: string): YamlTree {
  const report = reporter(text)
  return { root: boundedText(text, report) && scanTokens(text, report) ? composed(text, report) : undefined, report }
}

function boundedText(text: string, report: Report): boolean {
  if (text.length > MAX_BYTES || Buffer.byteLength(text) > MAX_BYTES) {
    report.add(
      'text_too_large',
      0,
      'the text is larger than 1 MiB',
      'use wildcards, or split services among organisations',
    )
    return false
  }
  const stray = STRAY_CHARACTER.exec(text)
  if (stray === null) return true
  const shown = stray[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  report.add(
    'character_refused',
    stray.index,
    `the character U+${shown} is not allowed`,
    'remove it; the file is UTF-8 text',
  )
  return false
}

function composed(text: string, report: Report): Node | undefined {
  const options = {
    version: '1.2',
    schema: 'core',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  } as const
  const documents = [...parseAllDocuments(text, options)]
  const [first, second] = documents
  const errors = documents.flatMap((document) => document.errors)
  for (const { pos, message } of errors) {
    const [line = ''] = message.split('\n')
    report.add('yaml_syntax', pos[0], printable(`not YAML: ${line}`), 'check indentation, quotes and brackets')
  }
  if (second !== undefined) {
    const offset = second.contents?.range?.[0] ?? second.range[0]
    report.add('several_documents', offset, 'a second document begins here', 'keep one, and no line ---')
  }
  if (errors.length > 0) return undefined
  if (first !== undefined && first.contents !== null) return first.contents
  report.add('document_empty', 0, 'the text has no content', 'begin with service_communication_policies:')
  return undefined
}

const MAX_BYTES = 1024 * 1024
/** Control characters but tab and line breaks, and halves of surrogate pairs. */
const STRAY_CHARACTER = /(?![\t\n\r])\p{Cc}|\p{Cs}/u
