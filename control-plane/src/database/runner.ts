import type { Connection } from 'better-sqlite3-multiple-ciphers'
import type { CompiledQuery } from 'kysely'
import { breaksFile, DatabaseError, driverCode, storageError } from './errors.ts'
import { type Statements, statementsOf } from './statements.ts'
import type { StepResult, Unit, Work } from './unit.ts'

export interface UnitOptions {
  /** How long the unit may wait for its turn. */
  readonly deadlineMs?: number
  /** Aborting takes a unit that still waits out of the queue; one that has run stays. */
  readonly signal?: AbortSignal
  /** More statements than a unit has otherwise, for one whose number of rows is bounded elsewhere. */
  readonly steps?: number
}

export interface RunnerLimits {
  /** Units that may wait; the next one is refused with `database_overloaded`. */
  readonly queued: number
  /** Units that share one commit, and with it one flush. */
  readonly group: number
  /** No further unit joins a group that has run this long: the event loop wants its turn. */
  readonly groupMs: number
  readonly deadlineMs: number
  /** Statements of one unit; a unit beyond that is a bug. */
  readonly steps: number
}

export interface Runner {
  readonly runUnit: <T>(work: Work<T>, options?: UnitOptions) => Promise<T>
  readonly read: <T>(work: Work<T>) => Promise<T>
  /** Aborted, with the error as its reason, once the file can no longer be trusted with a write. */
  readonly broken: AbortSignal
  /** Makes it so, for a failure that was seen elsewhere. */
  readonly distrust: (reason: DatabaseError) => void
  /** Runs what waits, then refuses everything. The connection stays open: it is the caller's. */
  readonly drain: () => void
}

/**
 * Runs units on one connection, each inside a savepoint of a shared `begin immediate` transaction.
 *
 * A promise settles only after the commit, so what was answered is as durable as the connection's
 * `synchronous`. A unit that fails is rolled back and rejects alone; its neighbours commit. All is
 * synchronous within one turn of the event loop, so no two units ever overlap.
 */
export function runnerOf(connection: Connection, limits: Partial<RunnerLimits> = {}): Runner {
  const { queued, group, groupMs, deadlineMs, steps } = { ...LIMITS, ...limits }
  const statements = statementsOf(connection)
  const transaction = transactionOf(connection)
  const broken = new AbortController()
  const queue: Job[] = []
  let scheduled = false
  let closed = false

  function refusal(): Error | undefined {
    if (closed) return new DatabaseError('database_closed', 'the database is closed')
    if (!broken.signal.aborted) return undefined
    const { code, message } = broken.signal.reason as DatabaseError // given by `distrust` alone
    return new DatabaseError(code, `nothing is written until a restart, since ${message}`, {
      cause: broken.signal.reason,
    })
  }

  function distrust(reason: DatabaseError): void {
    if (breaksFile(reason)) broken.abort(reason)
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      flush()
      if (queue.length > 0) schedule()
    })
  }

  function flush(): void {
    const due = takeDue(queue, group)
    if (due.length === 0) return
    const failure = refusal()
    if (failure !== undefined) {
      for (const job of due) job.reject(failure)
      return
    }
    const settled = runGroup(due)
    for (const settle of settled) settle()
  }

  /** Returns what settles each job; calling them is left to the end, when the outcome of the commit is known. */
  function runGroup(jobs: readonly Job[]): readonly (() => void)[] {
    const until = performance.now() + groupMs
    const settle: (() => void)[] = []
    try {
      transaction.beginWriting()
      for (const [index, job] of jobs.entries()) {
        if (index > 0 && performance.now() > until) {
          queue.unshift(...jobs.slice(index))
          break
        }
        settle.push(runInSavepoint(job))
      }
      transaction.commit()
      return settle
    } catch (cause) {
      abandon(connection)
      const stored = storageError(cause)
      if (stored !== undefined) distrust(stored)
      const error = stored ?? groupFailure(cause)
      return jobs.filter((job) => !queue.includes(job)).map((job) => () => job.reject(error))
    }
  }

  /** @throws the driver's error when it took the whole transaction with it. */
  function runInSavepoint(job: Job): () => void {
    transaction.save()
    try {
      const value = drive(job.work(), statements.execute, job.steps)
      transaction.release()
      return () => job.resolve(value)
    } catch (error) {
      const stored = storageError(error)
      if (!connection.inTransaction || (stored !== undefined && breaksFile(stored))) throw error
      transaction.rollBackToSave()
      transaction.release()
      return () => job.reject(stored ?? error)
    }
  }

  return {
    broken: broken.signal,
    distrust,

    runUnit<T>(work: Work<T>, options: UnitOptions = {}): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const failure = refusal() ?? abortReason(options.signal) ?? overload(queue, queued)
        if (failure !== undefined) {
          reject(failure)
          return
        }
        queue.push({
          work,
          resolve: (value) => resolve(value as T), // the value this job's own work returned
          reject,
          expiresAt: performance.now() + (options.deadlineMs ?? deadlineMs),
          signal: options.signal,
          steps: options.steps ?? steps,
        })
        schedule()
      })
    },

    async read<T>(work: Work<T>): Promise<T> {
      if (closed) throw new DatabaseError('database_closed', 'the database is closed')
      try {
        return readSnapshot(connection, transaction, statements, work, steps)
      } catch (cause) {
        const stored = storageError(cause)
        if (stored === undefined) throw cause
        distrust(stored)
        throw stored
      }
    },

    drain() {
      while (queue.length > 0) flush()
      closed = true
    },
  }
}

interface Job {
  readonly work: Work<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly expiresAt: number
  readonly signal: AbortSignal | undefined
  readonly steps: number
}

/** Takes the next jobs off the queue and rejects those whose time is over before they had a turn. */
function takeDue(queue: Job[], group: number): readonly Job[] {
  const now = performance.now()
  const due: Job[] = []
  while (due.length < group) {
    const job = queue.shift()
    if (job === undefined) break
    const aborted = abortReason(job.signal)
    if (aborted !== undefined) job.reject(aborted)
    else if (now > job.expiresAt)
      job.reject(new DatabaseError('queue_deadline', 'the unit waited too long for its turn'))
    else due.push(job)
  }
  return due
}

/** Reads of one unit see one snapshot, whoever writes meanwhile. */
function readSnapshot<T>(
  connection: Connection,
  transaction: Transaction,
  statements: Statements,
  work: Work<T>,
  steps: number,
): T {
  transaction.beginReading()
  try {
    const value = drive(work(), statements.read, steps)
    transaction.commit()
    return value
  } catch (cause) {
    abandon(connection)
    throw cause
  }
}

function drive<T>(unit: Unit<T>, execute: (query: CompiledQuery) => StepResult, steps: number): T {
  try {
    let turn = unit.next()
    for (let step = 0; !turn.done; step++) {
      if (step >= steps) throw new TypeError(`a unit yields more than ${steps} statements`)
      turn = unit.next(execute(turn.value))
    }
    return turn.value
  } finally {
    unit.return(undefined as never) // ends a unit whose query failed; nothing for one that is done
  }
}

type Transaction = ReturnType<typeof transactionOf>

/** The frame of every unit, prepared once. */
function transactionOf(connection: Connection) {
  const prepared = (text: string) => {
    const statement = connection.prepare(text)
    return () => void statement.run()
  }
  return {
    beginWriting: prepared('begin immediate'),
    beginReading: prepared('begin'),
    commit: prepared('commit'),
    save: prepared('savepoint unit'),
    release: prepared('release unit'),
    rollBackToSave: prepared('rollback to unit'),
  }
}

/** What made the rollback necessary is the error to report, not that the rollback failed for the same reason. */
function abandon(connection: Connection): void {
  try {
    if (connection.inTransaction) connection.exec('rollback')
  } catch {
    // SQLite has rolled back by itself, or the next `begin` says what is wrong.
  }
}

function groupFailure(cause: unknown): DatabaseError {
  const code = driverCode(cause)
  if (code?.startsWith('SQLITE_BUSY')) {
    return new DatabaseError('database_busy', 'another process holds the write lock', { cause })
  }
  return new DatabaseError('database_failed', 'the commit failed and nothing of it was kept', { cause })
}

function overload(queue: readonly Job[], queued: number): DatabaseError | undefined {
  if (queue.length < queued) return undefined
  return new DatabaseError('database_overloaded', `${queued} units wait already`)
}

function abortReason(signal: AbortSignal | undefined): Error | undefined {
  if (signal?.aborted !== true) return undefined
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new DOMException('the unit was aborted in the queue', 'AbortError')
}

const LIMITS: RunnerLimits = { queued: 10_000, group: 256, groupMs: 25, deadlineMs: 5_000, steps: 10_000 }
