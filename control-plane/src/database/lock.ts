import { accessSync, chmodSync, constants } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode, processId } from '@vcc/runtime'
import Driver, { type Connection } from 'better-sqlite3-multiple-ciphers'
import { DatabaseError, driverCode, storageError } from './errors.ts'

/** Held until `release`, or until the process ends in whatever way: the kernel frees it. */
export interface WriterLock {
  readonly release: () => void
}

/**
 * Makes this process the only writer of the database at `path`, through the file `<path>.lock`.
 *
 * The file is a tiny unencrypted SQLite database in which a write transaction stays open; it names the
 * holder, keeps nothing else, and is never deleted. Readers do not need the lock. It works among the
 * processes of one machine, on a local file system.
 *
 * NOTE: the file must not be opened by other means in this process: closing any descriptor of it would
 * drop the POSIX locks SQLite holds.
 *
 * @throws {DatabaseError} `database_locked` naming the holder, `database_full`, `database_read_only`,
 *   `database_unreadable`.
 */
export function lockForWriting(path: string, now: Date): WriterLock {
  const connection = openLock(`${path}.lock`)
  try {
    hold(connection)
    connection.exec('delete from holder')
    connection.prepare('insert into holder values (?, ?)').run(processId(), now.toISOString())
    connection.exec('commit')
    hold(connection) // whoever came between has the lock now, and this one refuses
    return { release: () => connection.close() }
  } catch (cause) {
    const holder = holderOf(connection)
    connection.close()
    if (driverCode(cause)?.startsWith('SQLITE_BUSY') !== true) throw unusable(`${path}.lock`, cause)
    throw new DatabaseError('database_locked', `${path} is in use by another control plane${holder}`, { cause })
  }
}

function openLock(path: string): Connection {
  try {
    accessSync(dirname(path), constants.W_OK) // SQLite says of a folder it may not write only that it cannot open
    const connection = new Driver(path, { timeout: WAIT_MS })
    chmodSync(path, 0o600)
    return connection
  } catch (cause) {
    throw unusable(path, cause)
  }
}

function hold(connection: Connection): void {
  connection.exec('begin immediate')
  connection.exec('create table if not exists holder (pid integer not null, since text not null) strict')
}

/** Readable while the lock is held, because the holder's open transaction has changed nothing yet. */
function holderOf(connection: Connection): string {
  try {
    const [row] = connection.prepare('select pid, since from holder').raw().all()
    if (!Array.isArray(row)) return ''
    return ` (process ${row[0]}, since ${row[1]})`
  } catch {
    return ''
  }
}

function unusable(lockPath: string, cause: unknown): DatabaseError {
  const known = storageError(cause)
  if (known?.code === 'database_full' || known?.code === 'database_read_only') {
    return new DatabaseError(known.code, `${lockPath} cannot be written: ${known.message}`, { cause })
  }
  const why = errorCode(cause) ?? 'unknown reason'
  const message = `${lockPath} cannot be used (${why}); it holds nothing, and may be removed while nothing runs`
  return new DatabaseError('database_unreadable', message, { cause })
}

const WAIT_MS = 250
