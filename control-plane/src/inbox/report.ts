import { canonicalJson, type VerifiedEnvelope } from '@vcc/mesh'
import type { UnitAccess } from '../database/access.ts'
import { admitPresented, presentedBy } from '../enrolment/presented.ts'
import { epochSeconds } from '../epoch.ts'
import { addressesWithin } from '../registry/addresses.ts'
import { recordAcknowledgement, recordReport } from '../registry/instances-store.ts'
import { markServiceSeen, serviceById } from '../registry/store.ts'

export interface ReportDeps {
  readonly database: UnitAccess
  /** An instance is elsewhere than before: its callers are to be told. */
  readonly onMoved: () => void
  readonly now: () => Date
}

/**
 * An agent's acknowledgement of a document it applied; a refusal says nothing about what is in force.
 * @throws {DomainError} `identity_unknown`, `identity_revoked`
 */
export async function acknowledge(envelope: VerifiedEnvelope<'ack'>, deps: ReportDeps): Promise<void> {
  const { body, sender } = envelope
  if (body.outcome.result !== 'applied') return
  const ack = {
    kind: body.kind,
    epoch: body.epoch,
    generation: body.generation,
    contentHash: body.contentHash,
    servedSerial: body.serial,
  }
  await deps.database.runUnit(function* () {
    yield* admitPresented(presentedBy(sender))
    yield* recordAcknowledgement(sender.instance, ack, epochSeconds(deps.now()))
  })
}

/**
 * An agent's status: sign of life, health of the local service, what it holds, where it can be reached.
 * @throws {DomainError} `identity_unknown`, `identity_revoked`
 */
export async function report(envelope: VerifiedEnvelope<'status'>, deps: ReportDeps): Promise<void> {
  const { body, sender } = envelope
  const at = epochSeconds(deps.now())
  const moved = await deps.database.runUnit(function* () {
    const { instance } = yield* admitPresented(presentedBy(sender))
    const service = yield* serviceById(instance.service_id)
    if (service === undefined) return false
    const allowed = addressesWithin(body.addresses, JSON.parse(service.allowed_networks) as string[])
    const addresses = canonicalJson(allowed ? body.addresses : (JSON.parse(instance.addresses) as unknown))
    yield* recordReport(
      sender.instance,
      {
        json: canonicalJson(body),
        addresses,
        stateFormats: canonicalJson(body.formats),
        agentVersion: body.version,
        servedSerial: body.certificate?.serial ?? null,
      },
      at,
    )
    yield* markServiceSeen(service.service_id, at)
    return addresses !== instance.addresses
  })
  if (moved) deps.onMoved()
}
