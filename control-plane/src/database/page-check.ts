import { Worker } from 'node:worker_threads'
import { DatabaseError, type DatabaseFailure } from './errors.ts'

export interface CheckOrder {
  readonly path: string
  readonly key: Uint8Array
}

export type CheckOutcome =
  | { readonly whole: true }
  | { readonly whole: false; readonly code: DatabaseFailure; readonly message: string }

/**
 * Reads every page of a database in a thread of its own, beside its writer. Damage in a page that nobody asks for is
 * found while there is a copy from before, and not years later.
 *
 * @throws {DatabaseError} `database_corrupt`, `database_failed`; the signal's reason when it is given up
 */
export async function checkPages(order: CheckOrder, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const worker = new Worker(new URL('./page-checker.ts', import.meta.url), { workerData: order })
  const done = Promise.withResolvers<CheckOutcome>()
  const giveUp = () => done.reject(signal.reason)
  worker.once('message', done.resolve)
  worker.once('error', done.reject)
  worker.once('exit', () => done.reject(new Error('the check ended without a word')))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    const outcome = await done.promise
    if (!outcome.whole) throw new DatabaseError(outcome.code, outcome.message)
  } finally {
    signal.removeEventListener('abort', giveUp)
    await worker.terminate()
  }
}
