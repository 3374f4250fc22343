/** One target in a thread: the one who started it watches the counter of cases, and ends a case that does not end. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { randomOf } from './random.ts'
import { FuzzFault } from './target.ts'
import { THREAD_TARGETS } from './targets/all.ts'

export interface ThreadJob {
  readonly target: string
  readonly seed: number
  /** The first case and the one after the last. */
  readonly from: number
  readonly to: number
  /** Two counters: cases begun, and whether the target is ready. */
  readonly progress: SharedArrayBuffer
}

export interface ThreadReport {
  readonly taken: number
  readonly refused: number
  /** Bytes that are held more at the end than after the first tenth. */
  readonly grownBytes: number
  readonly fault?: { readonly index: number; readonly why: string; readonly inputBase64: string }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heldBytes(): number {
  collectGarbage()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function runTarget({ target: name, seed, from, to, progress }: ThreadJob): ThreadReport {
  const target = THREAD_TARGETS.find((one) => one.name === name)
  if (target === undefined) throw new TypeError(`no target ${name}`)
  const counters = new Int32Array(progress)
  const run = target.prepare()
  Atomics.store(counters, 1, 1)
  const counts = { taken: 0, refused: 0 }
  const warm = from + Math.floor((to - from) / 10)
  let before = heldBytes()
  for (let index = from; index < to; index++) {
    if (index === warm) before = heldBytes()
    Atomics.store(counters, 0, index)
    let input: string | Uint8Array = ''
    try {
      counts[run(randomOf(seed, name, index), (noted) => (input = noted))] += 1
    } catch (error) {
      const fault = { index, why: whyOf(error), inputBase64: Buffer.from(input).toString('base64') }
      return { ...counts, grownBytes: 0, fault }
    }
  }
  return { ...counts, grownBytes: heldBytes() - before }
}

function whyOf(error: unknown): string {
  if (!(error instanceof FuzzFault))
    return `the target itself failed: ${error instanceof Error ? error.stack : String(error)}`
  const { cause } = error
  return cause instanceof Error ? `${error.message}\n${cause.stack}` : error.message
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort?.postMessage(runTarget(workerData as ThreadJob))
