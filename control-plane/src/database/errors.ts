import { errorCode } from '@vcc/runtime'

/** Why the database refuses, and what to do about it. The codes are a contract; the words beside them may change. */
export const DATABASE_FAILURES = {
  database_unreadable: {
    meaning: 'there is no such file, or the operating system does not give it',
    hint: 'does `data` in the configuration name the right folder? `vcc-control init` makes one',
  },
  database_key_wrong: {
    meaning: 'the key is another one, or the first page of the file is damaged',
    hint: 'secrets.database_key_file must name the key this database was made with; nothing was changed',
  },
  database_not_ours: { meaning: 'the file holds nothing, or the tables of another program', hint: undefined },
  database_newer_schema: {
    meaning: 'a newer version of this program wrote it',
    hint: 'this file was written by a newer version: upgrade this program',
  },
  database_older_schema: { meaning: 'it has to be brought forward first', hint: 'start the control plane on it once' },
  database_corrupt: {
    meaning: 'a page of the file is not what was written',
    hint: 'keep the file and its -wal as they are, mend the disk, and put a copy from before in their place',
  },
  database_log_damaged: {
    meaning: 'the write-ahead log is damaged before its end: commits that were answered would be lost in silence',
    hint: 'keep the file and its -wal as they are, mend the disk, and put a copy from before in their place',
  },
  database_linked: {
    meaning: 'the file has a second name or is mounted by itself, so that two programs could write it at once',
    hint: 'remove the other name (find -samefile shows it), or mount the folder instead of the file',
  },
  database_locked: {
    meaning: 'another process writes it',
    hint: 'one control plane at a time works on a SQLite file; stop the other one first',
  },
  database_exists: { meaning: 'the file to be made holds something already', hint: undefined },
  database_busy: { meaning: 'a program that ignores the lock holds the file', hint: 'find and stop that program' },
  database_overloaded: { meaning: 'too many units wait', hint: 'try again shortly' },
  database_full: {
    meaning: 'the disk is full; nothing of the unit was kept',
    hint: 'make room on the disk of `data`; a running control plane goes on by itself',
  },
  database_read_only: {
    meaning: 'the file or its folder cannot be written',
    hint: 'mount the disk of `data` for writing, and let the folder belong to the user of vcc-control; then start again',
  },
  database_failed: {
    meaning: 'the disk failed; nothing further is written',
    hint: 'look at the disk in the log of the system, then start again: whatever was answered is there',
  },
  database_closed: { meaning: 'the process is ending', hint: undefined },
  queue_deadline: { meaning: 'the unit waited too long for its turn', hint: 'try again shortly' },
  row_missing: { meaning: 'a row that has to be there is not', hint: undefined },
  migration_failed: {
    meaning: 'the schema could not be brought forward',
    hint: 'the file is as it was after the last step that succeeded; the copy beside it is as before',
  },
} as const satisfies Record<string, { meaning: string; hint: string | undefined }>

export type DatabaseFailure = keyof typeof DATABASE_FAILURES

/** `message` names paths and rules, never key material or bound values; the driver's error is the `cause`. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: DatabaseFailure

  constructor(code: DatabaseFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  get hint(): string | undefined {
    return DATABASE_FAILURES[this.code].hint
  }
}

/** SQLite's extended result code (`SQLITE_CONSTRAINT_UNIQUE`), or undefined for an error of another origin. */
export function driverCode(error: unknown): string | undefined {
  const code = error instanceof Error ? errorCode(error) : undefined
  return code?.startsWith('SQLITE_') === true ? code : undefined
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

/**
 * A failure of the file or the disk as an error of ours, of the driver's codes or the operating system's;
 * undefined for one that is about the statement only.
 */
export function storageError(cause: unknown): DatabaseError | undefined {
  const code = cause instanceof Error ? errorCode(cause) : undefined
  const row = code === undefined ? undefined : STORAGE_FAILURES.find(([prefix]) => code.startsWith(prefix))
  return row && new DatabaseError(row[1], row[2], { cause })
}

/** Whether the file can be trusted with a further write after this: a full disk leaves it as it was. */
export function breaksFile({ code }: DatabaseError): boolean {
  return code !== 'database_full'
}

const STORAGE_FAILURES: readonly (readonly [prefix: string, code: DatabaseFailure, message: string])[] = [
  ['SQLITE_FULL', 'database_full', 'the disk is full; nothing of this was kept'],
  ['ENOSPC', 'database_full', 'the disk is full; nothing of this was kept'],
  ['EDQUOT', 'database_full', 'the disk quota is used up; nothing of this was kept'],
  ['SQLITE_CORRUPT', 'database_corrupt', 'a page of the database is not what was written'],
  ['SQLITE_NOTADB', 'database_corrupt', 'a page of the database is not what was written'],
  ['SQLITE_READONLY', 'database_read_only', 'the database cannot be written'],
  ['EROFS', 'database_read_only', 'the file system is mounted read-only'],
  ['EACCES', 'database_read_only', 'the folder of the database may not be written by this user'],
  ['SQLITE_IOERR', 'database_failed', 'the disk failed; whether this was kept shows at the next start'],
]
