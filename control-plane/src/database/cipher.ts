import Driver, { type Connection } from 'better-sqlite3-multiple-ciphers'
import { DatabaseError, driverCode } from './errors.ts'

/**
 * Opens an existing file as SQLCipher 4 with a raw key, and reads its first page to prove the key.
 *
 * `legacy = 4` comes before the key: without it the file carries the driver's own variation, which
 * SQLCipher itself refuses (`hmac check failed`).
 *
 * @param key 32 bytes. They reach SQLite as bytes, never inside a statement's text.
 * @throws {DatabaseError} `database_key_wrong`, `database_not_ours`, `database_corrupt`, `database_unreadable`.
 */
export function openCiphered(
  path: string,
  key: Uint8Array,
  options: { readonly: boolean; waitMs: number },
): Connection {
  if (key.length !== KEY_BYTES) throw new TypeError(`the database key has ${KEY_BYTES} bytes, not ${key.length}`)
  const connection = connect(path, options)
  try {
    connection.pragma("cipher = 'sqlcipher'")
    connection.pragma('legacy = 4')
    applyKey(connection, key)
    connection.prepare('select count(*) from sqlite_schema').get()
    return connection
  } catch (cause) {
    connection.close()
    throw readFailure(path, cause)
  }
}

function connect(path: string, options: { readonly: boolean; waitMs: number }): Connection {
  try {
    return new Driver(path, { readonly: options.readonly, fileMustExist: true, timeout: options.waitMs })
  } catch (cause) {
    throw new DatabaseError('database_unreadable', `${path} cannot be opened`, { cause })
  }
}

/** SQLCipher's notation for a raw key, which skips the derivation from a passphrase. */
function applyKey(connection: Connection, key: Uint8Array): void {
  const notation = Buffer.from(`x'${Buffer.from(key).toString('hex')}'`)
  try {
    connection.key(notation)
  } finally {
    notation.fill(0)
  }
}

function readFailure(path: string, cause: unknown): DatabaseError {
  const code = driverCode(cause)
  if (code?.startsWith('SQLITE_NOTADB') && isPlainDatabase(path)) {
    return new DatabaseError('database_not_ours', `${path} is an unencrypted SQLite database, not one of ours`, {
      cause,
    })
  }
  if (code?.startsWith('SQLITE_NOTADB')) {
    return new DatabaseError(
      'database_key_wrong',
      `the database key does not open ${path}, or it is another kind of file`,
      {
        cause,
      },
    )
  }
  if (code?.startsWith('SQLITE_CORRUPT')) {
    return new DatabaseError('database_corrupt', `${path} is damaged`, { cause })
  }
  return new DatabaseError('database_unreadable', `${path} cannot be read`, { cause })
}

/** Asked through SQLite, because opening and closing the file by other means drops this process's locks on it. */
function isPlainDatabase(path: string): boolean {
  const connection = new Driver(path, { readonly: true, fileMustExist: true, timeout: 0 })
  try {
    connection.prepare('select count(*) from sqlite_schema').get()
    return true
  } catch {
    return false
  } finally {
    connection.close()
  }
}

const KEY_BYTES = 32
