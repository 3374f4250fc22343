import type { PolicyDiff } from './diff.ts'
import { parseWorkloadId, type WorkloadId } from './workload-id.ts'

/**
 * A diff as lines for a terminal: `+ argus → covina (argus.allowed_outbound[0])`. `+` and `-` are services and edges
 * gained and lost, `~` what changed. One line says so when nothing did.
 */
export function formatDiff(changes: PolicyDiff): readonly string[] {
  const name = namesFor(changes)
  const lines = [
    ...changes.servicesAdded.map((id) => `+ service ${name(id)}`),
    ...changes.servicesRemoved.map((id) => `- service ${name(id)}`),
    ...changes.gained.map((edge) => `+ ${name(edge.source)} → ${name(edge.target)} (${edge.rule})`),
    ...changes.lost.map((edge) => `- ${name(edge.source)} → ${name(edge.target)} (${edge.rule})`),
    ...changes.classChanges.map(({ id, before, after }) => `~ ${name(id)} required_auth: ${before} → ${after}`),
    ...changes.subjectChanges.map(({ id, field, before, after }) => `~ ${name(id)} ${field}: ${before} → ${after}`),
    ...changes.edgeChanges.map(
      ({ source, target, field, before, after }) =>
        `~ ${name(source)} → ${name(target)} ${field}: ${before} → ${after}`,
    ),
  ]
  return lines.length === 0 ? ['no change'] : lines
}

/** Short names while only one organisation is concerned. */
function namesFor(changes: PolicyDiff): (id: WorkloadId) => string {
  const ids = [
    ...changes.servicesAdded,
    ...changes.servicesRemoved,
    ...[...changes.gained, ...changes.lost, ...changes.edgeChanges].flatMap(({ source, target }) => [source, target]),
    ...[...changes.classChanges, ...changes.subjectChanges].map(({ id }) => id),
  ]
  const organizations = new Set(ids.map((id) => parseWorkloadId(id).organization))
  return (id) => {
    const { organization, service } = parseWorkloadId(id)
    return organizations.size > 1 ? `${organization}/${service}` : service
  }
}
