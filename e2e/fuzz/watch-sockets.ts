import { randomOf } from './random.ts'
import { FuzzFault } from './target.ts'
import type { SocketTarget } from './targets/sockets.ts'
import type { FuzzResult } from './watch.ts'

const AT_ONCE = 64
/** From the half on. Resident memory moves by tens of MiB by itself; connections that stay would not fit. */
const GROWTH_LIMIT_BYTES = 160 * 1024 * 1024

/** Runs the cases of one target against its process, many at a time. */
export async function fuzzSockets(target: SocketTarget, seed: number, from: number, to: number): Promise<FuzzResult> {
  const began = performance.now()
  const counts = { taken: 0, refused: 0 }
  const warm = from + Math.floor((to - from) / 2)
  let next = from
  let before = await target.heldBytes()
  let fault: { index: number; why: string; input: Uint8Array } | undefined
  const lane = async () => {
    while (next < to && fault === undefined) {
      const index = next++
      if (index === warm) before = await target.heldBytes()
      const input = target.draw(randomOf(seed, target.name, index))
      try {
        counts[await target.feed(input)] += 1
      } catch (error) {
        fault ??= { index, why: error instanceof FuzzFault ? error.message : String(error), input }
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  if (fault !== undefined) {
    const input = Buffer.from(fault.input).toString('base64').slice(0, 4000)
    return { ok: false, at: fault.index, line: `case ${fault.index}: ${fault.why}\n     input: ${input} (base64)` }
  }
  try {
    await target.assertWell()
  } catch (error) {
    return {
      ok: false,
      at: to - 1,
      line: `after ${to - from} cases: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
  const grownBytes = (await target.heldBytes()) - before
  const seconds = (performance.now() - began) / 1000
  const grown = `${(grownBytes / 1024 / 1024).toFixed(0)} MiB more resident`
  const line = `${to - from} cases, ${Math.round((to - from) / seconds)}/s, ${counts.refused} refused, ${counts.taken} taken, ${grown}`
  return { ok: grownBytes < GROWTH_LIMIT_BYTES, at: to - 1, line }
}
