import { type Held, isoSeconds, STATE_FORMATS, type StatusBody } from '@vcc/mesh'
import { parseSocketAddress } from '../address.ts'
import type { AgentConfig } from '../config.ts'
import type { ServiceHealth } from '../health/readiness.ts'
import type { DataPlane } from '../proxy/data-plane.ts'
import type { StateKeeper } from '../state/keeper.ts'
import { AGENT_VERSION } from '../version.ts'

export interface StatusFacts {
  readonly config: AgentConfig
  readonly keeper: StateKeeper
  readonly dataPlane: DataPlane
  readonly health: ServiceHealth
  readonly startedAt: Date
  /** Of the certificate in force, which is the one served. */
  readonly certificateEnds: Date
  readonly isReady: boolean
  readonly bypass: boolean
  /** Own clock minus the control plane's, where it was measured. */
  readonly offsetSeconds: number | undefined
}

/** What the control plane is told twice a minute, and when something changes. */
export function statusBody(facts: StatusFacts): StatusBody {
  const { keeper, dataPlane, health, config } = facts
  const plane = dataPlane.status()
  const clock = keeper.clock()
  return {
    version: AGENT_VERSION,
    formats: [...STATE_FORMATS],
    startedAt: isoSeconds(facts.startedAt),
    ready: facts.isReady,
    health: healthOf(health),
    certificate:
      plane.served === undefined
        ? null
        : { serial: plane.served.serialHex, notAfter: isoSeconds(facts.certificateEnds) },
    fleet: heldOf(keeper.fleet),
    agent: heldOf(keeper.agent),
    clock: {
      state: clock.state,
      offsetSeconds: clock.state === 'behind' ? -clock.bySeconds : (facts.offsetSeconds ?? null),
    },
    listeners: plane.listeners.map(({ name, endpoint }) =>
      name === 'inbound' ? { kind: 'inbound', name, address: endpoint } : { kind: 'outbound', name, address: endpoint },
    ),
    addresses: config.inbound.advertise.flatMap((text) => {
      const address = parseSocketAddress(text)
      return address?.kind === 'tcp' ? [{ host: address.host, port: address.port }] : []
    }),
    localBypass: facts.bypass ? 'possible' : 'closed',
    counters: {
      inbound_open: plane.connections.inbound,
      outbound_open: plane.connections.outbound,
    },
  }
}

function heldOf(held: Held | undefined): StatusBody['fleet'] {
  if (held === undefined) return null
  const { epoch, generation, contentHash, issuedAt, enforceUntil } = held
  return { epoch, generation, contentHash, issuedAt: isoSeconds(issuedAt), enforceUntil: isoSeconds(enforceUntil) }
}

function healthOf(health: ServiceHealth): StatusBody['health'] {
  if (health.health === 'unknown') return { state: 'unknown' }
  if (health.health === 'ok') return { state: 'healthy' }
  return { state: 'unhealthy', detail: health.detail.replaceAll(/\p{Cc}/gu, ' ').slice(0, 500) }
}
