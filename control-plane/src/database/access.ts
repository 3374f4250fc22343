import type { Database, ReadableDatabase } from './open.ts'

/** What a part that only looks needs of the database. */
export type ReadAccess = Pick<ReadableDatabase, 'read'>

/** What a part that writes needs of the database. */
export type UnitAccess = Pick<Database, 'runUnit' | 'read'>
