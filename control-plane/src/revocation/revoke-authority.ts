import { appendAudit } from '../audit/append.ts'
import type { Authorities } from '../authority/authority.ts'
import { markAuthorityRevoked } from '../authority/store.ts'
import { certificateByIssuerAndSerial } from '../certificates/store.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import type { By } from './audit.ts'
import { type Ground, type RevokeDeps, type Revoked, revokeCaCertificate } from './revoke.ts'

/**
 * Revokes an issuing CA: from this commit on it signs no certificate, and the signed state that follows accepts nothing
 * it ever signed. Its key goes on signing its CRLs. Does not publish anything.
 *
 * @throws {DomainError} `authority_unknown`, `not_revocable`, `already_revoked`, `revocation_invalid`
 */
export async function revokeAuthority(
  caId: string,
  ground: Ground,
  by: By,
  deps: RevokeDeps & { authorities: Authorities },
): Promise<Revoked> {
  const authority = deps.authorities.byId(caId)
  const { parentCaId } = authority
  if (parentCaId === undefined) {
    throw new DomainError('not_revocable', 'nobody can revoke a root: it vouches for itself', {
      hint: 'a root is replaced, and those who trust it are told',
    })
  }
  if (authority.profile === 'control-ca') {
    throw new DomainError('not_revocable', 'without the Control CA no agent would believe any state, this included', {
      hint: 'its successor is named by a new trust statement',
    })
  }
  if (authority.profile === 'admin-ca') {
    throw new DomainError('not_revocable', 'nobody could administer this control plane any more', {
      hint: 'revoke the certificates of admins one by one: vcc-pki list-certificates --purpose admin',
    })
  }
  return deps.database.runUnit(function* (): Unit<Revoked> {
    const row = yield* certificateByIssuerAndSerial(parentCaId, authority.certificate.serialHex)
    if (row === undefined) throw new DomainError('authority_unknown', `there is no CA ${caId}`)
    const outcome = yield* revokeCaCertificate(row, ground, by, deps)
    if (outcome.revoked.length === 0) throw new DomainError('already_revoked', 'this CA is revoked already')
    yield* markAuthorityRevoked(caId)
    yield* appendAudit(
      {
        event: 'CA-01',
        outcome: 'success',
        reasonCode: ground.reason,
        actor: { type: 'human', ref: by.actor },
        target: { type: 'ca', id: caId },
        requestId: by.requestId,
      },
      deps.audit,
    )
    return outcome
  })
}
