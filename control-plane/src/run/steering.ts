import type { PolicyInForce } from '../policies/in-force.ts'
import { policyReader } from '../policies/in-force.ts'
import type { Endpoints } from '../state/content.ts'
import { createPublisher, type Publisher } from '../state/publisher.ts'
import type { Core } from './core.ts'
import type { ControlEvents } from './events.ts'
import type { Identities } from './identities.ts'
import type { ControlMetrics } from './metrics.ts'

/** The policy in force, and the signed state that follows from it. */
export interface Steering {
  readonly policyInForce: () => PolicyInForce | undefined
  readonly publisher: Publisher
  /**
   * After each change that agents are to know of. What was changed is durable already: a failure here is no failure of
   * the change, and is made good by `catchUp`.
   */
  readonly onChange: () => Promise<void>
  /** After a revocation or a denial: the fleet's document alone. Answers whether it was made. */
  readonly onShutOut: () => Promise<boolean>
  /** Tries again what failed, if anything did. */
  readonly catchUp: () => Promise<void>
}

export async function createSteering(
  core: Core,
  deps: {
    identities: Identities
    endpoints: Endpoints
    publish: (topic: string, payload: string, retain: boolean) => Promise<boolean>
    events: ControlEvents
    metrics: ControlMetrics
  },
): Promise<Steering> {
  const { events, metrics } = deps
  const policy = await policyReader(core.installation, core.database)
  const publisher = createPublisher({
    ...core,
    endpoints: deps.endpoints,
    signer: deps.identities.signer,
    policyInForce: policy.inForce,
    publish: deps.publish,
    events: {
      published: (fact) => {
        metrics.vcc_state_published_total.add({ kind: fact.kind }, Math.max(1, fact.instances))
        events.state_published(fact)
      },
    },
  })
  let isBehind = false
  const attempt = async (work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      isBehind = true
      events.state_failed({}, error)
      return false
    }
  }
  const onChange = async () => {
    isBehind = false
    await attempt(async () => {
      await policy.read()
      await publisher.update()
    })
  }
  return {
    policyInForce: policy.inForce,
    publisher,
    onChange,
    onShutOut: () => attempt(publisher.updateFleet),
    async catchUp() {
      if (isBehind) await onChange()
    },
  }
}
