import type { Authorities, Authority } from '../authority/authority.ts'
import { epochSeconds } from '../epoch.ts'
import { type CrlDeps, issueDelta, issueFull } from './issue.ts'
import { type CrlMark, type ScopeState, scopeState, shardsOf } from './store.ts'

export interface UpkeepDeps extends CrlDeps {
  readonly authorities: Authorities
  readonly events: {
    readonly issued: (mark: CrlMark) => void
    /** One scope could not be served anew; the others were. */
    readonly failed: (fact: { authority: string; shard: number }, cause: unknown) => void
  }
}

/** Keeps the CRLs of all CAs. */
export interface CrlUpkeep {
  /** Issues what is due: by time, or because something was revoked. Call it often; without need it only looks. */
  readonly tick: () => Promise<void>
  /** Issues the complete CRLs of one CA, or of all, now. Answers those it issued. */
  readonly regenerate: (caId: string | undefined) => Promise<readonly CrlMark[]>
  /** Switches the schedule off and on again; what is asked for by name is issued all the same. */
  readonly setRunning: (running: boolean) => void
  readonly isRunning: () => boolean
}

export function createCrlUpkeep(deps: UpkeepDeps): CrlUpkeep {
  let running = true
  return {
    isRunning: () => running,
    setRunning: (wanted) => {
      running = wanted
    },
    async tick() {
      if (!running) return
      const failures: unknown[] = []
      for (const authority of signing(deps)) {
        for (const shard of await deps.database.read(() => shardsOf(authority.caId))) {
          try {
            await keep(authority, shard, deps)
          } catch (error) {
            failures.push(error)
            deps.events.failed({ authority: authority.name, shard }, error)
          }
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, `${failures.length} CRLs could not be issued`)
    },
    async regenerate(caId) {
      const marks: CrlMark[] = []
      const authorities = caId === undefined ? signing(deps) : [deps.authorities.byId(caId)]
      for (const authority of authorities) {
        for (const shard of await deps.database.read(() => shardsOf(authority.caId))) {
          const mark = await issueFull(authority, shard, deps)
          if (mark === undefined) continue // another job was faster, and did the same
          deps.events.issued(mark)
          marks.push(mark)
        }
      }
      return marks
    },
  }
}

/** "Old keys keep signing their CRLs": whatever state a CA is in, until its certificate ends. */
function signing({ authorities, now }: UpkeepDeps): readonly Authority[] {
  return authorities.all().filter((one) => one.certificate.notAfter > now())
}

async function keep(authority: Authority, shard: number, deps: UpkeepDeps): Promise<void> {
  const state = await deps.database.read(() => scopeState({ caId: authority.caId, shard }))
  const issue = dueNow(state, deps)
  const mark = await issue?.(authority, shard, deps)
  if (mark !== undefined) deps.events.issued(mark)
}

/** Which kind is due, if any. A revocation is on a delta within a minute, on a complete CRL within ten. */
function dueNow({ full, delta, journalId }: ScopeState, { intervals, now }: UpkeepDeps) {
  const at = epochSeconds(now())
  const isDue = (mark: CrlMark | undefined, interval: number, afterChange: number) =>
    mark === undefined ||
    at >= mark.this_update + interval ||
    (journalId > mark.journal_id && at >= mark.this_update + afterChange)
  if (isDue(full, intervals.fullSeconds, FULL_AFTER_CHANGE_SECONDS)) return issueFull
  return isDue(delta, intervals.deltaSeconds, DELTA_AFTER_CHANGE_SECONDS) ? issueDelta : undefined
}

const FULL_AFTER_CHANGE_SECONDS = 600
const DELTA_AFTER_CHANGE_SECONDS = 30
