import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { errorCode } from '@vcc/runtime'
import { AgentError } from '../errors.ts'

/**
 * Makes this process the only one that works in a state folder, until it is disposed of or the process ends in
 * whatever way: the kernel frees it. Two agents with one identity would renew against each other (`identity_forked`).
 *
 * The file `lock` is an empty SQLite database in which an exclusive transaction stays open; nothing is ever written
 * to it. Works among the processes of one machine, on a local file system.
 *
 * NOTE: closing any other descriptor of the file in this process would drop its POSIX locks.
 *
 * @throws {AgentError} `state_folder_busy`, `not_joined` when there is no such folder
 */
export async function lockFolder(folder: string): Promise<Disposable> {
  const path = join(folder, 'lock')
  await createEmpty(path, folder)
  const connection = new DatabaseSync(path, { timeout: WAIT_MS })
  try {
    connection.exec('pragma journal_mode = memory')
    connection.exec('begin exclusive')
  } catch (cause) {
    connection.close()
    if (!isBusy(cause)) throw cause
    throw new AgentError('state_folder_busy', `another agent works in ${folder}`, { cause })
  }
  return { [Symbol.dispose]: () => connection.close() }
}

/** SQLite would create it with what the umask leaves. */
async function createEmpty(path: string, folder: string): Promise<void> {
  try {
    await using _ = await open(path, 'wx', 0o600)
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') return
    if (errorCode(cause) !== 'ENOENT') throw cause
    throw new AgentError('not_joined', `there is no folder ${folder}`, { cause })
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5
/** A predecessor that is just ending. */
const WAIT_MS = 250
