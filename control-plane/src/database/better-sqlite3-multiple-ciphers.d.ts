/** The package's `exports` carry no `types` condition; its API is that of better-sqlite3 plus `key`. */
declare module 'better-sqlite3-multiple-ciphers' {
  import type Sqlite from 'better-sqlite3'

  export interface Connection extends Sqlite.Database {
    /** sqlite3_key(): the bytes are read, not kept; 0 is success. */
    key(key: Buffer): number
  }
  export type Statement = Sqlite.Statement
  interface Options {
    readonly?: boolean
    fileMustExist?: boolean
    timeout?: number
    verbose?: (text: unknown) => void
  }
  const Driver: {
    new (filename: string, options?: Options): Connection
    SqliteError: Sqlite.SqliteError
  }
  export default Driver
}
