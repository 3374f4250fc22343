import { chmodSync, existsSync } from 'node:fs'
import type { Connection } from 'better-sqlite3-multiple-ciphers'
import { openCiphered } from './cipher.ts'
import { DatabaseError, storageError } from './errors.ts'
import { createFile, existingFile } from './file.ts'
import { assertNotEmptied, inspect } from './inspect.ts'
import { lockForWriting } from './lock.ts'
import { assertNotNewer, type Migrated, migrate, schemaVersion } from './migrate.ts'
import { MIGRATIONS } from './migrations/all.ts'
import type { Migration } from './migrations/migration.ts'
import { type RunnerLimits, runnerOf, type UnitOptions } from './runner.ts'
import type { Work } from './unit.ts'
import { assertLogWhole } from './write-ahead-log.ts'

/** What a reader has. */
export interface ReadableDatabase extends AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly path: string
  /** Runs a unit that writes nothing, on one snapshot, at once. @throws {TypeError} when it would write. */
  read<T>(work: Work<T>): Promise<T>
  close(): Promise<void>
}

/** What the one writer has. */
export interface Database extends ReadableDatabase {
  /**
   * Runs a unit in the next group and settles after its commit: what was answered is on the disk.
   *
   * @throws whatever the unit throws; `isUniqueViolation` tells a taken key.
   * @throws {DatabaseError} `queue_deadline` and `database_overloaded` (nothing was run), `database_busy` and
   *   `database_full` (rolled back), `database_failed`, `database_corrupt` and `database_read_only` (rolled back, and
   *   `broken`), `database_closed`.
   */
  runUnit<T>(work: Work<T>, options?: UnitOptions): Promise<T>
  /** Aborted when file or disk failed, in a write or a read: nothing further is written until a restart. */
  readonly broken: AbortSignal
  /** Makes it `broken` for a failure that somebody else found. */
  readonly distrust: (reason: DatabaseError) => void
  /** Set when opening brought an older schema forward. */
  readonly migrated: Migrated | undefined
}

export interface DatabaseOptions {
  readonly path: string
  /** 32 bytes; not kept. */
  readonly key: Uint8Array
  readonly limits?: Partial<RunnerLimits>
  /** Other than the released ones in tests only. */
  readonly migrations?: readonly Migration[]
}

export interface DatabaseDeps {
  readonly now: () => Date
}

/**
 * Creates the file (0600) with the current schema and no rows, and opens it.
 *
 * Repeats what an interrupted creation left (a file without tables). Does not create folders.
 *
 * @throws {DatabaseError} `database_exists` when the file holds something; otherwise as `openDatabase`.
 */
export function createDatabase(options: DatabaseOptions, deps: DatabaseDeps): Database {
  const path = createFile(options.path)
  return openAsWriter(path, options, deps, (version) => {
    if (version > 0) throw new DatabaseError('database_exists', `${path} exists already`)
  })
}

/**
 * Opens an existing database as its only writer, bringing an older schema forward.
 *
 * SQLCipher 4 format, WAL, `synchronous = FULL`: a commit is on the disk before it is answered. A file or log that is
 * damaged is refused and left as it was.
 *
 * @throws {DatabaseError} `database_unreadable`, `database_linked`, `database_locked`, `database_key_wrong`,
 *   `database_not_ours`, `database_newer_schema`, `database_corrupt`, `database_log_damaged`, `database_full`,
 *   `database_read_only`, `migration_failed`.
 */
export function openDatabase(options: DatabaseOptions, deps: DatabaseDeps): Database {
  const path = existingFile(options.path)
  return openAsWriter(path, options, deps, (version) => {
    if (version === 0) throw new DatabaseError('database_not_ours', `${path} holds nothing yet`)
  })
}

/**
 * Opens an existing database for reading, also while a writer runs; takes no lock and migrates nothing.
 *
 * @throws {DatabaseError} as `openDatabase`, but for `database_locked`; `database_older_schema`.
 */
export function openForReading(options: Omit<DatabaseOptions, 'limits'>): ReadableDatabase {
  const path = existingFile(options.path)
  const migrations = options.migrations ?? MIGRATIONS
  assertNotEmptied(path)
  const connection = openCiphered(path, options.key, { readonly: true, waitMs: READER_WAIT_MS })
  return closingOnError(
    () => connection.close(),
    () => {
      assertLogWhole(connection, path)
      const version = schemaVersion(connection, path)
      if (version === 0) throw new DatabaseError('database_not_ours', `${path} holds nothing yet`)
      assertNotNewer(version, migrations, path)
      if (version < (migrations.at(-1)?.version ?? 0)) {
        throw new DatabaseError(
          'database_older_schema',
          `${path} has schema ${version}: start the control plane on it once`,
        )
      }
      harden(connection)
      const { read, drain } = runnerOf(connection)
      const close = async () => {
        drain()
        connection.close()
      }
      return { path, read, close, [Symbol.asyncDispose]: close }
    },
  )
}

function openAsWriter(
  path: string,
  options: DatabaseOptions,
  deps: DatabaseDeps,
  admit: (version: number) => void,
): Database {
  const lock = lockForWriting(path, deps.now())
  return closingOnError(lock.release, () => {
    inspect(path, options.key)
    const connection = openCiphered(path, options.key, { readonly: false, waitMs: WRITER_WAIT_MS })
    return closingOnError(
      () => connection.close(),
      () => {
        admit(schemaVersion(connection, path))
        makeDurable(connection)
        makePrivate(path)
        harden(connection)
        const migrated = migrate(connection, path, options.migrations ?? MIGRATIONS, deps.now())
        const { drain, ...runner } = runnerOf(connection, options.limits)
        const close = async () => {
          drain()
          connection.close()
          lock.release()
        }
        return { path, migrated, ...runner, close, [Symbol.asyncDispose]: close }
      },
    )
  })
}

/** SQLite's WAL mode alone flushes at checkpoints only; a certificate that was answered must survive the plug. */
function makeDurable(connection: Connection): void {
  const mode = connection.pragma('journal_mode = wal', { simple: true })
  connection.pragma('synchronous = full')
  connection.pragma('wal_autocheckpoint = 4000') // 16 MiB: a page that many commits change is written back once
  const synchronous = connection.pragma('synchronous', { simple: true })
  if (mode === 'wal' && synchronous === SYNCHRONOUS_FULL) return
  throw new DatabaseError('database_failed', 'the file system does not allow write-ahead logging with full flushes')
}

/** SQLite gives the companions the mode the database had when they were made. */
function makePrivate(path: string): void {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    if (existsSync(file)) chmodSync(file, 0o600)
  }
}

function harden(connection: Connection): void {
  connection.pragma('foreign_keys = on')
  connection.pragma('trusted_schema = off')
  connection.pragma('cell_size_check = on')
  connection.pragma('secure_delete = on')
  connection.pragma('temp_store = memory') // spilled sorts would be plain text in a temporary folder
  connection.pragma('cache_size = -65536') // 64 MiB
  connection.pragma('journal_size_limit = 67108864')
}

/** What the driver says of file and disk leaves under our codes. */
function closingOnError<T>(close: () => void, run: () => T): T {
  try {
    return run()
  } catch (error) {
    close()
    throw storageError(error) ?? error
  }
}

const SYNCHRONOUS_FULL = 2
/** Blocks the event loop, so it is short; no other process writes anyway. */
const WRITER_WAIT_MS = 1_000
const READER_WAIT_MS = 5_000
