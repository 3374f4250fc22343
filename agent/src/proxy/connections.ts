import { type CloseRecord, type End, type Life, recordOf } from './close-record.ts'
import type { ProxyMetrics } from './observe.ts'
import type { Refusal } from './refusal.ts'
import { formatGeneration, type Snapshot } from './snapshot.ts'
import type { Direction, Unit, Verdict } from './unit.ts'

export interface Registry {
  /** Registers first, decides then, and decides again while the snapshot changes meanwhile. */
  admit<Proof>(unit: Unit, decide: (snapshot: Snapshot, now: Date) => Verdict<Proof>): Admission<Proof>
  /** The same for a unit that is registered and now knows more about its peer. */
  decideAgain<Proof>(unit: Unit, decide: (snapshot: Snapshot, now: Date) => Verdict<Proof>): Admission<Proof>
  /** Ends the life of a unit with its record; a second call does nothing. */
  release(unit: Unit, end: End): void
  /** Decides every live unit under the current snapshot and cuts those it no longer allows. */
  reassess(): { readonly decided: number; readonly cut: number }
  /** Cuts one unit and keeps the reason for its record. */
  cut(unit: Unit, why: Refusal): void
  cutAll(why: Refusal): number
  readonly size: () => number
  readonly count: (direction: Direction, unit: CloseRecord['unit']) => number
  /** Settles when nothing is alive any more, or at the deadline; says which. */
  emptied(deadlineMs: number): Promise<boolean>
  [Symbol.dispose](): void
}

export type Admission<Proof> = Verdict<Proof> & { readonly snapshot: Snapshot | undefined }

export interface RegistryDeps {
  readonly current: () => Snapshot | undefined
  readonly now: () => Date
  /** 0: no limit but the certificates'. */
  readonly maxConnectionAgeMs: number
  readonly onClose: (record: CloseRecord) => void
  readonly metrics: ProxyMetrics
}

/**
 * Keeps every live connection and request, so that none outlives what allows it: the matrix, the issuer table, the
 * stored state, both certificates and the maximum age.
 */
export function createRegistry(deps: RegistryDeps): Registry {
  const live = new Map<Unit, Held>()
  const waiting = new Set<() => void>()
  let timer: NodeJS.Timeout | undefined
  let wakeAt = Number.POSITIVE_INFINITY

  function decideUntilStable<Proof>(
    unit: Unit,
    decide: (snapshot: Snapshot, now: Date) => Verdict<Proof>,
  ): Admission<Proof> {
    for (;;) {
      const snapshot = deps.current()
      if (snapshot === undefined) return { allowed: false, refusal: { code: 'not_ready', rule: 'state' }, snapshot }
      const cutBy = live.get(unit)?.cutBy
      if (cutBy !== undefined) return { allowed: false, refusal: cutBy, snapshot }
      const verdict = guarded(snapshot, deps.now(), decide)
      if (deps.current() !== snapshot) continue
      const held = live.get(unit)
      if (held !== undefined) {
        held.generation = formatGeneration(snapshot.label)
        if (verdict.allowed) held.rule = verdict.rule
      }
      deps.metrics.decision(
        unit.direction,
        unit.source.id,
        unit.target.id,
        verdict.allowed ? 'allowed' : verdict.refusal.code,
      )
      scheduleFor(unit, snapshot)
      return { ...verdict, snapshot }
    }
  }

  function guarded<Proof>(
    snapshot: Snapshot,
    now: Date,
    decide: (snapshot: Snapshot, now: Date) => Verdict<Proof>,
  ): Verdict<Proof> {
    if (now > snapshot.enforceUntil) return { allowed: false, refusal: { code: 'state_expired', rule: 'state' } }
    if (now > snapshot.self.notAfter)
      return { allowed: false, refusal: { code: 'own_certificate_expired', rule: 'identity' } }
    return decide(snapshot, now)
  }

  function scheduleFor(unit: Unit, snapshot: Snapshot): void {
    wake(Math.min(deadlineOf(unit), snapshot.enforceUntil.getTime(), snapshot.self.notAfter.getTime()))
  }

  function deadlineOf(unit: Unit): number {
    const valid = unit.validUntil()?.getTime() ?? Number.POSITIVE_INFINITY
    if (deps.maxConnectionAgeMs === 0) return valid
    return Math.min(valid, unit.openedAt.getTime() + deps.maxConnectionAgeMs)
  }

  /** Wall-clock deadlines, looked at often enough that a machine that slept is not late for long. */
  function wake(at: number): void {
    const now = deps.now().getTime()
    const next = Math.min(at + 1, now + MAX_SLEEP_MS)
    if (timer !== undefined && next >= wakeAt) return
    clearTimeout(timer)
    wakeAt = next
    timer = setTimeout(sweep, Math.max(next - now, MIN_SLEEP_MS)).unref()
  }

  function sweep(): void {
    timer = undefined
    wakeAt = Number.POSITIVE_INFINITY
    const snapshot = deps.current()
    const now = deps.now()
    let next = Number.POSITIVE_INFINITY
    for (const [unit, held] of live) {
      flushBytes(unit, held)
      const why = overdue(unit, snapshot, now)
      if (why !== undefined) cut(unit, why)
      else next = Math.min(next, deadlineOf(unit))
    }
    if (live.size === 0) return
    wake(Math.min(next, snapshot?.enforceUntil.getTime() ?? next))
  }

  function overdue(unit: Unit, snapshot: Snapshot | undefined, now: Date): Refusal | undefined {
    if (snapshot !== undefined && now > snapshot.enforceUntil) return { code: 'state_expired', rule: 'state' }
    const validUntil = unit.validUntil()
    if (validUntil !== undefined && now > validUntil) return { code: 'certificate_expired', rule: 'identity' }
    if (now.getTime() > deadlineOf(unit)) return { code: 'connection_too_old', rule: 'limits' }
    return undefined
  }

  function cut(unit: Unit, why: Refusal): void {
    const held = live.get(unit)
    if (held === undefined || held.cutBy !== undefined) return
    held.cutBy = why
    unit.cut(why)
  }

  function flushBytes(unit: Unit, held: Held): void {
    if (unit.unit === 'request') return // its bytes are counted with the connection that carries them
    const [bytesIn, bytesOut] = [unit.bytesIn(), unit.bytesOut()]
    if (bytesIn > held.countedIn) deps.metrics.bytes(unit.direction, 'in', bytesIn - held.countedIn)
    if (bytesOut > held.countedOut) deps.metrics.bytes(unit.direction, 'out', bytesOut - held.countedOut)
    held.countedIn = bytesIn
    held.countedOut = bytesOut
  }

  return {
    admit(unit, decide) {
      live.set(unit, { rule: '', generation: '', countedIn: 0, countedOut: 0, cutBy: undefined })
      deps.metrics.opened(unit.direction, unit.unit)
      return decideUntilStable(unit, decide)
    },
    decideAgain: decideUntilStable,
    release(unit, end) {
      const held = live.get(unit)
      if (held === undefined) return
      live.delete(unit)
      flushBytes(unit, held)
      deps.metrics.closed(unit.direction, unit.unit)
      deps.onClose(recordOf(unit, held, end, deps.now()))
      if (live.size === 0) for (const done of waiting) done()
    },
    reassess() {
      const snapshot = deps.current()
      if (snapshot === undefined) return { decided: 0, cut: 0 }
      let cuts = 0
      const units = [...live.keys()]
      for (const unit of units) {
        const verdict = guarded(snapshot, deps.now(), (s, now) => unit.judge(s, now))
        const held = live.get(unit)
        if (held === undefined) continue
        held.generation = formatGeneration(snapshot.label)
        if (verdict.allowed) {
          held.rule = verdict.rule
          scheduleFor(unit, snapshot)
          continue
        }
        cuts += 1
        deps.metrics.decision(unit.direction, unit.source.id, unit.target.id, verdict.refusal.code)
        cut(unit, verdict.refusal)
      }
      return { decided: units.length, cut: cuts }
    },
    cut,
    cutAll(why) {
      const units = [...live.keys()]
      for (const unit of units) cut(unit, why)
      return units.length
    },
    size: () => live.size,
    count(direction, kind) {
      let count = 0
      for (const unit of live.keys()) if (unit.direction === direction && unit.unit === kind) count += 1
      return count
    },
    emptied(deadlineMs) {
      if (live.size === 0) return Promise.resolve(true)
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const settle = (result: boolean) => {
        clearTimeout(limit)
        waiting.delete(done)
        resolve(result)
      }
      const done = () => settle(true)
      const limit = setTimeout(() => settle(false), deadlineMs)
      waiting.add(done)
      return promise
    },
    [Symbol.dispose]() {
      clearTimeout(timer)
      timer = undefined
      wakeAt = Number.NEGATIVE_INFINITY
    },
  }
}

interface Held extends Life {
  rule: string
  generation: string
  cutBy: Refusal | undefined
  countedIn: number
  countedOut: number
}

const MAX_SLEEP_MS = 5_000
const MIN_SLEEP_MS = 10
