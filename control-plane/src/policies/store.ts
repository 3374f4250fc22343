import { change, first, many, query, type Unit } from '../database/unit.ts'

export interface PolicyRow {
  readonly version: number
  readonly yaml: string
  readonly applied_by: string
  readonly applied_at: number
  readonly rolled_back_to: number | null
}

const COLUMNS = ['version', 'yaml', 'applied_by', 'applied_at', 'rolled_back_to'] as const

const policiesOf = (organization: string) =>
  query.selectFrom('policies').select(COLUMNS).where('organization_id', '=', organization)

/** The highest version is the one in force. */
export function* latestPolicy(organization: string): Unit<PolicyRow | undefined> {
  return yield* first(policiesOf(organization).orderBy('version', 'desc').limit(1))
}

export function* policyVersion(organization: string, version: number): Unit<PolicyRow | undefined> {
  return yield* first(policiesOf(organization).where('version', '=', version))
}

export function* policyHistory(organization: string): Unit<readonly PolicyRow[]> {
  return yield* many(policiesOf(organization).orderBy('version', 'desc').limit(200))
}

export function* insertPolicy(organization: string, row: PolicyRow): Unit<void> {
  yield* change(query.insertInto('policies').values({ ...row, organization_id: organization }))
}
