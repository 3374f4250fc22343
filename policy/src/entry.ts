import { isClassName } from './class-name.ts'
import { isEndpoint, withoutCredentials } from './endpoint.ts'
import { quote } from './error.ts'
import { type Field, readFields, readMap, readText, readTexts, type Text } from './field.ts'
import type { Entry, Pattern, Recorded } from './matrix.ts'
import { patternKey, readPattern } from './pattern.ts'
import { PERMISSION } from './permission.ts'
import type { Report } from './report.ts'
import type { ServiceName } from './service-name.ts'
import { didYouMean, suggester } from './suggest.ts'

/** Reads one entry; what is wrong goes to `report`. The result is of use only if nothing was reported. */
export function readEntry(name: ServiceName, field: Field, organization: string, report: Report): Entry | undefined {
  const pairs = readMap(field.value, name.key, field.offset, report)
  if (pairs === undefined) return undefined
  const fields = readFields(pairs, FIELDS, name.key, report)
  const foreign = name.organization !== organization
  if (foreign) refuseOwnFields(fields, name, report)
  else if (!fields.has('required_auth')) {
    report.add(
      'field_missing',
      field.offset,
      `${name.key} has no required_auth`,
      'name the class of its certificate, e.g. required_auth: mtls_certificate',
    )
  }
  const requiredAuth = readRequiredAuth(fields.get('required_auth'), report)
  const permissions = readPermissions(fields.get('special_permissions'), report)
  return {
    organization: name.organization,
    service: name.service,
    key: name.key,
    at: report.at(field.offset),
    outbound: readOutbound(fields.get('allowed_outbound'), organization, foreign, report),
    ...(requiredAuth === undefined ? {} : { requiredAuth }),
    endpoints: readEndpoints(fields.get('endpoints'), report),
    isolation: readWord(fields.get('isolation_level'), ISOLATION, report) ?? 'standard',
    permissions,
    recorded: readRecorded(fields, permissions, report),
  }
}

function refuseOwnFields(fields: ReadonlyMap<FieldName, Field>, name: ServiceName, report: Report): void {
  for (const [field, { offset }] of fields) {
    if (FOREIGN_FIELDS.includes(field)) continue
    const hint = `for another organisation's service write only ${FOREIGN_FIELDS.join(', ')}`
    report.add(
      'field_not_for_foreign',
      offset,
      `${field} of ${name.key} is for organisation ${name.organization} to say`,
      hint,
    )
  }
}

function readRequiredAuth(field: Field | undefined, report: Report): Entry['requiredAuth'] {
  if (field === undefined) return undefined
  const text = readText(field.value, field.key, field.offset, report)
  if (text === undefined) return undefined
  if (isClassName(text.text)) return { className: text.text, at: report.at(text.offset) }
  const folded = text.text.toLowerCase().replaceAll('-', '_')
  const hint = isClassName(folded)
    ? didYouMean(folded)
    : 'a class is written like mtls_certificate, at most 64 characters'
  report.add('class_name_invalid', text.offset, `${quote(text.text)} is not a class name`, hint)
  return undefined
}

function readOutbound(
  field: Field | undefined,
  organization: string,
  foreign: boolean,
  report: Report,
): readonly Pattern[] {
  const patterns = readTexts(field, MAX_OUTBOUND, report).flatMap((text) => {
    const pattern = readPattern(text, organization, foreign, report)
    return pattern === undefined ? [] : [{ pattern, ...text, key: patternKey(pattern) }]
  })
  refuseDuplicates(patterns, 'allowed_outbound', report)
  return patterns.map(({ pattern }) => pattern)
}

function readEndpoints(field: Field | undefined, report: Report): readonly string[] {
  const texts = readTexts(field, MAX_ITEMS, report)
  refuseDuplicates(texts, 'endpoints', report)
  for (const { text, offset } of texts) {
    if (isEndpoint(text)) continue
    report.add(
      'endpoint_invalid',
      offset,
      `${quote(withoutCredentials(text))} is not an endpoint`,
      'write https://host:port, http://host:port or tcp://host:port, without credentials',
    )
  }
  return texts.map(({ text }) => text)
}

function readPermissions(field: Field | undefined, report: Report): readonly string[] {
  const texts = readTexts(field, MAX_ITEMS, report)
  refuseDuplicates(texts, 'special_permissions', report)
  for (const { text, offset } of texts) {
    if (PERMISSION.test(text)) continue
    report.add(
      'permission_invalid',
      offset,
      `${quote(text)} is not a permission`,
      'begin with a-z, go on with a-z, 0-9, _ . : -, at most 64',
    )
  }
  return texts.map(({ text }) => text)
}

function readRecorded(
  fields: ReadonlyMap<FieldName, Field>,
  permissions: readonly string[],
  report: Report,
): readonly Recorded[] {
  const recorded: Recorded[] = []
  for (const name of ['pipeline_signing', 'asset_signing'] as const) {
    const field = fields.get(name)
    const value = readWord(field, SIGNING, report)
    if (field !== undefined && value !== undefined) recorded.push({ field: name, value, at: report.at(field.offset) })
  }
  const field = fields.get('special_permissions')
  if (field === undefined || permissions.length === 0) return recorded
  return [...recorded, { field: 'special_permissions', value: permissions.join(', '), at: report.at(field.offset) }]
}

function readWord<Word extends string>(
  field: Field | undefined,
  words: readonly Word[],
  report: Report,
): Word | undefined {
  if (field === undefined) return undefined
  const text = readText(field.value, field.key, field.offset, report)
  if (text === undefined) return undefined
  const word = words.find((each) => each === text.text)
  if (word !== undefined) return word
  const hint = suggester(words)(text.text) ?? `write one of ${words.join(', ')}`
  report.add('value_unknown', text.offset, `${field.key} cannot be ${quote(text.text)}`, hint)
  return undefined
}

/** Items with one `key` mean the same, however they are written. */
function refuseDuplicates(texts: readonly (Text & { readonly key?: string })[], what: string, report: Report): void {
  const seen = new Set<string>()
  for (const { text, offset, key = text } of texts) {
    if (seen.has(key)) report.add('value_duplicate', offset, `${quote(text)} is already in ${what}`, 'keep one')
    seen.add(key)
  }
}

const FIELDS = [
  'allowed_outbound',
  'required_auth',
  'endpoints',
  'isolation_level',
  'pipeline_signing',
  'asset_signing',
  'special_permissions',
] as const
type FieldName = (typeof FIELDS)[number]
const FOREIGN_FIELDS: readonly FieldName[] = ['allowed_outbound', 'required_auth', 'special_permissions']
const ISOLATION = ['high', 'standard'] as const
const SIGNING = ['required', 'optional', 'none'] as const
const MAX_OUTBOUND = 1_000
const MAX_ITEMS = 64
