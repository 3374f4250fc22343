import type { Instance, Service, ServiceHealth } from '@vcc/api'
import type { StatusBody } from '@vcc/mesh'
import { type PolicyIndex, workloadId } from '@vcc/policy'
import { isoOf, isoOrNull } from '../epoch.ts'
import type { StateMark } from '../state/store.ts'
import { type Address, formatAddress } from './addresses.ts'
import type { InstanceRow } from './instances-store.ts'
import type { ServiceRow } from './store.ts'

/** What is published at the moment. */
export interface StateMarks {
  readonly fleet: StateMark | undefined
  /** By instance. */
  readonly documents: ReadonlyMap<string, StateMark>
}

/** What instances are judged against. */
export interface Standing extends StateMarks {
  readonly trustDomain: string
  readonly policy: PolicyIndex | undefined
  /** End of each instance's latest certificate. */
  readonly expiry: ReadonlyMap<string, number>
  readonly now: number
}

/** Signs of life come every half minute; three missed ones are silence. */
const SILENT_AFTER_SECONDS = 100

export function instanceView(row: InstanceRow, service: ServiceRow | undefined, standing: Standing): Instance {
  const addresses = JSON.parse(row.addresses) as Address[] // written by join and report
  return {
    instance_id: row.instance_id,
    service_name: service?.service_name ?? '',
    organization_id: row.organization_id,
    state: row.state === 'active' ? 'active' : 'deregistered',
    addresses: addresses.map(formatAddress),
    latest_serial: row.latest_serial,
    served_serial: row.served_serial,
    expires_at: isoOrNull(standing.expiry.get(row.instance_id) ?? null),
    connected: isConnected(row, standing.now),
    last_seen: isoOrNull(row.last_seen),
    state_generation:
      row.acknowledged_epoch === null ? null : `${row.acknowledged_epoch}.${row.acknowledged_agent_generation ?? 0}`,
    in_force: isInForce(row, standing),
    health: healthOf(row),
    version: row.agent_version,
  }
}

export function isConnected(row: InstanceRow, now: number): boolean {
  return row.last_seen !== null && now - row.last_seen <= SILENT_AFTER_SECONDS
}

/** Whether the agent acknowledged exactly what is published for it: hash and all. */
export function isInForce(row: InstanceRow, marks: StateMarks): boolean {
  const document = marks.documents.get(row.instance_id)
  return (
    document !== undefined &&
    row.acknowledged_agent_hash === document.content_hash &&
    row.acknowledged_agent_generation === document.generation &&
    row.acknowledged_epoch === document.epoch &&
    row.acknowledged_fleet_hash === marks.fleet?.content_hash
  )
}

export function serviceView(row: ServiceRow, instances: readonly InstanceRow[], standing: Standing): Service {
  const id = workloadId(standing.trustDomain, row.organization_id, row.service_name)
  const subject = standing.policy?.subjects.get(id)
  const external = JSON.parse(row.external_trust ?? 'null') as Address | null // written by registerService
  return {
    service_id: row.service_id,
    service_name: row.service_name,
    organization_id: row.organization_id,
    service_type: row.service_type as Service['service_type'], // written by registerService
    mode: row.mode,
    kind: row.kind,
    spiffe_id: id,
    class: subject?.kind === 'mesh' ? subject.class : null,
    endpoint_url: row.endpoint_url,
    health_endpoint: row.health_endpoint,
    allowed_networks: JSON.parse(row.allowed_networks) as string[], // written by registerService
    address: external === null ? null : formatAddress(external),
    status: row.status,
    has_valid_cert: hasValidCertificate(instances, standing),
    instances: instances.length,
    instances_seen: instances.filter((one) => isConnected(one, standing.now)).length,
    last_seen: isoOrNull(row.last_seen),
    created_at: isoOf(row.created_at),
  }
}

export function serviceHealthView(
  row: ServiceRow,
  instances: readonly InstanceRow[],
  standing: Standing,
): ServiceHealth {
  const views = instances.map((one) => ({
    instance_id: one.instance_id,
    health: healthOf(one),
    detail: reportOf(one)?.health.detail ?? null,
    connected: isConnected(one, standing.now),
    last_seen: isoOrNull(one.last_seen),
    expires_at: isoOrNull(standing.expiry.get(one.instance_id) ?? null),
  }))
  return {
    service_name: row.service_name,
    status: row.status,
    healthy: views.some((one) => one.connected && one.health === 'ok'),
    has_valid_cert: hasValidCertificate(instances, standing),
    instances: views,
  }
}

function hasValidCertificate(instances: readonly InstanceRow[], standing: Standing): boolean {
  return instances.some((one) => (standing.expiry.get(one.instance_id) ?? 0) >= standing.now)
}

const HEALTH = { healthy: 'ok', unhealthy: 'failing', unknown: 'unknown' } as const

function healthOf(row: InstanceRow): 'ok' | 'failing' | 'unknown' {
  const state = reportOf(row)?.health.state
  return state === undefined ? 'unknown' : HEALTH[state]
}

/** The last status of an instance, as it was verified. */
export function reportOf(row: InstanceRow): StatusBody | undefined {
  return row.last_report === null ? undefined : (JSON.parse(row.last_report) as StatusBody) // verified, then written
}
