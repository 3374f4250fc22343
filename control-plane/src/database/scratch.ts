import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, type Database, type DatabaseOptions } from './open.ts'

/** A folder of one test, removed at its end. */
export interface Scratch extends Disposable {
  readonly folder: string
  readonly path: string
  readonly key: Uint8Array
}

export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'vcc-database-'))
  return {
    folder,
    path: join(folder, 'vcc.db'),
    key: randomBytes(32),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A real database for tests of this package, with the current schema and no rows; closed and removed at the end. */
export function scratchDatabase(options: Partial<DatabaseOptions> = {}): Database {
  const place = scratch()
  const database = createDatabase({ ...place, ...options }, { now: () => new Date() })
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await database.close()
      place[Symbol.dispose]()
    },
  }
}
