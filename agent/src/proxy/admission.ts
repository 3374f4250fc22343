/** Counts sockets that have connected but not yet shown who they are. */
export interface Admission {
  /** `undefined` when there are too many; otherwise the way to give the place back, once. */
  enter(address: string): (() => void) | undefined
  readonly size: () => number
}

/** At most `total` at a time, and `perAddress` from one address: silent clients must not keep others out. */
export function createAdmission(limits: { readonly total: number; readonly perAddress: number }): Admission {
  const byAddress = new Map<string, number>()
  let total = 0
  return {
    enter(address) {
      const count = byAddress.get(address) ?? 0
      if (total >= limits.total || count >= limits.perAddress) return undefined
      byAddress.set(address, count + 1)
      total += 1
      let isInside = true
      return () => {
        if (!isInside) return
        isInside = false
        total -= 1
        const left = (byAddress.get(address) ?? 1) - 1
        if (left === 0) byAddress.delete(address)
        else byAddress.set(address, left)
      }
    },
    size: () => total,
  }
}
