import type { VerifiedCsr } from '@vcc/x509'
import { appendAudit } from '../audit/append.ts'
import { markReplaced } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds, isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import { type CertificateOrder, type Existing, type Issued, issue } from '../issuance/issue.ts'
import type { Cause } from '../issuance/store.ts'
import { type InstanceRow, replaceLatest } from '../registry/instances-store.ts'
import { type ServiceRow, serviceById } from '../registry/store.ts'
import { assertNotDenied } from '../revocation/admit.ts'
import { assertClassStands, BACKDATE_MS, identityOrder } from './identity.ts'
import type { EnrolDeps } from './join.ts'
import { admitNamed, admitPresented, type Presented } from './presented.ts'

interface Context {
  readonly cause: Extract<Cause, 'renewal' | 're-enrolment'>
  readonly requestId: string
}

/**
 * The next certificate of an instance. Idempotent on (instance, serial presented, key of the CSR): a repeat gets the
 * same certificate, or a new serial after an orphan. Orphans never count as latest.
 *
 * @throws {DomainError} `identity_unknown`, `identity_revoked`, `identity_forked`, `csr_refused` when the key is not
 *   new, `renewal_too_early` before an instant that signed state demands, and what {@link issue} throws.
 */
export async function renew(
  presented: Presented,
  csr: VerifiedCsr,
  context: Context,
  deps: EnrolDeps,
): Promise<{ service: ServiceRow; issued: Issued }> {
  try {
    return await renewed(presented, csr, context, deps)
  } catch (error) {
    if (error instanceof DomainError && ON_RECORD.has(error.code)) {
      await deps.database.runUnit(() => auditRefused(presented, error.code, context, deps))
    }
    throw error
  }
}

/** Somebody else may hold the identity: not only the caller is to know. */
const ON_RECORD: ReadonlySet<string> = new Set(['identity_forked', 'identity_revoked'])

async function renewed(presented: Presented, csr: VerifiedCsr, context: Context, deps: EnrolDeps) {
  const spki = csr.publicKey.spkiSha256Hex
  const { service, instance, already } = await deps.database.read(() => standing(presented, spki))
  const requester = { type: 'service', ref: presented.instance } as const
  const order = identityOrder({ service, instance: presented.instance, csr, requester, ...context }, deps)
  if (already === undefined) assertYoungEnough(order, instance)
  const issued = await issue(
    {
      ...order,
      references: { predecessorSerial: presented.serialHex },
      *bind() {
        return (yield* standing(presented, spki)).already
      },
      *settle(certificate) {
        const current = yield* standing(presented, spki)
        assertClassStands(current.service, order.record.className, deps)
        const { caId: issuingCaId } = order.issuer
        const swapped = yield* replaceLatest(current.instance, { ...certificate, issuingCaId, spki })
        if (!swapped) throw new DomainError('identity_forked', 'another renewal of this certificate was faster')
        yield* markReplaced(presented.issuingCaId, presented.serialHex, certificate.certId)
      },
    },
    deps,
  )
  return { service, issued }
}

/** Where the presented certificate stands in the instance's line, judged inside one unit. */
function* standing(
  presented: Presented,
  spki: string,
): Unit<{ instance: InstanceRow; service: ServiceRow; already: Existing | undefined }> {
  const { instance, certificate } = yield* admitPresented(presented)
  yield* assertNotDenied(certificate)
  const service = yield* serviceById(instance.service_id)
  if (service === undefined) throw new DomainError('identity_unknown', 'the service of this instance is not registered')
  const { latest_issuing_ca_id: latestCaId, latest_serial: latestSerial } = instance
  if (presented.serialHex === latestSerial && presented.issuingCaId === latestCaId) {
    if (spki === instance.latest_spki_sha256) {
      throw new DomainError('csr_refused', 'a renewal needs a new key', { hint: 'make a key pair for each request' })
    }
    return { instance, service, already: undefined }
  }
  if (presented.serialHex === instance.previous_serial && spki === instance.latest_spki_sha256) {
    if (latestCaId !== null && latestSerial !== null) {
      const latest = { instance: presented.instance, issuingCaId: latestCaId, serialHex: latestSerial }
      const { der } = (yield* admitNamed(latest)).certificate
      if (der !== null) return { instance, service, already: { der, issuingCaId: latestCaId } }
    }
  }
  throw new DomainError('identity_forked', 'a newer certificate of this instance exists, for another key', {
    hint: 'two agents may be using the same identity; stop one and join it with a token of its own',
  })
}

/** "an agent renews while notBefore + 300 s < T; the control plane signs no such renewal before T" */
function assertYoungEnough(order: Pick<CertificateOrder, 'notBefore'>, { issued_after: after }: InstanceRow): void {
  if (after === null || epochSeconds(order.notBefore) + BACKDATE_MS / 1000 >= after) return
  throw new DomainError('renewal_too_early', `a certificate of before ${isoOf(after)} would have to be renewed again`, {
    hint: 'try again then; this clock or yours may be behind',
  })
}

function* auditRefused(presented: Presented, code: string, context: Context, deps: EnrolDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'MSH-07',
      outcome: 'denied',
      reasonCode: code,
      actor: { type: 'service', ref: presented.instance },
      target: { type: 'certificate', id: `${presented.issuingCaId}-${presented.serialHex}` },
      requestId: context.requestId,
    },
    deps.audit,
  )
}
