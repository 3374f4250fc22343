import { randomUUIDv7 } from 'node:crypto'
import type { DenialTarget } from '@vcc/api'
import { PolicyError, resolveWorkload } from '@vcc/policy'
import type { AuditDeps } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import { GRANTS_CLASSES } from '../authority/hierarchy.ts'
import { certificateNamed } from '../certificates/named.ts'
import type { UnitAccess } from '../database/access.ts'
import { isUniqueViolation } from '../database/errors.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import { auditDenial, type By } from './audit.ts'
import { type DenialRow, denialById, insertDenial, MAX_DENIALS, markReleased, standingDenials } from './store.ts'

export interface DenyDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  readonly authorities: Authorities
  readonly now: () => Date
}

/**
 * Shuts something out until it is released, whatever certificates say. Does not publish it.
 *
 * @throws {DomainError} `denial_exists`, `service_name_invalid`, `certificate_unknown`, `authority_unknown`, `not_revocable`,
 *   `revocation_too_large`
 */
export async function deny(target: DenialTarget, note: string, by: By, deps: DenyDeps): Promise<DenialRow> {
  const id = randomUUIDv7()
  return deps.database
    .runUnit(function* (): Unit<DenialRow> {
      const at = epochSeconds(deps.now())
      if ((yield* standingDenials(at)).length >= MAX_DENIALS) {
        throw new DomainError('revocation_too_large', `more than ${MAX_DENIALS} denials do not fit into signed state`, {
          hint: 'release what is no longer needed: vcc-pki denials list',
        })
      }
      const row = {
        ...(yield* entryOf(target, by.organization, deps)),
        denial_id: id,
        note,
        created_by: by.actor,
        created_at: at,
        released_by: null,
        released_at: null,
      }
      yield* insertDenial(row, by.organization)
      yield* auditDenial(row, 'shut_out', by, deps)
      return row
    })
    .catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error
      throw new DomainError('denial_exists', 'a denial of this stands already', { cause: error })
    })
}

/**
 * Lets in again what a denial shut out. Its id is never used again, and agents forget it for this release only.
 * @throws {DomainError} `denial_unknown`, `denial_released`
 */
export async function release(id: string, by: By, deps: DenyDeps): Promise<DenialRow> {
  return deps.database.runUnit(function* (): Unit<DenialRow> {
    const row = yield* denialById(id, by.organization)
    if (row === undefined) throw new DomainError('denial_unknown', `there is no denial ${id}`)
    const at = epochSeconds(deps.now())
    if (!(yield* markReleased(id, { at, actor: by.actor }))) {
      throw new DomainError('denial_released', `the denial ${id} was released before`)
    }
    yield* auditDenial(row, 'released', by, deps)
    return { ...row, released_at: at, released_by: by.actor }
  })
}

function* entryOf(
  target: DenialTarget,
  organization: string,
  deps: DenyDeps,
): Unit<Pick<DenialRow, 'kind' | 'value' | 'issuer' | 'until'>> {
  if (target.kind === 'identity') {
    return { kind: 'identity', value: identityOf(target.service, deps.installation), issuer: null, until: null }
  }
  if (target.kind === 'key') return { kind: 'spki', value: target.spki_sha256, issuer: null, until: null }
  if (target.kind === 'issuer') {
    const { certificate, profile } = deps.authorities.byId(target.ca_id)
    if (!GRANTS_CLASSES.has(profile)) {
      throw new DomainError('not_revocable', 'this CA vouches for nobody in the mesh', {
        hint: 'a denial is for CAs that issue to services',
      })
    }
    return { kind: 'issuer', value: certificate.publicKey.spkiSha256Hex, issuer: null, until: null }
  }
  const row = yield* certificateNamed(target.cert_id, organization)
  const { certificate } = deps.authorities.byId(row.issuing_ca_id)
  const issuer = certificate.publicKey.spkiSha256Hex
  return { kind: 'serial', value: row.serial_number, issuer, until: row.expires_at }
}

function identityOf(text: string, { trustDomain, homeOrganization: organization }: Installation): string {
  try {
    return resolveWorkload(text, { trustDomain, organization })
  } catch (cause) {
    if (cause instanceof PolicyError) throw new DomainError('service_name_invalid', cause.message, { cause })
    throw cause
  }
}
