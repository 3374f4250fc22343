import { closeSync, fsyncSync, openSync } from 'node:fs'
import type { Connection } from 'better-sqlite3-multiple-ciphers'
import { DatabaseError, storageError } from './errors.ts'
import type { Migration } from './migrations/migration.ts'

/** Marks a file as ours: "VCCP". */
const APPLICATION_ID = 0x56_43_43_50

export interface Migrated {
  readonly from: number
  readonly to: number
  /** The copy of the file as it was before. */
  readonly copy: string
}

/**
 * Version of the schema in the file; 0 for one that holds nothing yet.
 *
 * @throws {DatabaseError} `database_not_ours` for a file with tables of somebody else.
 */
export function schemaVersion(connection: Connection, path: string): number {
  const tables = connection.prepare('select name from sqlite_schema limit 1').raw().all()
  if (tables.length === 0) return 0
  if (connection.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new DatabaseError('database_not_ours', `${path} holds another application's tables`)
  }
  const version = connection.prepare('select max(version) from schema_migrations').pluck().get()
  if (typeof version !== 'number') throw new DatabaseError('database_corrupt', `${path} names no schema version`)
  return version
}

/** @throws {DatabaseError} `database_newer_schema`. */
export function assertNotNewer(version: number, migrations: readonly Migration[], path: string): void {
  const known = migrations.at(-1)?.version ?? 0
  if (version <= known) return
  throw new DatabaseError(
    'database_newer_schema',
    `${path} has schema ${version}, this program knows ${known}: run the newer version that wrote it`,
  )
}

/**
 * Brings the schema forward, each step in a transaction of its own; there is no way back but the copy.
 *
 * A file that holds something is copied to `<path>.schema-<version>-<epoch seconds>` first (encrypted
 * with the same key, 0600, flushed). Returns undefined when there was nothing to do or to copy.
 *
 * @throws {DatabaseError} `migration_failed`, with the file at the last step that succeeded.
 */
export function migrate(
  connection: Connection,
  path: string,
  migrations: readonly Migration[],
  now: Date,
): Migrated | undefined {
  const from = schemaVersion(connection, path)
  assertNotNewer(from, migrations, path)
  const pending = migrations.filter(({ version }) => version > from)
  const last = pending.at(-1)
  if (last === undefined) return undefined
  const appliedAt = Math.floor(now.getTime() / 1000)
  const copy = from === 0 ? undefined : copyDatabase(connection, `${path}.schema-${from}-${appliedAt}`)
  for (const migration of pending) apply(connection, migration, appliedAt)
  return copy === undefined ? undefined : { from, to: last.version, copy }
}

function apply(connection: Connection, migration: Migration, appliedAt: number): void {
  try {
    connection.exec('begin immediate')
    connection.exec(HISTORY)
    connection.pragma(`application_id = ${APPLICATION_ID}`)
    connection.exec(migration.statements)
    connection
      .prepare('insert into schema_migrations (version, name, applied_at) values (?, ?, ?)')
      .run(migration.version, migration.name, appliedAt)
    connection.exec('commit')
  } catch (cause) {
    if (connection.inTransaction) connection.exec('rollback')
    const why = storageError(cause)?.message ?? 'its statements do not fit what the file holds'
    throw new DatabaseError('migration_failed', `migration ${migration.version} (${migration.name}) failed: ${why}`, {
      cause,
    })
  }
}

function copyDatabase(connection: Connection, target: string): string {
  try {
    const file = openSync(target, 'wx', 0o600)
    try {
      connection.prepare('vacuum into ?').run(target)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    return target
  } catch (cause) {
    throw new DatabaseError('migration_failed', `the copy ${target} could not be made, so nothing was migrated`, {
      cause,
    })
  }
}

const HISTORY = `create table if not exists schema_migrations (
  version integer primary key, name text not null, applied_at integer not null) strict`
