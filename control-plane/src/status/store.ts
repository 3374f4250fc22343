import { first, query, type Unit } from '../database/unit.ts'

export interface StatusRow {
  readonly revoked_at: number | null
  readonly revocation_reason: string | null
  readonly invalidity_at: number | null
}

/** Undefined where nothing of this serial was issued, nor may have been. */
export function* statusRow(caId: string, serialHex: string): Unit<StatusRow | undefined> {
  return yield* first(
    query
      .selectFrom('certificates')
      .select(['revoked_at', 'revocation_reason', 'invalidity_at'])
      .where('issuing_ca_id', '=', caId)
      .where('serial_number', '=', serialHex),
  )
}

export function* intentIsOpen(caId: string, serialHex: string): Unit<boolean> {
  const row = yield* first(
    query
      .selectFrom('issuance_intents')
      .select('id')
      .where('issuing_ca_id', '=', caId)
      .where('serial_number', '=', serialHex)
      .where('state', '=', 'open'),
  )
  return row !== undefined
}
