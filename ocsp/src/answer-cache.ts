/** Values by key, bounded by the octets they take. What was not asked for lately goes first. */
export interface AnswerCache<Entry> {
  get(key: string): Entry | undefined
  set(key: string, entry: Entry, octets: number): void
  readonly size: number
  readonly octets: number
}

interface Slot<Entry> {
  entry: Entry
  octets: number
  /** Asked for since it was put in, or since it was last passed over. */
  isWanted: boolean
}

/**
 * A second chance instead of a strict order of use: a hit sets a flag and moves nothing, which is what makes it cheap. A value
 * that alone takes more than the bound is not kept.
 */
export function answerCache<Entry>(maxOctets: number): AnswerCache<Entry> {
  const slots = new Map<string, Slot<Entry>>()
  let octets = 0

  function makeRoom(cost: number): void {
    for (const [key, slot] of slots) {
      if (octets + cost <= maxOctets) return
      slots.delete(key)
      if (slot.isWanted) {
        slot.isWanted = false
        slots.set(key, slot) // to the end, where this loop meets it again
      } else {
        octets -= slot.octets
      }
    }
  }

  return {
    get size() {
      return slots.size
    },
    get octets() {
      return octets
    },
    get(key) {
      const slot = slots.get(key)
      if (slot === undefined) return undefined
      slot.isWanted = true
      return slot.entry
    },
    set(key, entry, cost) {
      const old = slots.get(key)
      if (old !== undefined) {
        slots.delete(key)
        octets -= old.octets
      }
      if (cost > maxOctets) return
      makeRoom(cost)
      slots.set(key, { entry, octets: cost, isWanted: false })
      octets += cost
    },
  }
}
