/** Why the database refuses. The message of a code may change, the code does not. */
export type DatabaseFailure =
  | 'database_unreadable'
  | 'database_key_wrong'
  | 'database_not_ours'
  | 'database_newer_schema'
  | 'database_older_schema'
  | 'database_corrupt'
  | 'database_locked'
  | 'database_exists'
  | 'database_busy'
  | 'database_overloaded'
  | 'database_failed'
  | 'database_closed'
  | 'queue_deadline'
  | 'row_missing'
  | 'migration_failed'

/** `message` names paths and rules, never key material or bound values; the driver's error is the `cause`. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: DatabaseFailure

  constructor(code: DatabaseFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** SQLite's extended result code (`SQLITE_CONSTRAINT_UNIQUE`), or undefined for an error of another origin. */
export function driverCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return error.code.startsWith('SQLITE_') ? error.code : undefined
}

/**
 * Whether a unit was rejected because a row with the same unique key is there already.
 *
 * The unit has been rolled back by then. Where an existing row is an ordinary case, write
 * `on conflict … do nothing` with `returning`, which says the same without failing.
 */
export function isUniqueViolation(error: unknown): boolean {
  const code = driverCode(error)
  return code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
}

/** Failures of the file or the disk, after which what was written is uncertain. */
export function isStorageFailure(error: unknown): boolean {
  const code = driverCode(error)
  return code !== undefined && STORAGE_FAILURES.some((prefix) => code.startsWith(prefix))
}

const STORAGE_FAILURES = ['SQLITE_IOERR', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_READONLY']
