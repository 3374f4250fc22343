import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '@vcc/runtime'
import { DatabaseError, storageError } from './errors.ts'

/** Creates an empty file with mode 0600, or finds the one that is there. Answers its one name. */
export function createFile(path: string): string {
  const folder = realFolder(path)
  const file = join(folder, basename(path))
  try {
    closeSync(openSync(file, 'wx', 0o600))
    const handle = openSync(folder, 'r')
    fsyncSync(handle)
    closeSync(handle)
    return file
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') return existingFile(path)
    const code = storageError(cause)?.code ?? 'database_unreadable'
    throw new DatabaseError(code, `${path} cannot be created (${errorCode(cause) ?? 'unknown reason'})`, { cause })
  }
}

/**
 * The one name of a database: lock and log are found beside it. Symbolic links are resolved; a second hard link, or a
 * mount of the file by itself, would have a lock and a log of its own.
 *
 * @throws {DatabaseError} `database_unreadable`, `database_linked`
 */
export function existingFile(path: string): string {
  let stats: Stats
  let file: string
  try {
    file = realpathSync(path)
    stats = statSync(file)
  } catch (cause) {
    throw new DatabaseError('database_unreadable', `${path} does not exist or its folder cannot be entered`, { cause })
  }
  if (!stats.isFile()) throw new DatabaseError('database_unreadable', `${path} is not a file`)
  if (stats.nlink > 1) {
    throw new DatabaseError('database_linked', `${file} has ${stats.nlink} names (hard links), and may have only one`)
  }
  if (isMountPoint(file)) throw new DatabaseError('database_linked', `${file} is mounted by itself`)
  return file
}

function realFolder(path: string): string {
  try {
    return realpathSync(dirname(path))
  } catch (cause) {
    throw new DatabaseError('database_unreadable', `the folder of ${path} does not exist or cannot be entered`, {
      cause,
    })
  }
}

/** By the fifth field of each line, where blanks and the like are written in octal. Source: proc_pid_mountinfo(5). */
function isMountPoint(file: string): boolean {
  const unescaped = (text: string) =>
    text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
  return mounts().some((line) => {
    const [, , , , point = ''] = line.split(' ', 5)
    return unescaped(point) === file
  })
}

/** None where there is no such list: other systems do not mount single files. */
function mounts(): readonly string[] {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  } catch {
    return []
  }
}
