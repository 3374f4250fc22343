import { closeSync, openSync, readSync } from 'node:fs'
import { errorCode } from '@vcc/runtime'
import type { Connection } from 'better-sqlite3-multiple-ciphers'
import { DatabaseError, storageError } from './errors.ts'

/**
 * Refuses a write-ahead log that is damaged before its end.
 *
 * SQLite reads the log up to the first frame whose checksum is wrong and takes that for the end: after a crash it is.
 * Where whole transactions follow, it is not; they were flushed and answered, and SQLite would drop them in silence
 * and write over them. Told by the headers of the frames, which are not encrypted, against what SQLite takes.
 *
 * Does not tell damage in the very last transaction from a crash while it was written: that one is dropped.
 *
 * @param connection  Open for reading only, so that nothing is written and closing it keeps the log.
 * @throws {DatabaseError} `database_log_damaged`
 *
 * Source: https://www.sqlite.org/fileformat2.html §4.1, §4.4.
 */
export function assertLogWhole(connection: Connection, path: string): void {
  // Beside a writer the log may begin anew between the two looks.
  for (let attempt = 1; ; attempt++) {
    const written = readLog(`${path}-wal`)
    const taken = framesTaken(connection)
    if (written !== 'headless' && written.followedCommit <= taken) return
    if (attempt < ATTEMPTS) continue
    const what = written === 'headless' ? 'its header' : `frame ${taken + 1} or one of its transaction`
    throw new DatabaseError('database_log_damaged', `${path}-wal is damaged: ${what}, and whole transactions follow`)
  }
}

/** How many frames SQLite found good, once it has looked. */
function framesTaken(connection: Connection): number {
  const [row] = connection.pragma('wal_checkpoint(noop)') as { log: number }[] // moves nothing; -1 without a log
  return Math.max(0, row?.log ?? 0)
}

interface WrittenLog {
  /** The last frame that ends a transaction and is followed by another frame of this log; 0 when there is none. */
  readonly followedCommit: number
}

/** What the headers say. `headless`: frames without a header that could be theirs. */
function readLog(path: string): WrittenLog | 'headless' {
  const file = openIfThere(path)
  if (file === undefined) return NOTHING
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    if (readSync(file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return NOTHING
    const first = Buffer.alloc(FRAME_HEADER_BYTES)
    if (readSync(file, first, 0, FRAME_HEADER_BYTES, HEADER_BYTES) < FRAME_HEADER_BYTES) return NOTHING
    // SQLite takes such a log for an empty one; but its frames were written after its header had been flushed.
    if (!isHeader(header)) return 'headless'
    return { followedCommit: followedCommit(file, header) }
  } catch (cause) {
    const code = storageError(cause)?.code ?? 'database_unreadable'
    throw new DatabaseError(code, `${path} cannot be read`, { cause })
  } finally {
    closeSync(file)
  }
}

/** Frames with other salts are left from before the log began anew. */
function followedCommit(file: number, header: Buffer): number {
  const frameBytes = FRAME_HEADER_BYTES + header.readUInt32BE(8)
  const salts = header.subarray(16, 24)
  const frame = Buffer.alloc(FRAME_HEADER_BYTES)
  let commit = 0
  let followed = 0
  for (let number = 1; ; number++) {
    const at = HEADER_BYTES + (number - 1) * frameBytes
    if (readSync(file, frame, 0, FRAME_HEADER_BYTES, at) < FRAME_HEADER_BYTES) return followed
    if (!frame.subarray(8, 16).equals(salts)) continue
    followed = commit
    if (frame.readUInt32BE(4) !== 0) commit = number
  }
}

/** Magic number, format, page size and checksum of the header. */
function isHeader(header: Buffer): boolean {
  const magic = header.readUInt32BE(0)
  if (magic !== MAGIC_LITTLE && magic !== MAGIC_BIG) return false
  const page = header.readUInt32BE(8)
  if (header.readUInt32BE(4) !== FORMAT || page < 512 || page > 65_536 || (page & (page - 1)) !== 0) return false
  const word = (at: number) => (magic === MAGIC_BIG ? header.readUInt32BE(at) : header.readUInt32LE(at))
  let [a, b] = [0, 0]
  for (let at = 0; at < 24; at += 8) {
    a = (a + word(at) + b) >>> 0
    b = (b + word(at + 4) + a) >>> 0
  }
  return a === header.readUInt32BE(24) && b === header.readUInt32BE(28)
}

/** Opened by itself: SQLite holds its locks on the database and the index of the log, never on the log. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined
    throw new DatabaseError('database_unreadable', `${path} cannot be read`, { cause })
  }
}

const NOTHING: WrittenLog = { followedCommit: 0 }
const ATTEMPTS = 3
const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const FORMAT = 3_007_000
const MAGIC_LITTLE = 0x37_7f_06_82
const MAGIC_BIG = 0x37_7f_06_83
