import { statSync } from 'node:fs'
import type { Connection } from 'better-sqlite3-multiple-ciphers'
import { openCiphered } from './cipher.ts'
import { DatabaseError, storageError } from './errors.ts'
import { assertLogWhole } from './write-ahead-log.ts'

/**
 * Looks at everything before anything is written: the key, the log, and each page of a file of up to 256 MiB, which
 * takes about two seconds. What is refused here is left as it was, log and all; a larger file is checked in the
 * background, see `checkPages`.
 *
 * @throws {DatabaseError} `database_key_wrong`, `database_not_ours`, `database_corrupt`, `database_log_damaged`
 */
export function inspect(path: string, key: Uint8Array): void {
  assertNotEmptied(path)
  const { size } = statSync(path)
  if (size === 0) return // to be filled by a creation
  const connection = openCiphered(path, key, { readonly: true, waitMs: 0 })
  try {
    assertLogWhole(connection, path)
    if (size <= CHECKED_AT_OPEN_BYTES) assertPagesWhole(connection, path)
  } finally {
    connection.close()
  }
}

/** Whether opening it reads every page. */
export function isCheckedAtOpen(path: string): boolean {
  return statSync(path).size <= CHECKED_AT_OPEN_BYTES
}

/**
 * Reads every page that is in use: SQLCipher proves each by its HMAC, SQLite that they make a database.
 * @throws {DatabaseError} `database_corrupt`
 */
export function assertPagesWhole(connection: Connection, path: string): void {
  let found: unknown
  try {
    found = connection.pragma('quick_check(1)', { simple: true })
  } catch (cause) {
    const { code, message } = storageError(cause) ?? { code: 'database_unreadable', message: 'it cannot be read' }
    throw new DatabaseError(code, `${path}: ${message}`, { cause })
  }
  if (found !== 'ok') throw new DatabaseError('database_corrupt', `${path} is damaged: ${String(found)}`)
}

/** SQLite would take a log without a database for a leftover, and delete it. @throws {DatabaseError} `database_corrupt` */
export function assertNotEmptied(path: string): void {
  const logSize = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (statSync(path).size > 0 || logSize === 0) return
  throw new DatabaseError('database_corrupt', `${path} is empty, but its log ${path}-wal is not`)
}

const CHECKED_AT_OPEN_BYTES = 256 * 1024 * 1024
