import process from 'node:process'
import { RuntimeError } from './error.ts'

/**
 * Refuses to go on under a Node.js older than `major`.
 * Earlier versions do not fail cleanly: the database driver crashes under 20.
 *
 * @throws {RuntimeError} `node_too_old`
 */
export function assertNodeVersion(major: number, version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= major) return
  throw new RuntimeError('node_too_old', `Node.js ${major} is needed, this is ${version}`, {
    hint: 'start through npm, or with node_modules/.bin first in PATH; `npm ci` installs the right one',
  })
}
