/** Lets only so many dials to one place be under way; the others wait in line. */
export interface DialTurns {
  /** @throws {NoTurn} in time; whatever `giveUp` was called with while it waited. */
  readonly take: (place: string, signal: AbortSignal) => Promise<DialTurn>
}

export interface DialTurn {
  /** Gives the turn back, once. */
  end(): void
  /** The same, and nobody who waits for this place need find out by himself that it does not answer. Nothing after `end`. */
  giveUp(why: Error): void
}

/** The line was too long, or did not move. */
export class NoTurn extends Error {
  override readonly name = 'NoTurn'
}

export interface DialTurnsOptions {
  readonly atOnce: number
  readonly maxWaiting: number
  readonly waitMs: number
}

/**
 * A burst of calls would otherwise open all its connections at once, and an agent lets in only so many handshakes from
 * one address: what came too much would be reset.
 */
export function createDialTurns(options: DialTurnsOptions): DialTurns {
  const places = new Map<string, Place>()

  function turnAt(place: string, at: Place): DialTurn {
    let isOver = false
    const end = () => {
      if (isOver) return
      isOver = true
      const [next] = at.line
      if (next !== undefined) return next() // who comes next has the turn already
      at.underway -= 1
      if (at.underway === 0) places.delete(place)
    }
    return {
      end,
      giveUp(why) {
        if (isOver) return
        for (const settle of at.line) settle(why)
        end()
      },
    }
  }

  function wait(at: Place, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const settle = (error?: Error) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      at.line.delete(settle)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onAbort = () => settle(new NoTurn('given up'))
    const timer = setTimeout(() => settle(new NoTurn('the line did not move')), options.waitMs)
    signal.addEventListener('abort', onAbort, { once: true })
    at.line.add(settle)
    if (signal.aborted) onAbort()
    return promise
  }

  return {
    async take(place, signal) {
      const at = places.get(place) ?? { underway: 0, line: new Set() }
      places.set(place, at)
      if (at.underway < options.atOnce) at.underway += 1
      else if (at.line.size >= options.maxWaiting) throw new NoTurn('the line is too long')
      else await wait(at, signal)
      return turnAt(place, at)
    },
  }
}

interface Place {
  underway: number
  readonly line: Set<(error?: Error) => void>
}
