import { type ClassName, isClassName } from './class-name.ts'
import { type CompiledPolicy, type Edge, LIMITS, type Refusal, type Subject } from './compiled.ts'
import { DENIALS, type DenyCode } from './deny.ts'
import { PolicyError, quote } from './error.ts'
import { PERMISSION } from './permission.ts'
import { byCodeUnits, parseWorkloadId, type WorkloadId, workloadId } from './workload-id.ts'

/**
 * Reads a compiled policy from JSON somebody sent. Strict: unknown fields, repeated pairs, edges between services it
 * does not describe, or into an external service with `isolation_level: high`, are refused.
 *
 * Proves form, not origin: the signature over the state is checked before.
 *
 * @throws {PolicyError} `compiled_format_unknown` unless `format` is 1; `compiled_too_large` above 20,000 services or
 *   500,000 pairs; `compiled_invalid`, with the place, for everything else.
 */
export function parseCompiled(value: unknown): CompiledPolicy {
  const format = isRecord(value) ? value['format'] : undefined
  if (typeof format === 'number' && format !== 1) {
    throw new PolicyError('compiled_format_unknown', `compiled policy has format ${format}, this version reads 1`)
  }
  const fields = record(value, 'policy', ['format', 'trustDomain', 'version', 'scope', 'subjects', 'edges', 'refusals'])
  if (format !== 1) invalid('format', 'must be 1')
  const version = fields['version']
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
    return invalid('version', 'must be a positive integer')
  const subjects = readSubjects(fields['subjects'])
  const edges = list(fields['edges'], 'edges', LIMITS.pairs)
  const refusals = list(fields['refusals'], 'refusals', LIMITS.pairs - edges.length)
  const pairs = new Set<string>()
  return {
    format: 1,
    trustDomain: readTrustDomain(fields['trustDomain']),
    version,
    scope: fields['scope'] === 'whole' ? 'whole' : id(fields['scope'], 'scope'),
    subjects: Object.fromEntries([...subjects].toSorted(([a], [b]) => byCodeUnits(a, b))),
    edges: edges.map((edge, position) => readEdge(edge, `edges[${position}]`, subjects, pairs)),
    refusals: refusals.map((refusal, position) => readRefusal(refusal, `refusals[${position}]`, pairs)),
  } as unknown as CompiledPolicy // a mint: every field was read above
}

function readSubjects(value: unknown): ReadonlyMap<WorkloadId, Subject> {
  if (!isRecord(value)) return invalid('subjects', 'must be an object')
  const entries = Object.entries(value)
  if (entries.length > LIMITS.subjects) return tooLarge('subjects', LIMITS.subjects)
  return new Map(entries.map(([key, subject]) => [id(key, 'subjects'), readSubject(subject, `subjects[${key}]`)]))
}

function readSubject(value: unknown, at: string): Subject {
  if (isRecord(value) && value['kind'] === 'external') {
    const external = record(value, at, ['kind', 'isolation'])
    return { kind: 'external', isolation: isolation(external['isolation'], at) }
  }
  const fields = record(value, at, ['kind', 'class', 'accepts', 'isolation', 'permissions', 'recorded'])
  if (fields['kind'] !== 'mesh') return invalid(`${at}.kind`, 'must be mesh or external')
  const own = classOf(fields['class'], `${at}.class`)
  const accepts = classes(fields['accepts'], `${at}.accepts`)
  if (!accepts.includes(own)) return invalid(`${at}.accepts`, 'must contain the class itself')
  return {
    kind: 'mesh',
    class: own,
    accepts,
    isolation: isolation(fields['isolation'], at),
    permissions: permissions(fields['permissions'], `${at}.permissions`),
    recorded: texts(fields['recorded'], `${at}.recorded`, 8, RECORDED),
  }
}

function readEdge(value: unknown, at: string, subjects: ReadonlyMap<WorkloadId, Subject>, pairs: Set<string>): Edge {
  const fields = record(value, at, ['source', 'target', 'rule', 'permissions'], ['sourceClasses'])
  const pair = readPair(fields, at, pairs)
  const target = subjects.get(pair.target)
  if (subjects.get(pair.source)?.kind !== 'mesh') return invalid(`${at}.source`, 'must be a mesh service of subjects')
  if (target === undefined) return invalid(`${at}.target`, 'must be one of subjects')
  if (target.kind === 'external' && target.isolation === 'high')
    return invalid(`${at}.target`, 'is external with isolation high')
  const edge = {
    ...pair,
    rule: rule(fields['rule'], `${at}.rule`),
    permissions: permissions(fields['permissions'], `${at}.permissions`),
  }
  if (!Object.hasOwn(fields, 'sourceClasses')) return edge
  return { ...edge, sourceClasses: classes(fields['sourceClasses'], `${at}.sourceClasses`) }
}

function readRefusal(value: unknown, at: string, pairs: Set<string>): Refusal {
  const fields = record(value, at, ['source', 'target', 'code', 'rule', 'via'])
  const code = fields['code']
  if (!isDenyCode(code)) return invalid(`${at}.code`, 'must be a code of refusals')
  return {
    ...readPair(fields, at, pairs),
    code,
    rule: rule(fields['rule'], `${at}.rule`),
    via: rule(fields['via'], `${at}.via`),
  }
}

function readPair(fields: Record<string, unknown>, at: string, pairs: Set<string>): Pick<Edge, 'source' | 'target'> {
  const pair = { source: id(fields['source'], `${at}.source`), target: id(fields['target'], `${at}.target`) }
  const key = `${pair.source} ${pair.target}`
  if (pairs.has(key)) return invalid(at, 'repeats a pair')
  pairs.add(key)
  return pair
}

function isDenyCode(value: unknown): value is DenyCode {
  return typeof value === 'string' && Object.hasOwn(DENIALS, value)
}

function id(value: unknown, at: string): WorkloadId {
  return reading(at, () => parseWorkloadId(text(value, at, 512)).id)
}

function readTrustDomain(value: unknown): string {
  const trustDomain = text(value, 'trustDomain', 255)
  reading('trustDomain', () => workloadId(trustDomain, 'any', 'any'))
  return trustDomain
}

function rule(value: unknown, at: string): string {
  const name = text(value, at, 512)
  return RULE.test(name) ? name : invalid(at, 'must be the name of a rule')
}

function isolation(value: unknown, at: string): Subject['isolation'] {
  return value === 'high' || value === 'standard' ? value : invalid(`${at}.isolation`, 'must be high or standard')
}

function classOf(value: unknown, at: string): ClassName {
  const name = text(value, at, 64)
  return isClassName(name) ? name : invalid(at, 'must be a class name')
}

function classes(value: unknown, at: string): readonly ClassName[] {
  const names = list(value, at, LIMITS.classes).map((item) => classOf(item, at))
  if (names.length === 0 || new Set(names).size < names.length) return invalid(at, 'must be classes, each once')
  return names
}

function permissions(value: unknown, at: string): readonly string[] {
  return texts(value, at, 64, PERMISSION)
}

function texts(value: unknown, at: string, limit: number, form: RegExp): readonly string[] {
  return list(value, at, limit).map((item) => {
    const word = text(item, at, 8_192)
    return form.test(word) ? word : invalid(at, `must match ${form.source}`)
  })
}

function text(value: unknown, at: string, limit: number): string {
  if (typeof value !== 'string') return invalid(at, 'must be a string')
  return value.length <= limit ? value : invalid(at, `must have at most ${limit} characters`)
}

function list(value: unknown, at: string, limit: number): readonly unknown[] {
  if (!Array.isArray(value)) return invalid(at, 'must be a list')
  return value.length <= limit ? value : tooLarge(at, limit)
}

function record(
  value: unknown,
  at: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Record<string, unknown> {
  if (!isRecord(value)) return invalid(at, 'must be an object')
  const missing = required.find((key) => !Object.hasOwn(value, key))
  if (missing !== undefined) return invalid(at, `has no ${missing}`)
  const unknown = Object.keys(value).find((key) => !required.includes(key) && !optional.includes(key))
  return unknown === undefined ? value : invalid(at, `has an unknown field ${quote(unknown)}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reading<Value>(at: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof PolicyError && cause.code !== 'compiled_invalid') return invalid(at, cause.message)
    throw cause
  }
}

function invalid(at: string, reason: string): never {
  throw new PolicyError('compiled_invalid', `compiled policy: ${at} ${reason}`)
}

function tooLarge(at: string, limit: number): never {
  throw new PolicyError('compiled_too_large', `compiled policy: ${at} has more than ${limit} items`)
}

/** `argus.allowed_outbound[1]`, across organisations `a:argus.… + b:a/argus.…`, or `default-deny`. */
const RULE = /^[a-z0-9_./:[\] +-]+$/
const RECORDED = /^[a-z_]{1,40}: [a-z0-9_.:, -]+$/
