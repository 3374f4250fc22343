import { parseWorkloadId, type WorkloadId } from './workload-id.ts'

/**
 * Rules are named by their place in the file: `argus.allowed_outbound[1]`, `clara.isolation_level`.
 * In a call across organisations each name is preceded by the organisation whose file it is in: `partner:argus.…`.
 */
export function fieldRule(key: string, field: string, file?: string): string {
  return file === undefined ? `${key}.${field}` : `${file}:${key}.${field}`
}

export function outboundRule(key: string, position: number, file?: string): string {
  return fieldRule(key, `allowed_outbound[${position}]`, file)
}

/** Both sides of a call across organisations. */
export function bothRules(source: string, target: string): string {
  return `${source} + ${target}`
}

/** The rule that names the class of `id` in a call with `peer`: in the file of its own organisation, or of the peer's. */
export function requiredAuthRule(id: WorkloadId, peer: WorkloadId, place?: 'by-target'): string {
  const { organization, service } = parseWorkloadId(id)
  const other = parseWorkloadId(peer).organization
  if (organization === other) return fieldRule(service, 'required_auth')
  if (place === 'by-target') return fieldRule(`${organization}/${service}`, 'required_auth', other)
  return fieldRule(service, 'required_auth', organization)
}
