import type { Denial, Enforcement, RevocationAnswer, RevokedCertificate } from '@vcc/api'
import type { CertificateRow } from '../certificates/store.ts'
import type { ReadAccess } from '../database/access.ts'
import { isoOf, isoOrNull } from '../epoch.ts'
import { enforcement } from '../registry/enforcement.ts'
import type { InstanceRow } from '../registry/instances-store.ts'
import { servicesOf } from '../registry/store.ts'
import type { StateMarks } from '../registry/view.ts'
import type { Revoked } from './revoke.ts'
import type { DenialRow } from './store.ts'
import type { IsTarget } from './targets.ts'

interface Wait {
  readonly organization: string
  /** As the request says; the agents have this long to acknowledge. */
  readonly seconds: number | undefined
  readonly signal: AbortSignal
  readonly isTarget: IsTarget
  /** Before it is, nobody can have it, whatever they acknowledged. */
  readonly isPublished: boolean
}

interface AnswerDeps {
  readonly database: ReadAccess
  readonly now: () => Date
}

/** "Enforced on n of m", for whoever acknowledged the fleet document that carries it. */
export async function enforced({ isTarget, isPublished, ...wait }: Wait, deps: AnswerDeps): Promise<Enforcement> {
  const { of, pending } = await enforcement(
    isPublished ? holdsFleet : () => false,
    {
      ...wait,
      seconds: isPublished ? (wait.seconds ?? WAIT_SECONDS) : 0,
      document: 'fleet',
      counts: (one) => !isTarget(one),
    },
    deps,
  )
  return { enforced_on: of - pending.length, of, not_reached: pending.map((one) => ({ ...one })) }
}

export async function revocationAnswer(
  { revoked, already, blockedKeys }: Revoked,
  enforcement: Enforcement | null,
  organization: string,
  deps: AnswerDeps,
): Promise<RevocationAnswer> {
  const services = await deps.database.read(() => servicesOf(organization))
  const names = new Map(services.map((one) => [one.service_id, one.service_name]))
  return {
    dry_run: enforcement === null,
    revoked: revoked.slice(0, SHOWN).map((row) => revokedView(row, names)),
    count: revoked.length,
    already: already.slice(0, SHOWN).map(certId),
    blocked_keys: [...blockedKeys],
    enforcement,
  }
}

export function denialView(row: DenialRow): Denial {
  return {
    denial_id: row.denial_id,
    kind: row.kind === 'spki' ? 'key' : row.kind,
    value: row.value,
    issuer: row.issuer,
    note: row.note,
    created_by: row.created_by,
    created_at: isoOf(row.created_at),
    released_by: row.released_by,
    released_at: isoOrNull(row.released_at),
  }
}

function holdsFleet(row: InstanceRow, { fleet }: StateMarks): boolean {
  return (
    fleet !== undefined &&
    row.acknowledged_epoch === fleet.epoch &&
    row.acknowledged_fleet_generation === fleet.generation &&
    row.acknowledged_fleet_hash === fleet.content_hash
  )
}

function revokedView(row: CertificateRow, names: ReadonlyMap<string, string>): RevokedCertificate {
  return {
    cert_id: certId(row),
    serial_number: row.serial_number,
    service_name: row.service_id === null ? null : (names.get(row.service_id) ?? null),
    instance_id: row.instance_id,
    purpose: row.purpose,
    expires_at: isoOf(row.expires_at),
    revoked_at: isoOrNull(row.revoked_at),
  }
}

function certId(row: CertificateRow): string {
  return `${row.issuing_ca_id}-${row.serial_number}`
}

const WAIT_SECONDS = 10
const SHOWN = 500
