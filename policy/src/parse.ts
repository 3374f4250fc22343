import type { Node } from 'yaml'
import { readDocument } from './document.ts'
import { readEntry } from './entry.ts'
import { quote } from './error.ts'
import { type Field, readFields, readMap } from './field.ts'
import type { Entry, Matrix } from './matrix.ts'
import { canonical, canonicalOrganizationName } from './name.ts'
import { noticesOf } from './notice.ts'
import type { Notice, Problem } from './problem.ts'
import type { Report } from './report.ts'
import { readServiceName } from './service-name.ts'

export type ParseResult =
  | { readonly ok: true; readonly matrix: Matrix; readonly notices: readonly Notice[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export interface ParseOptions {
  /** Whose matrix it is: names without an organisation are its own. */
  readonly organization: string
  /** Names from the registry, `service` or `organisation/service`. Without them nothing is said about unknown ones. */
  readonly known?: readonly string[]
}

/**
 * Reads the matrix of one organisation (`service_communication_policies`, YAML 1.2; at most 1 MiB, 500,000 tokens, 10,000 services).
 *
 * Every problem is reported at once (up to 1,000), in the order of the text; where the text is not YAML, only that.
 * Does **not** know which classes exist: see `unknownClasses`. Never throws for any text.
 *
 * @throws {PolicyError} `organization_name_invalid` for `options.organization`.
 */
export function parseMatrix(text: string, options: ParseOptions): ParseResult {
  const organization = canonicalOrganizationName(options.organization)
  const { root, report } = readDocument(text)
  const entries = root === undefined ? [] : readPolicies(root, organization, report)
  const problems = report.problems()
  if (problems.length > 0) return { ok: false, problems }
  const matrix = { organization, entries } as unknown as Matrix // the one mint: nothing was reported
  return { ok: true, matrix, notices: noticesOf(matrix, options.known) }
}

function readPolicies(root: Node, organization: string, report: Report): readonly Entry[] {
  const offset = root.range?.[0] ?? 0
  const top = readMap(root, 'the document', offset, report)
  if (top === undefined) return []
  const field = readFields(top, [ROOT_FIELD], 'the document', report).get(ROOT_FIELD)
  if (field === undefined) {
    report.add('field_missing', offset, `there is no ${ROOT_FIELD}`, `begin with ${ROOT_FIELD}:`)
    return []
  }
  const services = readMap(field.value, ROOT_FIELD, field.offset, report)
  if (services === undefined) return []
  if (services.length > MAX_SERVICES) {
    report.add(
      'too_many_services',
      field.offset,
      `${services.length} services, at most ${MAX_SERVICES} are allowed`,
      'split services among organisations',
    )
    return []
  }
  return readEntries(services, organization, report)
}

function readEntries(services: readonly Field[], organization: string, report: Report): readonly Entry[] {
  const seen = new Map<string, Field>()
  return services.flatMap((field) => {
    const name = readServiceName({ text: field.key, offset: field.offset }, organization, report)
    if (name === undefined) return readNameless(field, organization, report)
    const first = seen.get(name.key)
    if (first === undefined) seen.set(name.key, field)
    else
      report.add(
        'service_duplicate',
        field.offset,
        duplicateMessage(field, first, report),
        'keep one entry; _ equals - in names',
      )
    return readEntry(name, field, organization, report) ?? []
  })
}

/** The name is reported already; what is wrong below it is wanted as well. */
function readNameless(field: Field, organization: string, report: Report): readonly Entry[] {
  const [first = ''] = field.key.split('/', 1)
  const owner = field.key.includes('/') ? canonical(first) : organization
  readEntry({ organization: owner, service: field.key, key: quote(field.key) }, field, organization, report)
  return []
}

function duplicateMessage(field: Field, first: Field, report: Report): string {
  const where = `line ${report.at(first.offset).line}`
  if (field.key === first.key) return `${quote(field.key)} already has an entry on ${where}`
  return `${quote(field.key)} is the same service as ${quote(first.key)} on ${where}`
}

const ROOT_FIELD = 'service_communication_policies'
const MAX_SERVICES = 10_000
