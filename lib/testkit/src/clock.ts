/** A clock that stands until it is moved. `now` fits everywhere that time is `deps.now`. */
export interface FakeClock {
  readonly now: () => Date
  /** Moves the clock; negative seconds turn it back. */
  advance(seconds: number): void
  set(instant: Date): void
}

export function fakeClock(start: Date): FakeClock {
  let nowMs = start.getTime()
  return {
    now: () => new Date(nowMs),
    advance: (seconds) => {
      nowMs += seconds * 1000
    },
    set: (instant) => {
      nowMs = instant.getTime()
    },
  }
}
