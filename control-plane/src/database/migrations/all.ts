import { initial } from './0001-initial.ts'
import { revocation } from './0002-revocation.ts'
import { crl } from './0003-crl.ts'
import type { Migration } from './migration.ts'

/** In order, without a gap. */
export const MIGRATIONS: readonly Migration[] = [initial, revocation, crl]
