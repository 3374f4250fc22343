import { change, first, many, query, type Unit } from '../database/unit.ts'

export interface StateRow {
  readonly kind: 'fleet' | 'agent'
  /** '' for the fleet document. */
  readonly instance_id: string
  readonly epoch: number
  readonly generation: number
  readonly content_hash: string
  readonly content: string
  readonly jws: string
  readonly issued_at: number
  readonly accept_until: number
  readonly enforce_until: number
}

const COLUMNS = [
  'kind',
  'instance_id',
  'epoch',
  'generation',
  'content_hash',
  'content',
  'jws',
  'issued_at',
  'accept_until',
  'enforce_until',
] as const

export function* fleetRow(): Unit<StateRow | undefined> {
  return yield* first(query.selectFrom('state_documents').select(COLUMNS).where('kind', '=', 'fleet'))
}

export function* agentRow(instanceId: string): Unit<StateRow | undefined> {
  return yield* first(
    query
      .selectFrom('state_documents')
      .select(COLUMNS)
      .where('kind', '=', 'agent')
      .where('instance_id', '=', instanceId),
  )
}

export function* agentRows(): Unit<readonly StateRow[]> {
  return yield* many(query.selectFrom('state_documents').select(COLUMNS).where('kind', '=', 'agent').limit(20_000))
}

/** Replaces the document of an addressee, by compare-and-swap on the generation. False when another was faster. */
export function* replaceDocument(row: StateRow, organization: string | null): Unit<boolean> {
  const { kind, instance_id, ...fields } = row
  const changed = yield* change(
    query
      .insertInto('state_documents')
      .values({ kind, instance_id, organization_id: organization, ...fields })
      .onConflict((conflict) =>
        conflict
          .columns(['kind', 'instance_id'])
          .doUpdateSet(fields)
          .where('state_documents.epoch', '=', fields.epoch)
          .where('state_documents.generation', '=', fields.generation - 1),
      ),
  )
  return changed === 1
}
