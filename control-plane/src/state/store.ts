import { change, first, many, query, type Unit } from '../database/unit.ts'

/** What a refresh of a document names, and how long its content is worked on without one. */
export interface StateMark {
  readonly kind: 'fleet' | 'agent'
  /** '' for the fleet document. */
  readonly instance_id: string
  readonly epoch: number
  readonly generation: number
  readonly content_hash: string
}

export interface StateRow extends StateMark {
  readonly content: string
  readonly jws: string
  readonly issued_at: number
  readonly accept_until: number
  readonly enforce_until: number
}

const MARK = ['kind', 'instance_id', 'epoch', 'generation', 'content_hash'] as const
const COLUMNS = [...MARK, 'content', 'jws', 'issued_at', 'accept_until', 'enforce_until'] as const

export function* fleetMark(): Unit<StateMark | undefined> {
  return yield* first(query.selectFrom('state_documents').select(MARK).where('kind', '=', 'fleet'))
}

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

/** Of the instances that are registered; without the documents themselves, which may be large. */
export function* agentMarks(): Unit<readonly StateMark[]> {
  return yield* many(
    query
      .selectFrom('state_documents')
      .select(MARK)
      .where('kind', '=', 'agent')
      .where('instance_id', 'in', ACTIVE)
      .limit(20_000),
  )
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

/** Instances that are not registered any more and whose document is there still. */
export function* retiredHolders(): Unit<readonly string[]> {
  const retired = yield* many(
    query
      .selectFrom('state_documents')
      .select('instance_id')
      .where('kind', '=', 'agent')
      .where('instance_id', 'not in', ACTIVE)
      .limit(20_000),
  )
  return retired.map((row) => row.instance_id)
}

export function* dropDocument(instanceId: string): Unit<void> {
  yield* change(query.deleteFrom('state_documents').where('kind', '=', 'agent').where('instance_id', '=', instanceId))
}

const ACTIVE = query.selectFrom('agents').select('instance_id').where('state', '=', 'active')

/** When the newest audit entry was made: what is signed now is not older. */
export function* lastRecorded(): Unit<string | undefined> {
  const head = yield* first(query.selectFrom('audit_entries').select('ts').orderBy('seq', 'desc').limit(1))
  return head?.ts
}
