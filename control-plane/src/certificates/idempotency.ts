import { createHash } from 'node:crypto'
import { canonicalJson } from '@vcc/mesh'
import { change, first, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Existing } from '../issuance/issue.ts'

export interface Idempotency {
  /** Who the key belongs to. */
  readonly scope: string
  readonly key: string
  readonly request: unknown
}

const KEPT_SECONDS = 86_400

/**
 * Reserves the key for this request, or finds the certificate it got before. After an orphan the same request gets a
 * new serial; while it is still being signed, a repeat is told to wait.
 *
 * @throws {DomainError} `idempotency_key_reused` for another request under the same key, `issuance_lost`.
 */
export function* bindIdempotency(
  what: Idempotency,
  intentId: string,
  deps: { now: () => Date },
): Unit<Existing | undefined> {
  const now = epochSeconds(deps.now())
  const requestHash = createHash('sha256').update(canonicalJson(what.request)).digest('hex')
  const known = yield* keyInUse(what, now)
  if (known !== undefined) {
    if (known.request_sha256 !== requestHash) {
      throw new DomainError('idempotency_key_reused', 'this idempotency key was used for another request')
    }
    if (known.der !== null && known.issuing_ca_id !== null) return { der: known.der, issuingCaId: known.issuing_ca_id }
    if (known.state === 'open') {
      throw new DomainError('issuance_lost', 'the same request is under way already', { hint: 'try again' })
    }
  }
  const fresh = { request_sha256: requestHash, intent_id: intentId, cert_id: null, expires_at: now + KEPT_SECONDS }
  yield* change(
    query
      .insertInto('idempotency_keys')
      .values({ scope: what.scope, idempotency_key: what.key, created_at: now, ...fresh })
      .onConflict((conflict) => conflict.columns(['scope', 'idempotency_key']).doUpdateSet(fresh)),
  )
  return undefined
}

/** Part of the last commit: from now on the key answers with this certificate. */
export function* settleIdempotency(what: Idempotency, certId: string): Unit<void> {
  yield* change(
    query
      .updateTable('idempotency_keys')
      .set({ cert_id: certId })
      .where('scope', '=', what.scope)
      .where('idempotency_key', '=', what.key),
  )
}

/** Keys past their end, which stand for nothing any more. */
export function* dropExpiredKeys(now: Date): Unit<number> {
  return yield* change(query.deleteFrom('idempotency_keys').where('expires_at', '<=', epochSeconds(now)))
}

function keyInUse(what: Idempotency, now: number) {
  return first(
    query
      .selectFrom('idempotency_keys')
      .leftJoin('certificates', 'certificates.cert_id', 'idempotency_keys.cert_id')
      .leftJoin('issuance_intents', 'issuance_intents.intent_id', 'idempotency_keys.intent_id')
      .select([
        'idempotency_keys.request_sha256',
        'certificates.der',
        'certificates.issuing_ca_id',
        'issuance_intents.state',
      ])
      .where('idempotency_keys.scope', '=', what.scope)
      .where('idempotency_keys.idempotency_key', '=', what.key)
      .where('idempotency_keys.expires_at', '>', now),
  )
}
