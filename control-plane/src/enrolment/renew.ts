import type { VerifiedCsr } from '@vcc/x509'
import { certificateDer, markReplaced } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import { type Issued, issue } from '../issuance/issue.ts'
import type { Cause } from '../issuance/store.ts'
import { type InstanceRow, instanceById, replaceLatest } from '../registry/instances-store.ts'
import { type ServiceRow, serviceById } from '../registry/store.ts'
import { identityOrder } from './identity.ts'
import type { EnrolDeps } from './join.ts'

/** The certificate the caller proved to hold, by TLS or by the envelope's signature. */
export interface Presented {
  readonly instance: string
  readonly serialHex: string
}

/**
 * The next certificate of an instance. Idempotent on (instance, serial presented, key of the CSR): a repeat gets the
 * same certificate, or a new serial after an orphan. Orphans never count as latest.
 *
 * @throws {DomainError} `identity_unknown`, `identity_revoked`, `identity_forked`, `csr_refused` when the key is not
 *   new, and what {@link issue} throws.
 */
export async function renew(
  presented: Presented,
  csr: VerifiedCsr,
  context: { cause: Extract<Cause, 'renewal' | 're-enrolment'>; requestId: string },
  deps: EnrolDeps,
): Promise<{ service: ServiceRow; issued: Issued }> {
  const spki = csr.publicKey.spkiSha256Hex
  const { service } = await deps.database.read(() => standing(presented, spki))
  const order = identityOrder(
    {
      service,
      instance: presented.instance,
      csr,
      cause: context.cause,
      requestId: context.requestId,
      requester: { type: 'service', ref: presented.instance },
    },
    deps,
  )
  const issued = await issue(
    {
      ...order,
      references: { predecessorSerial: presented.serialHex },
      *bind() {
        return (yield* standing(presented, spki)).already
      },
      *settle(certificate) {
        const { instance } = yield* standing(presented, spki)
        const caId = order.issuer.caId
        const swapped = yield* replaceLatest(instance, { ...certificate, issuingCaId: caId, spki })
        if (!swapped) throw new DomainError('identity_forked', 'another renewal of this certificate was faster')
        yield* markReplaced(instance.latest_issuing_ca_id, presented.serialHex, certificate.certId)
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
): Unit<{ instance: InstanceRow; service: ServiceRow; already: Uint8Array | undefined }> {
  const instance = yield* instanceById(presented.instance)
  if (instance?.state !== 'active') {
    throw new DomainError('identity_unknown', 'this instance is not registered, or no longer', {
      hint: 'join again with a new token: vcc-pki tokens create SERVICE',
    })
  }
  const service = yield* serviceById(instance.service_id)
  if (service === undefined) throw new DomainError('identity_unknown', 'the service of this instance is not registered')
  if (presented.serialHex === instance.latest_serial) {
    if (spki === instance.latest_spki_sha256) {
      throw new DomainError('csr_refused', 'a renewal needs a new key', { hint: 'make a key pair for each request' })
    }
    return { instance, service, already: undefined }
  }
  if (presented.serialHex === instance.previous_serial && spki === instance.latest_spki_sha256) {
    const already = yield* certificateDer(instance.latest_issuing_ca_id, instance.latest_serial)
    if (already !== undefined) return { instance, service, already }
  }
  throw new DomainError('identity_forked', 'a newer certificate of this instance exists, for another key', {
    hint: 'two agents may be using the same identity; stop one and join it with a token of its own',
  })
}
