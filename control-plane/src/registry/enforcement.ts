import type { ReadAccess } from '../database/access.ts'
import { epochSeconds } from '../epoch.ts'
import { untilNone } from '../wait.ts'
import { activeInstances, type InstanceRow } from './instances-store.ts'
import { marksOf } from './marks.ts'
import { servicesOf } from './store.ts'
import { isConnected, reportOf, type StateMarks } from './view.ts'

/** An instance that has not acknowledged yet. */
export interface Pending {
  readonly instance_id: string
  readonly service: string
  readonly connected: boolean
  /** Of the state it says it works on: what was signed for it since has not reached it. */
  readonly enforce_until: string | null
}

/**
 * Waits for acknowledgements, and says whose are missing: "on n of m".
 *
 * @param options.counts  Which instances are asked at all.
 * @param options.document  The one whose `enforceUntil` tells how long a silent agent goes on without it.
 */
export async function enforcement(
  isEnforcedOn: (instance: InstanceRow, marks: StateMarks) => boolean,
  options: {
    organization: string
    document: 'agent' | 'fleet'
    seconds: number
    signal: AbortSignal
    counts?: (instance: InstanceRow) => boolean
  },
  deps: { database: ReadAccess; now: () => Date },
): Promise<{ readonly of: number; readonly pending: readonly Pending[] }> {
  const { organization, document, counts = () => true } = options
  let of = 0
  const pending = await untilNone(async () => {
    const { instances, marks } = await deps.database.read(function* () {
      return { instances: yield* activeInstances(organization), marks: yield* marksOf() }
    })
    const asked = instances.filter(counts)
    of = asked.length
    return asked.filter((one) => !isEnforcedOn(one, marks))
  }, options)
  const services = await deps.database.read(() => servicesOf(organization))
  const names = new Map(services.map((one) => [one.service_id, one.service_name]))
  const now = epochSeconds(deps.now())
  return {
    of,
    pending: pending.map((one) => ({
      instance_id: one.instance_id,
      service: names.get(one.service_id) ?? '',
      connected: isConnected(one, now),
      enforce_until: reportOf(one)?.[document]?.enforceUntil ?? null,
    })),
  }
}
