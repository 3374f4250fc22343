import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode, RuntimeError } from './error.ts'

/**
 * Replaces the content of `path`: whoever reads it sees the old bytes or the new ones, and after the promise
 * resolves the new ones survive a power cut.
 *
 * A symbolic link at `path` is replaced, not followed. Leftovers of writers that died are removed after a minute.
 * Does not lock: of two writers at once the last one wins.
 *
 * @param options.mode  0600 unless given; the file never exists with more than 0600 under a name of its own.
 * @throws {RuntimeError} `file_unwritable`
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string,
  options: { mode?: number } = {},
): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    await removeStaleTemporaries(folder, basename(path))
    await using file = await open(temporary, 'wx', 0o600)
    await file.writeFile(data)
    if (options.mode !== undefined && options.mode !== 0o600) await file.chmod(options.mode)
    await file.sync()
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    const code = errorCode(cause) ?? 'unknown reason'
    const hint = UNWRITABLE_HINTS[code]
    throw new RuntimeError('file_unwritable', `${path} cannot be written (${code})`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

const UNWRITABLE_HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on its disk',
  EDQUOT: 'the disk quota of its user is used up',
  EROFS: 'mount its file system for writing',
  EACCES: 'let its folder belong to the user of this program',
}

/**
 * Removes every leftover of `writeFileAtomic` in a folder, however young: for the one program that may write there,
 * before it does. They may hold keys. Answers how many there were; none where there is no folder.
 */
export async function removeTemporaries(folder: string): Promise<number> {
  const names = await readdir(folder).catch((cause: unknown) => {
    if (errorCode(cause) === 'ENOENT') return []
    throw new RuntimeError('file_unreadable', `${folder} cannot be read`, { cause })
  })
  const left = names.filter((name) => TEMPORARY.test(name))
  for (const name of left) await rm(join(folder, name), { force: true })
  if (left.length > 0) await syncFolder(folder)
  return left.length
}

/** Removes `path` so that it stays removed after a power cut. @throws {RuntimeError} `file_missing` */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (cause) {
    throw fileError(path, cause)
  }
  await syncFolder(dirname(path))
}

/** Creates a folder for private files, and those above it, with mode 0700; one that exists keeps its mode. */
export async function ensureFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first !== undefined) await syncFolder(dirname(first))
}

/**
 * Reads a regular file of at most `maxBytes`. Symbolic links are followed: that is how Kubernetes and
 * systemd hand files over. A pipe or device is refused instead of waited for.
 *
 * @throws {RuntimeError} `file_missing`, `file_unreadable`, `file_not_regular`, `file_too_large`
 */
export async function readFileBounded(path: string, maxBytes: number): Promise<Buffer> {
  await using file = await openToRead(path)
  return await readOpenFile(file, path, maxBytes)
}

export async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw fileError(path, cause)
  }
}

/** The content of one open file: what was checked on the handle is what is read. */
export async function readOpenFile(file: FileHandle, path: string, maxBytes: number): Promise<Buffer> {
  const { size } = await regularFile(file, path)
  const tooLarge = () => new RuntimeError('file_too_large', `${path} has more than ${maxBytes} bytes`)
  if (size > maxBytes) throw tooLarge()
  // One byte more than stated, so that a file growing meanwhile is noticed.
  const buffer = Buffer.alloc(size + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  if (length > size) throw new RuntimeError('file_unreadable', `${path} changed while it was read`)
  return buffer.subarray(0, length)
}

export async function regularFile(file: FileHandle, path: string): Promise<{ size: number; mode: number }> {
  const status = await file.stat()
  if (!status.isFile()) throw new RuntimeError('file_not_regular', `${path} is not a regular file`)
  return status
}

export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  await handle.sync()
}

/** A younger one may belong to a writer that is alive. */
const STALE_MS = 60_000

const TEMPORARY = /^\.(.+)\.[0-9a-f]{12}\.tmp$/

async function removeStaleTemporaries(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (TEMPORARY.exec(entry)?.[1] !== name) continue
    const path = join(folder, entry)
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs
    if (age > STALE_MS) await rm(path, { force: true })
  }
}

function fileError(path: string, cause: unknown): RuntimeError {
  const code = errorCode(cause)
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new RuntimeError('file_missing', `there is no file ${path}`, { cause })
  if (code === 'ENXIO' || code === 'EISDIR')
    return new RuntimeError('file_not_regular', `${path} is not a regular file`, { cause })
  return new RuntimeError('file_unreadable', `${path} cannot be read (${code ?? 'unknown reason'})`, { cause })
}
