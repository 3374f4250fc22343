import { PROBLEMS } from '@vcc/api'
import { type Column, markdownTable } from './markdown.ts'

/** What a table says about one code. */
type Facts = Readonly<Record<string, string | number | boolean>>

/** One closed table of failure codes, as a package exports it. */
export interface ErrorTable {
  /** The class that carries the codes. */
  readonly error: string
  readonly package: string
  /** Who sees these codes, in one sentence. */
  readonly seenBy: string
  readonly codes: Readonly<Record<string, Facts>>
}

/** Every closed table of failure codes in the product. A package that adds one adds a row. */
const ERROR_TABLES: readonly ErrorTable[] = [
  {
    error: 'ApiProblem',
    package: '@vcc/api',
    seenBy: 'Every caller of the HTTP API, as `code` of an RFC 9457 problem document.',
    codes: PROBLEMS,
  },
]

export function renderErrorTables(): string {
  const sections = ERROR_TABLES.map(
    ({ error, package: name, seenBy, codes }) =>
      `\n## ${error} (\`${name}\`)\n\n${seenBy}\n\n${markdownTable(columnsOf(codes), Object.entries(codes))}`,
  )
  return `# Failure codes\n\nCodes are stable: programs may depend on them. The texts beside them may change.\n${sections.join('')}`
}

/** The code, then every fact that any row states, in the order of first appearance. */
function columnsOf(codes: ErrorTable['codes']): Column<[string, Facts]>[] {
  const facts = [...new Set(Object.values(codes).flatMap((row) => Object.keys(row)))]
  return [
    { title: 'code', cell: ([code]) => `\`${code}\`` },
    ...facts.map((fact) => ({
      title: fact,
      cell: ([, row]: [string, Facts]) => String(row[fact] ?? ''),
    })),
  ]
}
