import type { ControlConfig } from '../config.ts'
import type { CrlDeps } from '../crl/issue.ts'
import { type CrlUpkeep, createCrlUpkeep } from '../crl/upkeep.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { ControlMetrics } from './metrics.ts'

/** CRLs as this control plane issues them. */
export interface RevocationLists extends Pick<CrlDeps, 'intervals'> {
  readonly upkeep: CrlUpkeep
}

export function revocationLists(
  config: ControlConfig,
  core: Core,
  { events, metrics }: { events: ControlEvents; metrics: ControlMetrics },
): RevocationLists {
  const intervals = {
    fullSeconds: config.crl.interval.ms / 1000,
    deltaSeconds: config.crl.delta_interval.ms / 1000,
  }
  const nameOf = (caId: string) => core.authorities.byId(caId).name
  const upkeep = createCrlUpkeep({
    ...core,
    intervals,
    events: {
      issued: ({ issuing_ca_id, shard, kind, number, entries }) => {
        metrics.vcc_crls_issued_total.add({ kind })
        events.crl_issued({ authority: nameOf(issuing_ca_id), shard, kind, number, entries })
      },
      failed: (fact, cause) => {
        metrics.vcc_crl_failures_total.add({})
        events.crl_failed(fact, cause)
      },
    },
  })
  return { intervals, upkeep }
}
