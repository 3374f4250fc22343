import type { RevocationReason } from '@vcc/api'
import type { AuditDeps } from '../audit/append.ts'
import { type CertificateRow, certificatesOfKey, validAdminCertificates } from '../certificates/store.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import { auditKeyBlocked, auditRevoked, type By } from './audit.ts'
import { tooLarge } from './fleet.ts'
import { blockKey, isKeyBlocked, liveRevocations, MAX_REVOCATIONS, recordRevocation } from './store.ts'

export interface RevokeDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly now: () => Date
}

/** Why, since when, and for which incident. Instants are epoch seconds. */
export interface Ground {
  readonly reason: RevocationReason
  readonly invalidityAt: number | null
  readonly incident: string | null
}

/** What one revocation did: a compromised key takes all its certificates along. */
export interface Revoked {
  readonly revoked: readonly CertificateRow[]
  /** Were revoked before, and stay as they are. */
  readonly already: readonly CertificateRow[]
  readonly blockedKeys: readonly string[]
}

/**
 * Puts revocations on record, all or none, and blocks the keys of those whose key is compromised: nobody gets a
 * certificate for such a key again. What was revoked before stays as it is; only `key_compromise` may take another
 * reason's place, and the date stays. Costs the same however long a CRL is. Does not publish anything.
 *
 * @throws {DomainError} `not_revocable` (also for CAs: see `revokeAuthority`), `revocation_invalid`, `last_admin`,
 *   `revocation_too_large`
 */
export function* revokeLeaves(
  rows: readonly CertificateRow[],
  ground: Ground,
  by: By,
  deps: RevokeDeps,
): Unit<Revoked> {
  const outcome = yield* foreseen(rows, ground, deps)
  yield* record(outcome, ground, by, deps)
  if ((yield* liveRevocations(epochSeconds(deps.now()))) > MAX_REVOCATIONS) throw tooLarge()
  const anAdminWasRevoked = outcome.revoked.some((row) => row.purpose === 'admin')
  if (anAdminWasRevoked && (yield* validAdminCertificates(epochSeconds(deps.now()))) === 0) {
    throw new DomainError('last_admin', 'nobody could administer this control plane any more', {
      hint: 'request a certificate for another admin first: vcc-pki certificates request --template vcc-admin',
    })
  }
  return outcome
}

/** What {@link revokeLeaves} would do. Changes nothing. */
export function* foreseen(
  rows: readonly CertificateRow[],
  ground: Ground,
  deps: Pick<RevokeDeps, 'now'>,
): Unit<Revoked> {
  if (ground.reason === 'ca_compromise') {
    throw new DomainError('revocation_invalid', 'ca_compromise is a reason for certificates of CAs', {
      hint: 'use key_compromise',
    })
  }
  for (const row of rows) assertLeaf(row)
  return yield* judged(rows, ground, deps)
}

/** The certificate of a CA; `revokeAuthority` has looked at what hangs on it. */
export function* revokeCaCertificate(row: CertificateRow, ground: Ground, by: By, deps: RevokeDeps): Unit<Revoked> {
  const outcome = yield* judged([row], ground, deps)
  yield* record(outcome, ground, by, deps)
  return outcome
}

function* judged(rows: readonly CertificateRow[], ground: Ground, deps: Pick<RevokeDeps, 'now'>): Unit<Revoked> {
  const at = epochSeconds(deps.now())
  if (ground.invalidityAt !== null && ground.invalidityAt > at) {
    throw new DomainError('revocation_invalid', 'the invalidity date lies in the future', {
      hint: 'it says since when the key is suspected: at the latest now',
    })
  }
  const all = new Map(rows.map((row) => [row.cert_id, row]))
  const blockedKeys: string[] = []
  for (const spki of new Set(ground.reason === 'key_compromise' ? rows.map((row) => row.spki_sha256) : [])) {
    for (const row of yield* certificatesOfKey(spki)) all.set(row.cert_id, row)
    if (!(yield* isKeyBlocked(spki))) blockedKeys.push(spki)
  }
  const [revoked, already]: [CertificateRow[], CertificateRow[]] = [[], []]
  for (const row of all.values()) {
    if (becomesWorse(row, ground.reason)) revoked.push({ ...row, revocation_reason: ground.reason })
    else already.push(row)
  }
  return { revoked, already, blockedKeys }
}

function* record({ revoked, blockedKeys }: Revoked, ground: Ground, by: By, deps: RevokeDeps): Unit<void> {
  const at = epochSeconds(deps.now())
  for (const spki of blockedKeys) {
    yield* blockKey(spki, { at, actor: by.actor })
    yield* auditKeyBlocked(spki, by, deps)
  }
  for (const row of revoked) {
    const revokedAt = row.revoked_at ?? at
    const invalidityAt = ground.invalidityAt ?? row.invalidity_at
    yield* recordRevocation(row, { ...ground, invalidityAt, revokedAt, recordedAt: at, recordedBy: by.actor })
    yield* auditRevoked(row, ground, by, deps)
  }
}

/** Any other change of a reason would mislead whoever read the CRL before. */
function becomesWorse(row: CertificateRow, reason: RevocationReason): boolean {
  return row.revoked_at === null || (reason === 'key_compromise' && row.revocation_reason !== 'key_compromise')
}

function assertLeaf({ purpose }: CertificateRow): void {
  if (purpose === 'ca') {
    throw new DomainError('not_revocable', 'this is the certificate of a CA', {
      hint: 'vcc-pki authorities revoke CA-ID takes along what hangs on it',
    })
  }
  if (purpose === 'state') {
    throw new DomainError('not_revocable', 'agents believe a state signer because the trust statement names it', {
      hint: 'a new trust statement retires it',
    })
  }
}
