import { chmodSync } from 'node:fs'
import { processId } from '@vcc/runtime'
import Driver, { type Connection } from 'better-sqlite3-multiple-ciphers'
import { DatabaseError, driverCode } from './errors.ts'

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
 * @throws {DatabaseError} `database_locked` naming the holder, `database_unreadable`.
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
    if (driverCode(cause)?.startsWith('SQLITE_BUSY') !== true) throw unusable(path, cause)
    throw new DatabaseError('database_locked', `${path} is in use by another control plane${holder}`, { cause })
  }
}

function openLock(path: string): Connection {
  try {
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

function unusable(path: string, cause: unknown): DatabaseError {
  return new DatabaseError('database_unreadable', `the lock file beside ${path} cannot be used`, { cause })
}

const WAIT_MS = 250
