import type { RevocationReason as ApiReason } from '@vcc/api'
import type { CertificateStatus, ServedIssuer, StatusSource } from '@vcc/ocsp'
import type { Authorities, Authority } from '../authority/authority.ts'
import type { ReadAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { CRL_REASONS } from '../revocation/reason.ts'
import { answeringCas } from './responder-keys.ts'
import { intentIsOpen, statusRow } from './store.ts'

export interface SourceDeps {
  readonly database: ReadAccess
  readonly authorities: Authorities
  readonly now: () => Date
}

/** The database as the responder's source. */
export interface DatabaseSource extends StatusSource {
  /** A status that was given out may be wrong from now on: call it before anybody is told of the revocation. */
  readonly changed: () => void
}

/** Statuses as they are at this moment: nothing is between a revocation's commit and the next answer. */
export function databaseSource(deps: SourceDeps): DatabaseSource {
  let generation = 0
  let known: { readonly all: readonly Authority[]; readonly issuers: readonly ServedIssuer[] } | undefined
  return {
    changed() {
      generation += 1
    },
    issuers() {
      const all = deps.authorities.all()
      if (known?.all !== all) {
        const issuers = answeringCas(deps.authorities, deps.now()).map(({ caId: id, certificate }) => ({
          id,
          certificate,
        }))
        known = { all, issuers }
      }
      return known.issuers
    },
    standing() {
      const now = epochSeconds(deps.now())
      return { generation, asOfSeconds: now, validUntilSeconds: now + LIFE_SECONDS }
    },
    status: (issuerId, serialHex) => deps.database.read(() => statusOf(issuerId, serialHex)),
  }
}

/** `good` only for what was issued; an intent that is open is nobody's business yet, and nothing to remember. */
function* statusOf(caId: string, serialHex: string): Unit<CertificateStatus> {
  const row = yield* statusRow(caId, serialHex)
  if (row === undefined) {
    const why = (yield* intentIsOpen(caId, serialHex)) ? 'open_intent' : 'never_issued'
    return { status: 'unknown', why }
  }
  if (row.revoked_at === null) return { status: 'good' }
  return {
    status: 'revoked',
    at: new Date(row.revoked_at * 1000),
    reason: CRL_REASONS[row.revocation_reason as ApiReason] ?? 'unspecified', // written by revocation/store.ts
    ...(row.invalidity_at === null ? {} : { invalidityDate: new Date(row.invalidity_at * 1000) }),
  }
}

/** How long what was read may be relied on while it is signed. */
const LIFE_SECONDS = 86_400
