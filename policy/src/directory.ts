import type { CompileInput } from './compile.ts'
import { LIMITS, type Subject } from './compiled.ts'
import { PolicyError } from './error.ts'
import type { Entry, WildcardPattern } from './matrix.ts'
import { canonicalOrganizationName, canonicalServiceName } from './name.ts'
import { type NameList, nameList } from './name-list.ts'
import { byCodeUnits, parseWorkloadId, type WorkloadId, workloadId } from './workload-id.ts'

/** Who there is: every service with an entry of its own, and every external one. */
export interface Directory {
  readonly subjects: ReadonlyMap<WorkloadId, Subject>
  idOf(organization: string, service: string): WorkloadId
  organizationOf(id: WorkloadId): string
  serviceOf(id: WorkloadId): string
  /** The services of one organisation that a wildcard matches, in code unit order of their names. */
  matching(organization: string, pattern: WildcardPattern): readonly WorkloadId[]
  sortedSubjects(): Record<WorkloadId, Subject>
}

export function directoryOf(input: CompileInput): Directory {
  const subjects = new Map<WorkloadId, Subject>()
  const names = new Map<string, string[]>()
  const idOf = memoizedIds(input)
  const add = (organization: string, service: string, subject: Subject) => {
    const id = idOf(organization, service)
    if (subjects.has(id)) return
    subjects.set(id, subject)
    const list = names.get(organization)
    if (list === undefined) names.set(organization, [service])
    else list.push(service)
    if (subjects.size > LIMITS.subjects)
      throw new PolicyError('policy_too_large', `more than ${LIMITS.subjects} services`)
  }
  const externals = externalNames(input)
  const seen = new Set<string>()
  for (const { organization, entries } of input.matrices) {
    if (seen.has(organization)) throw new TypeError(`two matrices of organisation ${organization}`)
    seen.add(organization)
    for (const entry of entries) {
      if (entry.organization !== organization) continue
      const external = externals.get(organization)?.has(entry.service) === true
      add(organization, entry.service, external ? externalSubject(entry) : meshSubject(entry, idOf, input))
    }
  }
  for (const [organization, services] of externals) {
    for (const service of services) add(organization, service, { kind: 'external', isolation: 'standard' })
  }
  const lists = new Map<string, NameList>()
  let matches = 0
  return {
    subjects,
    idOf,
    organizationOf: (id) => parseWorkloadId(id).organization,
    serviceOf: (id) => parseWorkloadId(id).service,
    matching(organization, pattern) {
      const list = lists.get(organization) ?? nameList(names.get(organization) ?? [])
      lists.set(organization, list)
      const services = list.matching(pattern)
      matches += services.length
      if (matches > MAX_MATCHES)
        throw new PolicyError('policy_too_large', `wildcards match more than ${MAX_MATCHES} times`)
      return services.map((service) => idOf(organization, service))
    },
    sortedSubjects: () => Object.fromEntries([...subjects].toSorted(([a], [b]) => byCodeUnits(a, b))),
  }
}

/** IDs are asked for once per edge, and checking a name costs more than remembering it. */
function memoizedIds(input: CompileInput): Directory['idOf'] {
  const domains = new Map(Object.entries(input.trustDomains ?? {}))
  const ids = new Map<string, WorkloadId>()
  return (organization, service) => {
    const key = `${organization}/${service}`
    const id = ids.get(key) ?? workloadId(domains.get(organization) ?? input.trustDomain, organization, service)
    ids.set(key, id)
    return id
  }
}

function externalNames(input: CompileInput): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>()
  for (const external of input.externals ?? []) {
    const organization = canonicalOrganizationName(external.organization)
    const services = names.get(organization) ?? new Set()
    names.set(organization, services.add(canonicalServiceName(external.service)))
  }
  return names
}

function externalSubject(entry: Entry): Subject {
  return { kind: 'external', isolation: entry.isolation }
}

function meshSubject(entry: Entry, idOf: Directory['idOf'], input: CompileInput): Subject {
  const { requiredAuth, isolation, permissions, recorded } = entry
  if (requiredAuth === undefined) throw new TypeError(`${entry.key} has no required_auth`) // parseMatrix demands it
  const also = input.alsoAccepted?.[idOf(entry.organization, entry.service)] ?? []
  const accepts = [...new Set([requiredAuth.className, ...also])].toSorted(byCodeUnits)
  if (accepts.length > LIMITS.classes) throw new TypeError(`${entry.key} accepts more than ${LIMITS.classes} classes`)
  return {
    kind: 'mesh',
    class: requiredAuth.className,
    accepts,
    isolation,
    permissions,
    recorded: recorded.map(({ field, value }) => `${field}: ${value}`),
  }
}

/** Overlapping wildcards cost time without adding pairs, so matches have a bound of their own. */
const MAX_MATCHES = 2_000_000
