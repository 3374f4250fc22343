import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { ControlPlane } from './control.ts'

/** The database file in the hands of its owner, who has the key: no rule of the control plane stands in the way. */
export interface OwnedDatabase extends Disposable {
  readonly rows: (sql: string) => readonly Record<string, unknown>[]
  readonly run: (sql: string) => void
}

interface Connection {
  pragma(text: string): unknown
  key(key: Buffer): unknown
  exec(sql: string): unknown
  prepare(sql: string): { all(): Record<string, unknown>[] }
  close(): unknown
}

export async function openDatabase(control: Pick<ControlPlane, 'folder'>): Promise<OwnedDatabase> {
  // The driver belongs to the control plane; the suite has no dependency of its own on it.
  const load = createRequire(new URL('../../control-plane/package.json', import.meta.url))
  const Driver = load('better-sqlite3-multiple-ciphers') as new (path: string) => Connection
  const connection = new Driver(join(control.folder, 'data', 'vcc.db'))
  connection.pragma("cipher = 'sqlcipher'")
  connection.pragma('legacy = 4')
  connection.key(Buffer.from(`x'${hexOf(await readFile(join(control.folder, 'secrets', 'database.key')))}'`))
  return {
    rows: (sql) => connection.prepare(sql).all(),
    run: (sql) => void connection.exec(sql),
    [Symbol.dispose]: () => void connection.close(),
  }
}

function hexOf(file: Buffer): string {
  return file.length === 32 ? file.toString('hex') : file.toString('latin1').trim()
}
