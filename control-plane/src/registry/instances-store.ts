import { compiled } from '../database/compiled.ts'
import { change, first, many, query, type Unit } from '../database/unit.ts'

export interface InstanceRow {
  readonly instance_id: string
  readonly service_id: string
  readonly organization_id: string
  readonly state: 'active' | 'retired'
  /** JSON: `[{host, port}]`. */
  readonly addresses: string
  readonly latest_issuing_ca_id: string | null
  readonly latest_serial: string | null
  readonly latest_spki_sha256: string | null
  readonly previous_serial: string | null
  /** JSON: numbers. */
  readonly state_formats: string
  readonly agent_version: string | null
  /** JSON: the body of the last status report. */
  readonly last_report: string | null
  readonly served_serial: string | null
  readonly acknowledged_epoch: number | null
  readonly acknowledged_fleet_generation: number | null
  readonly acknowledged_fleet_hash: string | null
  readonly acknowledged_agent_generation: number | null
  readonly acknowledged_agent_hash: string | null
  /** Certificates issued before it are to be renewed at once. */
  readonly issued_after: number | null
  readonly last_seen: number | null
}

const COLUMNS = [
  'instance_id',
  'service_id',
  'organization_id',
  'state',
  'addresses',
  'latest_issuing_ca_id',
  'latest_serial',
  'latest_spki_sha256',
  'previous_serial',
  'state_formats',
  'agent_version',
  'last_report',
  'served_serial',
  'acknowledged_epoch',
  'acknowledged_fleet_generation',
  'acknowledged_fleet_hash',
  'acknowledged_agent_generation',
  'acknowledged_agent_hash',
  'issued_after',
  'last_seen',
] as const

export function* instanceById(instanceId: string): Unit<InstanceRow | undefined> {
  return yield* first(byInstanceId(instanceId))
}

const byInstanceId = compiled((instanceId: string) =>
  query.selectFrom('agents').select(COLUMNS).where('instance_id', '=', instanceId),
)

export function* activeInstances(organization: string): Unit<readonly InstanceRow[]> {
  return yield* many(
    query
      .selectFrom('agents')
      .select(COLUMNS)
      .where('organization_id', '=', organization)
      .where('state', '=', 'active')
      .orderBy('id')
      .limit(20_000),
  )
}

/** Of every organisation: what the fleet consists of. */
export function* allActiveInstances(): Unit<readonly InstanceRow[]> {
  return yield* many(
    query.selectFrom('agents').select(COLUMNS).where('state', '=', 'active').orderBy('id').limit(20_000),
  )
}

export interface LatestCertificate {
  readonly instance_id: string
  readonly service_id: string
  readonly expires_at: number
  readonly class: string | null
}

/** What each active instance holds, as far as we know. */
export function* latestCertificates(organization: string): Unit<readonly LatestCertificate[]> {
  return yield* many(
    query
      .selectFrom('agents')
      .innerJoin('certificates', (join) =>
        join
          .onRef('certificates.issuing_ca_id', '=', 'agents.latest_issuing_ca_id')
          .onRef('certificates.serial_number', '=', 'agents.latest_serial'),
      )
      .select(['agents.instance_id', 'agents.service_id', 'certificates.expires_at', 'certificates.class'])
      .where('agents.organization_id', '=', organization)
      .where('agents.state', '=', 'active')
      .limit(20_000),
  )
}

export interface NewInstance {
  readonly instance_id: string
  readonly service_id: string
  readonly organization_id: string
  readonly addresses: string
  readonly state_formats: string
  readonly agent_version: string
  readonly latest_issuing_ca_id: string
  readonly latest_serial: string
  readonly latest_spki_sha256: string
  readonly joined_at: number
}

export function* insertInstance(row: NewInstance): Unit<void> {
  yield* change(
    query.insertInto('agents').values({
      ...row,
      state: 'active',
      previous_serial: null,
      last_report: null,
      served_serial: null,
      acknowledged_epoch: null,
      acknowledged_fleet_generation: null,
      acknowledged_fleet_hash: null,
      acknowledged_agent_generation: null,
      acknowledged_agent_hash: null,
      issued_after: null,
      last_seen: null,
    }),
  )
}

/** Compare-and-swap on the latest serial; false when another renewal was faster. */
export function* replaceLatest(
  instance: InstanceRow,
  next: { serialHex: string; issuingCaId: string; spki: string },
): Unit<boolean> {
  const changed = yield* change(
    query
      .updateTable('agents')
      .set({
        previous_serial: instance.latest_serial,
        latest_serial: next.serialHex,
        latest_issuing_ca_id: next.issuingCaId,
        latest_spki_sha256: next.spki,
      })
      .where('instance_id', '=', instance.instance_id)
      .where('latest_serial', '=', instance.latest_serial)
      .where('state', '=', 'active'),
  )
  return changed === 1
}

/** From now on it gets neither certificates nor state. Answers whether it was active. */
export function* retireInstance(instanceId: string, organization: string): Unit<boolean> {
  const changed = yield* change(
    query
      .updateTable('agents')
      .set({ state: 'retired' })
      .where('instance_id', '=', instanceId)
      .where('organization_id', '=', organization)
      .where('state', '=', 'active'),
  )
  return changed === 1
}

/** Answers which those were. */
export function* retireInstancesOf(serviceId: string): Unit<readonly string[]> {
  const retired = yield* many(
    query
      .updateTable('agents')
      .set({ state: 'retired' })
      .where('service_id', '=', serviceId)
      .where('state', '=', 'active')
      .returning('instance_id'),
  )
  return retired.map((row) => row.instance_id)
}

export interface Acknowledgement {
  readonly kind: 'fleet' | 'agent'
  readonly epoch: number
  readonly generation: number
  readonly contentHash: string
  readonly servedSerial: string | null
}

/** An acknowledgement of something older than the instance acknowledged before came late, and is passed over. */
export function* recordAcknowledgement(instanceId: string, ack: Acknowledgement, at: number): Unit<void> {
  const { epoch, generation, contentHash } = ack
  const row = yield* instanceById(instanceId)
  const before = ack.kind === 'fleet' ? row?.acknowledged_fleet_generation : row?.acknowledged_agent_generation
  const isLate = row?.acknowledged_epoch === epoch && (before ?? 0) > generation
  if (row === undefined || isLate || (row.acknowledged_epoch ?? 0) > epoch) return
  const held =
    ack.kind === 'fleet'
      ? { acknowledged_fleet_generation: generation, acknowledged_fleet_hash: contentHash }
      : { acknowledged_agent_generation: generation, acknowledged_agent_hash: contentHash }
  yield* change(
    query
      .updateTable('agents')
      .set({ ...held, acknowledged_epoch: epoch, served_serial: ack.servedSerial, last_seen: at })
      .where('instance_id', '=', instanceId),
  )
}

/** From now on certificates issued before `at` are to be renewed. Answers whom it concerns. */
export function* demandRenewal(
  organization: string,
  serviceId: string | undefined,
  at: number,
): Unit<readonly string[]> {
  const concerned = (yield* activeInstances(organization)).filter(
    (one) => serviceId === undefined || one.service_id === serviceId,
  )
  const all = query
    .updateTable('agents')
    .set({ issued_after: at })
    .where('organization_id', '=', organization)
    .where('state', '=', 'active')
  yield* change(serviceId === undefined ? all : all.where('service_id', '=', serviceId))
  return concerned.map((one) => one.instance_id)
}

export function* recordReport(
  instanceId: string,
  report: {
    json: string
    addresses: string | undefined
    stateFormats: string
    agentVersion: string
    servedSerial: string | null
  },
  at: number,
): Unit<void> {
  yield* change(
    query
      .updateTable('agents')
      .set({
        last_report: report.json,
        state_formats: report.stateFormats,
        agent_version: report.agentVersion,
        served_serial: report.servedSerial,
        last_seen: at,
        ...(report.addresses === undefined ? {} : { addresses: report.addresses }),
      })
      .where('instance_id', '=', instanceId),
  )
}
