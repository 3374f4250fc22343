import { canonicalJson } from '@vcc/mesh'
import { compiled } from '../database/compiled.ts'
import { change, first, many, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Existing } from '../issuance/issue.ts'
import { insertInstance } from '../registry/instances-store.ts'
import { markServiceSeen, type ServiceRow, serviceById } from '../registry/store.ts'
import type { JoinRequest } from './join.ts'

export interface TokenRow {
  readonly token_id: string
  readonly organization_id: string
  readonly service_id: string
  readonly created_at: number
  readonly expires_at: number
  readonly bound_spki_sha256: string | null
  readonly bound_instance_id: string | null
  readonly used_serial: string | null
  readonly revoked_at: number | null
}

const COLUMNS = [
  'token_id',
  'organization_id',
  'service_id',
  'created_at',
  'expires_at',
  'bound_spki_sha256',
  'bound_instance_id',
  'used_serial',
  'revoked_at',
] as const

export function* tokenByHash(hash: string): Unit<TokenRow | undefined> {
  return yield* first(byTokenHash(hash))
}

const byTokenHash = compiled((hash: string) =>
  query.selectFrom('join_tokens').select(COLUMNS).where('token_sha256', '=', hash),
)

export function* listTokens(organization: string): Unit<readonly TokenRow[]> {
  return yield* many(
    query
      .selectFrom('join_tokens')
      .select(COLUMNS)
      .where('organization_id', '=', organization)
      .orderBy('id', 'desc')
      .limit(500),
  )
}

export interface Binding {
  /** Of the token. */
  readonly hash: string
  readonly instance: string
  /** Of the CSR's public key. */
  readonly spki: string
}

/**
 * Binds the token to the key, by compare-and-swap, or finds it bound to the same.
 * Answers the certificate that this binding already got, if it did.
 *
 * @throws {DomainError} `token_unknown`, `token_expired`, `token_bound`.
 */
export function* bindToken(binding: Binding, deps: { now: () => Date }): Unit<Existing | undefined> {
  const now = epochSeconds(deps.now())
  const token = yield* tokenByHash(binding.hash)
  if (token === undefined || token.revoked_at !== null) {
    throw new DomainError('token_unknown', 'this join token is not known, or was withdrawn')
  }
  if (token.expires_at <= now) {
    throw new DomainError(
      'token_expired',
      `this join token ended at ${new Date(token.expires_at * 1000).toISOString()}`,
      {
        hint: 'ask for a new one: vcc-pki tokens create SERVICE',
      },
    )
  }
  if (token.bound_spki_sha256 === null) {
    yield* change(
      query
        .updateTable('join_tokens')
        .set({ bound_spki_sha256: binding.spki, bound_instance_id: binding.instance, bound_at: now })
        .where('token_sha256', '=', binding.hash)
        .where('bound_spki_sha256', 'is', null),
    )
    return undefined
  }
  if (token.bound_spki_sha256 !== binding.spki) {
    throw new DomainError('token_bound', 'this join token was used by another key', {
      hint: 'if that was not you, deregister the instance it made; then ask for a new token',
    })
  }
  if (token.bound_instance_id !== binding.instance) {
    throw new DomainError('issuance_lost', 'the same request is under way already', { hint: 'try again' })
  }
  return token.used_serial === null ? undefined : yield* issuedFor(binding.instance, token.used_serial)
}

function* issuedFor(instance: string, serialHex: string): Unit<Existing | undefined> {
  const row = yield* first(
    query
      .selectFrom('certificates')
      .select(['issuing_ca_id', 'der'])
      .where('instance_id', '=', instance)
      .where('serial_number', '=', serialHex)
      .where('state', '=', 'issued'),
  )
  return row === undefined || row.der === null ? undefined : { der: row.der, issuingCaId: row.issuing_ca_id }
}

/** Part of the last commit of a join: the service is still registered, the token is used, the instance exists. */
export function* registerInstance(
  request: JoinRequest,
  service: ServiceRow,
  binding: Binding,
  issued: { serialHex: string; issuingCaId: string },
  deps: { now: () => Date },
): Unit<void> {
  const now = epochSeconds(deps.now())
  if ((yield* serviceById(service.service_id)) === undefined) {
    throw new DomainError('issuance_lost', 'the service was deregistered meanwhile')
  }
  const used = yield* change(
    query
      .updateTable('join_tokens')
      .set({ used_serial: issued.serialHex })
      .where('token_sha256', '=', binding.hash)
      .where('bound_spki_sha256', '=', binding.spki)
      .where('used_serial', 'is', null)
      .where('revoked_at', 'is', null),
  )
  if (used !== 1) throw new DomainError('issuance_lost', 'the join token was withdrawn or used meanwhile')
  yield* insertInstance({
    instance_id: binding.instance,
    service_id: service.service_id,
    organization_id: service.organization_id,
    addresses: canonicalJson(request.addresses),
    state_formats: canonicalJson(request.stateFormats),
    agent_version: request.agentVersion,
    latest_issuing_ca_id: issued.issuingCaId,
    latest_serial: issued.serialHex,
    latest_spki_sha256: binding.spki,
    joined_at: now,
  })
  yield* markServiceSeen(service.service_id, now)
}

export interface NewTokenRow {
  readonly token_id: string
  readonly token_sha256: string
  readonly organization_id: string
  readonly service_id: string
  readonly created_by: string
  readonly created_at: number
  readonly expires_at: number
}

export function* insertToken(row: NewTokenRow): Unit<void> {
  yield* change(
    query.insertInto('join_tokens').values({
      ...row,
      bound_spki_sha256: null,
      bound_instance_id: null,
      bound_at: null,
      used_serial: null,
      revoked_at: null,
    }),
  )
}

/** Answers whether there was an unused one. */
export function* withdrawToken(tokenId: string, organization: string, at: number): Unit<boolean> {
  const changed = yield* change(
    query
      .updateTable('join_tokens')
      .set({ revoked_at: at })
      .where('token_id', '=', tokenId)
      .where('organization_id', '=', organization)
      .where('used_serial', 'is', null)
      .where('revoked_at', 'is', null),
  )
  return changed === 1
}
