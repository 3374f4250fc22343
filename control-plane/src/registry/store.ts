import { compiled } from '../database/compiled.ts'
import { change, first, many, query, type Unit } from '../database/unit.ts'

export interface ServiceRow {
  readonly id: number
  readonly service_id: string
  readonly organization_id: string
  readonly service_name: string
  readonly service_type: string
  readonly kind: 'mesh' | 'external'
  readonly mode: 'http' | 'tcp'
  readonly endpoint_url: string | null
  readonly health_endpoint: string | null
  /** JSON: CIDR blocks. */
  readonly allowed_networks: string
  /** JSON: address and TLS trust. */
  readonly external_trust: string | null
  readonly status: 'active' | 'inactive' | 'discovered' | 'pending_cert'
  readonly last_seen: number | null
  readonly created_at: number
}

const COLUMNS = [
  'id',
  'service_id',
  'organization_id',
  'service_name',
  'service_type',
  'kind',
  'mode',
  'endpoint_url',
  'health_endpoint',
  'allowed_networks',
  'external_trust',
  'status',
  'last_seen',
  'created_at',
] as const

/** Registered services only: a deregistered one is not found by anything but history. */
const registered = () => query.selectFrom('vcc_services').select(COLUMNS).where('deregistered_at', 'is', null)

export function* serviceById(serviceId: string): Unit<ServiceRow | undefined> {
  return yield* first(byServiceId(serviceId))
}

const byServiceId = compiled((serviceId: string) => registered().where('service_id', '=', serviceId))

export function* serviceByName(organization: string, name: string): Unit<ServiceRow | undefined> {
  return yield* first(byServiceName(organization, name))
}

const byServiceName = compiled((organization: string, name: string) =>
  registered().where('organization_id', '=', organization).where('service_name', '=', name),
)

export function* servicesOf(organization: string): Unit<readonly ServiceRow[]> {
  return yield* many(registered().where('organization_id', '=', organization).orderBy('service_name').limit(10_000))
}

/** In order of registration; `after` is the row id of the page before. */
export function* servicePage(
  organization: string,
  filter: { status?: ServiceRow['status'] | undefined },
  after: number,
  limit: number,
): Unit<readonly ServiceRow[]> {
  const page = registered()
    .where('organization_id', '=', organization)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
  return yield* many(filter.status === undefined ? page : page.where('status', '=', filter.status))
}

export type NewService = Omit<ServiceRow, 'id' | 'last_seen' | 'status'>

export function* insertService(row: NewService): Unit<void> {
  yield* change(
    query.insertInto('vcc_services').values({
      ...row,
      status: row.kind === 'external' ? 'active' : 'pending_cert',
      last_seen: null,
      deregistered_at: null,
    }),
  )
}

export function* markDeregistered(serviceId: string, at: number): Unit<boolean> {
  const changed = yield* change(
    query
      .updateTable('vcc_services')
      .set({ deregistered_at: at, status: 'inactive' })
      .where('service_id', '=', serviceId)
      .where('deregistered_at', 'is', null),
  )
  return changed === 1
}

export function* markServiceSeen(serviceId: string, at: number): Unit<void> {
  yield* change(
    query.updateTable('vcc_services').set({ last_seen: at, status: 'active' }).where('service_id', '=', serviceId),
  )
}
