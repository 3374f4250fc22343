import { createHash } from 'node:crypto'
import { canonicalJson } from '@vcc/mesh'
import { change, first, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'

export interface Idempotency {
  /** Who the key belongs to. */
  readonly scope: string
  readonly key: string
  readonly request: unknown
  readonly spki: string
}

const KEPT_SECONDS = 86_400

/**
 * Reserves the key for this request, or finds the certificate it got before. After an orphan the same request gets a
 * new serial.
 *
 * @throws {DomainError} `idempotency_key_reused` for another request under the same key.
 */
export function* bindIdempotency(
  what: Idempotency,
  intentId: string,
  deps: { now: () => Date },
): Unit<Uint8Array | undefined> {
  const now = epochSeconds(deps.now())
  const requestHash = createHash('sha256').update(canonicalJson(what.request)).digest('hex')
  const known = yield* first(
    query
      .selectFrom('idempotency_keys')
      .leftJoin('certificates', 'certificates.cert_id', 'idempotency_keys.cert_id')
      .select(['idempotency_keys.request_sha256', 'certificates.der'])
      .where('idempotency_keys.scope', '=', what.scope)
      .where('idempotency_key', '=', what.key)
      .where('idempotency_keys.expires_at', '>', now),
  )
  if (known !== undefined && known.request_sha256 !== requestHash) {
    throw new DomainError('idempotency_key_reused', 'this idempotency key was used for another request')
  }
  if (known?.der) return known.der
  const fresh = { request_sha256: requestHash, spki_sha256: what.spki, created_at: now }
  const current = { intent_id: intentId, cert_id: null, expires_at: now + KEPT_SECONDS }
  yield* change(
    query
      .insertInto('idempotency_keys')
      .values({ scope: what.scope, idempotency_key: what.key, ...fresh, ...current })
      .onConflict((conflict) => conflict.columns(['scope', 'idempotency_key']).doUpdateSet(current)),
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
