export interface Rate {
  readonly perSecond: number
  /** How many may come at once after a pause. */
  readonly burst: number
  /** Of how many keys it keeps track; past that the one it has known longest is forgotten. */
  readonly keys?: number
}

/**
 * Whether one more of this key may pass now (GCRA: one instant per key, no window to reset).
 * Lives in memory: a restart lets everybody start anew.
 */
export function rateLimit(rate: Rate, clock: () => number = () => performance.now()): (key: string) => boolean {
  const { perSecond, burst, keys = 20_000 } = rate
  const intervalMs = 1000 / perSecond
  const dueAt = new Map<string, number>()
  return (key) => {
    const now = clock()
    const due = Math.max(dueAt.get(key) ?? 0, now)
    if (due - now > (burst - 1) * intervalMs) return false
    dueAt.delete(key)
    dueAt.set(key, due + intervalMs)
    const [longest] = dueAt.keys()
    if (dueAt.size > keys && longest !== undefined) dueAt.delete(longest)
    return true
  }
}
