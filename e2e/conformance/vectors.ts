import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ROOT_FOLDER } from '../harness/paths.ts'
import type { Suite } from './suite.ts'

/** Vectors made by others are not part of the project. */
const FOLDER = process.env['VCC_VECTORS'] ?? join(ROOT_FOLDER, '../shared/vectors')

/**
 * The file or folder a suite runs on: what its variable names, or its place among the vectors; undefined where those are not
 * there.
 *
 * @throws {TypeError} when the variable names something that does not exist.
 */
export function vectorsOf({ variable, place }: Pick<Suite, 'variable' | 'place'>): string | undefined {
  const named = process.env[variable]
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new TypeError(`${variable} names "${named}", which does not exist`)
    return resolve(named)
  }
  const path = join(FOLDER, place)
  return existsSync(path) ? path : undefined
}
