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
 * @throws {AgentError} `state_folder_busy`, `state_folder_unusable`, `not_joined` when there is no such folder
 */
export async function lockFolder(folder: string): Promise<Disposable> {
  const path = join(folder, 'lock')
  await createEmpty(path, folder)
  const connection = opened(path, folder)
  try {
    connection.exec('pragma journal_mode = memory')
    connection.exec('begin exclusive')
    // Of a file that cannot be written SQLite makes a transaction for reading, which excludes nobody. Never committed.
    connection.exec('pragma user_version = 1')
  } catch (cause) {
    connection.close()
    throw lockError(path, folder, cause)
  }
  return { [Symbol.dispose]: () => connection.close() }
}

function opened(path: string, folder: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: WAIT_MS })
  } catch (cause) {
    throw lockError(path, folder, cause)
  }
}

function lockError(path: string, folder: string, cause: unknown): AgentError {
  const code = cause instanceof Error && 'errcode' in cause ? cause.errcode : undefined
  if (code === SQLITE_BUSY) return new AgentError('state_folder_busy', `another agent works in ${folder}`, { cause })
  if (code === SQLITE_NOTADB) {
    const hint = `remove ${path} while no agent runs there; it holds nothing`
    return new AgentError('state_folder_unusable', `${path} is not the lock of an agent`, { cause, hint })
  }
  return new AgentError('state_folder_unusable', `${folder} cannot be written`, { cause })
}

/** SQLite would create it with what the umask leaves. */
async function createEmpty(path: string, folder: string): Promise<void> {
  try {
    await using _ = await open(path, 'wx', 0o600)
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') return
    if (errorCode(cause) === 'ENOENT') throw new AgentError('not_joined', `there is no folder ${folder}`, { cause })
    const reason = errorCode(cause)
    throw new AgentError('state_folder_unusable', `${folder} cannot be written (${reason})`, { cause, reason })
  }
}

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5
const SQLITE_NOTADB = 26
/** A predecessor that is just ending. */
const WAIT_MS = 250
