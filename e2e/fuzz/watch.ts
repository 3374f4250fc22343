import { Worker } from 'node:worker_threads'
import type { ThreadJob, ThreadReport } from './thread.ts'

export interface FuzzResult {
  readonly ok: boolean
  readonly line: string
  /** The case at which it ended. */
  readonly at: number
}

/** A case is given up after this long. Generous: the slowest takes milliseconds, and the machine may be busy. */
const CASE_LIMIT_MS = 30_000
const START_LIMIT_MS = 120_000
/** What the engine keeps of its own (code, caches) stays well below; a leak of 100 bytes a case does not, in 10⁶. */
const GROWTH_LIMIT_BYTES = 16 * 1024 * 1024
const MEMORY_LIMIT_MB = 512

/** Runs the cases of one target in a thread and watches it: no crash, no hang, no growth. */
export async function fuzzInThread(target: string, seed: number, from: number, to: number): Promise<FuzzResult> {
  const progress = new SharedArrayBuffer(8)
  const counters = new Int32Array(progress)
  Atomics.store(counters, 0, from)
  const job: ThreadJob = { target, seed, from, to, progress }
  const began = performance.now()
  const worker = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_LIMIT_MB },
  })
  const outcome = await new Promise<ThreadReport | string>((resolve) => {
    let seen = -1
    let since = performance.now()
    const watch = setInterval(() => {
      const now = Atomics.load(counters, 0) * 2 + Atomics.load(counters, 1)
      if (now !== seen) {
        seen = now
        since = performance.now()
      }
      const limit = Atomics.load(counters, 1) === 0 ? START_LIMIT_MS : CASE_LIMIT_MS
      if (performance.now() - since > limit) end(`a case does not end within ${limit / 1000} s`)
    }, 500)
    const end = (result: ThreadReport | string) => {
      clearInterval(watch)
      resolve(result)
    }
    worker.once('message', end)
    worker.once('error', (error) => end(`the thread crashed: ${String(error)}`))
    worker.once('exit', (code) => end(`the thread ended with ${code}`))
  })
  await worker.terminate()
  const at = Atomics.load(counters, 0)
  if (typeof outcome === 'string') return { ok: false, at, line: outcome }
  const { taken, refused, grownBytes, fault } = outcome
  if (fault !== undefined) {
    return {
      ok: false,
      at: fault.index,
      line: `case ${fault.index}: ${fault.why}\n     input: ${shown(fault.inputBase64)}`,
    }
  }
  const seconds = (performance.now() - began) / 1000
  const grown = `${(grownBytes / 1024 / 1024).toFixed(1)} MiB more held`
  const line = `${to - from} cases, ${Math.round((to - from) / seconds)}/s, ${refused} refused, ${taken} taken, ${grown}`
  return { ok: grownBytes < GROWTH_LIMIT_BYTES, at, line }
}

function shown(base64: string): string {
  return base64.length > 4000 ? `${base64.slice(0, 4000)}… (base64, ${base64.length} characters)` : `${base64} (base64)`
}
