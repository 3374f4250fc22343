import {
  type Compilable,
  type CompiledQuery,
  type Driver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { DatabaseError } from './errors.ts'
import type { Schema } from './schema.ts'

/** What one statement gave. `changes` counts the rows written; 0 for a plain select. */
export interface StepResult {
  readonly rows: readonly unknown[]
  readonly changes: number
}

/**
 * A unit of work: a generator that yields compiled queries and gets each one's result back.
 *
 * It has no other way to reach the database, cannot await anything, and does nothing outside it
 * (no sending, no signing: that belongs before or after), so it can be run again.
 * A query that fails ends the unit; it is not resumed, so it cannot catch that. Values bound are
 * safe integers, strings, `Uint8Array` and null; instants are epoch seconds, booleans 0 or 1.
 */
export type Unit<T> = Generator<CompiledQuery, T, StepResult>

/** Starts a unit anew, each time it is called. */
export type Work<T> = () => Unit<T>

async function refuse(): Promise<never> {
  throw new TypeError('a query is yielded by a unit, not executed')
}

const noDriver: Driver = {
  init: async () => {},
  acquireConnection: refuse,
  beginTransaction: refuse,
  commitTransaction: refuse,
  rollbackTransaction: refuse,
  releaseConnection: refuse,
  destroy: async () => {},
}

/** Builds and compiles queries against the schema. It has no connection: `execute` on its builders throws. */
export const query: Kysely<Schema> = new Kysely<Schema>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => noDriver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** All rows. The query carries its own `limit`. */
export function* many<T>(statement: Compilable<T>): Unit<readonly T[]> {
  const { rows } = yield statement.compile()
  return rows as readonly T[] // the row type is the query's own, checked against the schema when it was built
}

/** The first row, or undefined. */
export function* first<T>(statement: Compilable<T>): Unit<T | undefined> {
  return (yield* many(statement))[0]
}

/** The first row. @throws {DatabaseError} `row_missing` when there is none. */
export function* one<T>(statement: Compilable<T>): Unit<T> {
  const row = yield* first(statement)
  if (row === undefined) throw new DatabaseError('row_missing', 'the query has no row')
  return row
}

/** Runs a statement for its effect and says how many rows it changed: 0 is a lost compare-and-swap. */
export function* change(statement: Compilable): Unit<number> {
  return (yield statement.compile()).changes
}
