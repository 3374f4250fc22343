import type { Connection, Statement } from 'better-sqlite3-multiple-ciphers'
import type { CompiledQuery } from 'kysely'
import type { StepResult } from './unit.ts'

/** Prepared statements of one connection, by their text; the least recently used go first. */
export interface Statements {
  /** @throws {TypeError} for a value that is not an integer, text, bytes or null. */
  readonly execute: (query: CompiledQuery) => StepResult
  /** Like `execute`, for statements that write nothing. @throws {TypeError} for one that would. */
  readonly read: (query: CompiledQuery) => StepResult
}

export function statementsOf(connection: Connection, capacity = 512): Statements {
  const cache = new Map<string, Statement>()

  function prepared(text: string): Statement {
    const known = cache.get(text)
    if (known !== undefined) {
      cache.delete(text)
      cache.set(text, known)
      return known
    }
    const statement = connection.prepare(text)
    cache.set(text, statement)
    const [oldest] = cache.keys()
    if (cache.size > capacity && oldest !== undefined) cache.delete(oldest)
    return statement
  }

  return {
    execute: (query) => step(prepared(query.sql), query),
    read(query) {
      const statement = prepared(query.sql)
      if (!statement.readonly) throw new TypeError(`a read unit yields a statement that writes: ${query.sql}`)
      return step(statement, query)
    },
  }
}

function step(statement: Statement, query: CompiledQuery): StepResult {
  const values = query.parameters.map(bound)
  if (!statement.reader) return { rows: [], changes: statement.run(...values).changes }
  const rows = statement.all(...values)
  return { rows, changes: statement.readonly ? 0 : rows.length }
}

/** The driver binds a `number` as REAL; a `bigint` as INTEGER, which is what every number of ours is. */
function bound(value: unknown): string | bigint | Uint8Array | null {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw new TypeError(`a bound value is a safe integer, text, bytes or null, not ${describe(value)}`)
}

/** The kind only: values stay out of messages. */
function describe(value: unknown): string {
  return value instanceof Date ? 'a Date' : typeof value === 'number' ? 'a fraction' : typeof value
}
