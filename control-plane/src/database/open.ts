import { chmodSync, closeSync, existsSync, fsyncSync, openSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Connection } from 'better-sqlite3-multiple-ciphers'
import { openCiphered } from './cipher.ts'
import { DatabaseError } from './errors.ts'
import { lockForWriting } from './lock.ts'
import { assertNotNewer, type Migrated, migrate, schemaVersion } from './migrate.ts'
import { MIGRATIONS } from './migrations/all.ts'
import type { Migration } from './migrations/migration.ts'
import { type RunnerLimits, runnerOf, type UnitOptions } from './runner.ts'
import type { Work } from './unit.ts'

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
   * @throws {DatabaseError} `queue_deadline` and `database_overloaded` (nothing was run), `database_busy`,
   *   `database_failed` (rolled back, and `broken`), `database_closed`.
   */
  runUnit<T>(work: Work<T>, options?: UnitOptions): Promise<T>
  /** Aborted when a write failed in the file or on the disk: nothing further is written until a restart. */
  readonly broken: AbortSignal
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
 * SQLCipher 4 format, WAL, `synchronous = FULL`: a commit is on the disk before it is answered.
 *
 * @throws {DatabaseError} `database_unreadable`, `database_locked`, `database_key_wrong`, `database_not_ours`,
 *   `database_newer_schema`, `database_corrupt`, `migration_failed`.
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
  const connection = openCiphered(path, options.key, { readonly: true, waitMs: READER_WAIT_MS })
  return closingOnError(
    () => connection.close(),
    () => {
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
    const connection = openCiphered(path, options.key, { readonly: false, waitMs: WRITER_WAIT_MS })
    return closingOnError(
      () => connection.close(),
      () => {
        admit(schemaVersion(connection, path))
        makeDurable(connection)
        makePrivate(path)
        harden(connection)
        const migrated = migrate(connection, path, options.migrations ?? MIGRATIONS, deps.now())
        const { runUnit, read, broken, drain } = runnerOf(connection, options.limits)
        const close = async () => {
          drain()
          connection.close()
          lock.release()
        }
        return { path, migrated, runUnit, read, broken, close, [Symbol.asyncDispose]: close }
      },
    )
  })
}

/** SQLite's WAL mode alone flushes at checkpoints only; a certificate that was answered must survive the plug. */
function makeDurable(connection: Connection): void {
  const mode = connection.pragma('journal_mode = wal', { simple: true })
  connection.pragma('synchronous = full')
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

function createFile(path: string): string {
  const folder = realFolder(path)
  const file = join(folder, basename(path))
  try {
    closeSync(openSync(file, 'wx', 0o600))
    const handle = openSync(folder, 'r')
    fsyncSync(handle)
    closeSync(handle)
    return file
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return existingFile(path)
    throw new DatabaseError('database_unreadable', `${path} cannot be created`, { cause })
  }
}

function realFolder(path: string): string {
  try {
    return realpathSync(dirname(path))
  } catch (cause) {
    throw new DatabaseError('database_unreadable', `the folder of ${path} does not exist or cannot be entered`, {
      cause,
    })
  }
}

/** Symbolic links are resolved, so that one file has one lock. */
function existingFile(path: string): string {
  let stats: Stats
  let file: string
  try {
    file = realpathSync(path)
    stats = statSync(file)
  } catch (cause) {
    throw new DatabaseError('database_unreadable', `${path} does not exist or its folder cannot be entered`, { cause })
  }
  if (!stats.isFile()) throw new DatabaseError('database_unreadable', `${path} is not a file`)
  return file
}

function closingOnError<T>(close: () => void, run: () => T): T {
  try {
    return run()
  } catch (error) {
    close()
    throw error
  }
}

const SYNCHRONOUS_FULL = 2
/** Blocks the event loop, so it is short; no other process writes anyway. */
const WRITER_WAIT_MS = 1_000
const READER_WAIT_MS = 5_000
