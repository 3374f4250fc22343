/** The thread of `checkPages`: a look at 2 GB takes twelve seconds, and the event loop is not to wait for it. */
import { parentPort, workerData } from 'node:worker_threads'
import { openCiphered } from './cipher.ts'
import { DatabaseError } from './errors.ts'
import { assertPagesWhole } from './inspect.ts'
import type { CheckOrder, CheckOutcome } from './page-check.ts'

const { path, key } = workerData as CheckOrder
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(outcome() satisfies CheckOutcome)

function outcome(): CheckOutcome {
  try {
    const connection = openCiphered(path, key, { readonly: true, waitMs: 5000 })
    try {
      assertPagesWhole(connection, path)
      return { whole: true }
    } finally {
      connection.close()
    }
  } catch (error) {
    if (error instanceof DatabaseError) return { whole: false, code: error.code, message: error.message }
    throw error
  }
}
