import type { RevokeRequest } from '@vcc/api'
import { certificateNamed } from '../certificates/named.ts'
import type { CertificateRow } from '../certificates/store.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { AdminCaller } from '../http/caller.ts'
import type { Handlers, RequestContext } from '../http/handlers.ts'
import { denialView, enforced, revocationAnswer } from './answer.ts'
import type { By } from './audit.ts'
import { type DenyDeps, deny, release } from './deny.ts'
import { foreseen, type Ground, type Revoked, revokeLeaves } from './revoke.ts'
import { revokeAuthority } from './revoke-authority.ts'
import { MAX_SELECTED, selectCertificates } from './select.ts'
import { denialsOf } from './store.ts'
import { deniedBy, holdersOf, type IsTarget } from './targets.ts'

export interface RevocationRouteDeps extends DenyDeps {
  /** What was said of certificates before may be wrong from now on; called before anybody is told. */
  readonly onRecorded: () => void
  /** Publishes who is shut out, and nothing else that may have changed. Answers whether it was made; it is made later. */
  readonly onShutOut: () => Promise<boolean>
  /** Connections of these instances to API and broker end at once. */
  readonly onRetired: (instances: readonly string[]) => void
}

type RevocationRoutes = 'certRevoke' | 'certRevokeBulk' | 'caRevoke' | 'denialList' | 'denialCreate' | 'denialRelease'

type Context = RequestContext<AdminCaller>

/** Revocation and isolation: on record first, then signed state, then the answer on how many agents have it. */
export function revocationRoutes(deps: RevocationRouteDeps): Pick<Handlers, RevocationRoutes> {
  const organization = deps.installation.homeOrganization
  const by = ({ caller, requestId }: Context): By => ({ actor: caller.ref, organization, requestId })
  const enforcedOn = async (isTarget: IsTarget, seconds: number | undefined, { signal }: Context) => {
    const isPublished = await deps.onShutOut()
    return enforced({ organization, signal, seconds, isTarget, isPublished }, deps)
  }
  const published = async (outcome: Revoked, seconds: number | undefined, context: Context) => {
    deps.onRecorded()
    deps.onRetired(outcome.revoked.flatMap((row) => row.instance_id ?? []))
    const enforcement = await enforcedOn(holdersOf(outcome.revoked), seconds, context)
    return revocationAnswer(outcome, enforcement, organization, deps)
  }
  return {
    async certRevoke({ params, body }, context) {
      const outcome = await deps.database.runUnit(function* () {
        const row = yield* certificateNamed(params.cert_id, organization)
        const revoked = yield* revokeLeaves([row], groundOf(body), by(context), deps)
        if (revoked.revoked.length === 0) throw alreadyRevoked(row)
        return revoked
      })
      return published(outcome, body.wait_seconds, context)
    },
    async certRevokeBulk({ body }, context) {
      const select = () => selectCertificates(body.select, organization, deps.now())
      if (body.dry_run) {
        const outcome = await deps.database.read(function* () {
          return yield* foreseen(yield* select(), groundOf(body), deps)
        })
        return revocationAnswer(outcome, null, organization, deps)
      }
      const outcome = await deps.database.runUnit(
        function* () {
          return yield* revokeLeaves(yield* select(), groundOf(body), by(context), deps)
        },
        { steps: STEPS_PER_CERTIFICATE * MAX_SELECTED },
      )
      return published(outcome, body.wait_seconds, context)
    },
    async caRevoke({ params, body }, context) {
      const outcome = await revokeAuthority(params.ca_id, groundOf(body), by(context), deps)
      await deps.authorities.reload()
      return published(outcome, body.wait_seconds, context)
    },
    async denialList({ query }) {
      const rows = await deps.database.read(() => denialsOf(organization, query.released ?? false))
      return { items: rows.map(denialView) }
    },
    async denialCreate({ body }, context) {
      const row = await deny(body.target, body.note, by(context), deps)
      const enforcement = await enforcedOn(await deniedBy(row, deps), body.wait_seconds, context)
      return { denial: denialView(row), enforcement }
    },
    async denialRelease({ params, body }, context) {
      const row = await release(params.denial_id, by(context), deps)
      return { denial: denialView(row), enforcement: await enforcedOn(() => false, body.wait_seconds, context) }
    },
  }
}

/** Reading it, its key, its row, the journal, and the audit chain's head, row and details. */
const STEPS_PER_CERTIFICATE = 20

function groundOf({ reason, invalidity_date: since, incident }: RevokeRequest): Ground {
  const invalidityAt = since === undefined ? null : epochSeconds(new Date(since))
  return { reason, invalidityAt, incident: incident ?? null }
}

function alreadyRevoked(row: CertificateRow): DomainError {
  return new DomainError('already_revoked', `it is revoked already, as ${row.revocation_reason ?? 'unspecified'}`, {
    hint: 'only key_compromise may take the place of another reason',
  })
}
