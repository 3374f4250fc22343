import { FLEET_TOPICS, instanceTopics } from '@vcc/mesh'
import type { MeshAgent } from '../harness/agent.ts'
import { honest, hostileBroker } from '../harness/hostile-broker.ts'
import { type Issuers, openIssuers } from '../harness/issuers.ts'
import { type Mesh, type MeshOptions, startMesh } from '../harness/mesh.ts'
import { eventually } from '../harness/process.ts'

/** A mesh whose agents hear, when the test wants it, the test instead of the control plane. */
export interface ForgedMesh extends AsyncDisposable {
  readonly mesh: Mesh
  readonly issuers: Issuers
  /** From here on the broker keeps everything to itself. The control plane still answers pulls. */
  readonly takeOver: () => void
  readonly publish: (message: Partial<Record<'fleet' | 'delta', string>>) => void
  readonly publishTo: (
    agent: MeshAgent,
    message: Partial<Record<'state' | 'refresh' | 'reply', string>>,
  ) => Promise<void>
  /** The next message that an agent says on this topic from now on. */
  readonly hears: (agent: MeshAgent, topic: 'renew' | 'status' | 'ack') => Promise<string>
}

export async function startForgedMesh(options: Omit<MeshOptions, 'control'>): Promise<ForgedMesh> {
  const broker = hostileBroker()
  broker.behave(honest)
  const mesh = await startMesh({ ...options, control: { broker } })
  return {
    mesh,
    issuers: await openIssuers(mesh.control),
    takeOver: () => broker.behave(() => {}),
    publish({ fleet, delta }) {
      if (fleet !== undefined) broker.say(FLEET_TOPICS.snapshot, fleet)
      if (delta !== undefined) broker.say(FLEET_TOPICS.delta, delta)
    },
    async publishTo(agent, message) {
      const { down } = instanceTopics(await instanceOf(agent))
      for (const channel of ['state', 'refresh', 'reply'] as const) {
        if (message[channel] !== undefined) broker.say(down[channel], message[channel])
      }
    },
    async hears(agent, topic) {
      const { up } = instanceTopics(await instanceOf(agent))
      const from = broker.taken.length
      const found = await eventually(`${agent.service} says something on ${topic}`, () =>
        broker.taken.slice(from).find((one) => one.topic === up[topic]),
      )
      return found.payload
    },
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  }
}

const instances = new WeakMap<MeshAgent, string>()

export async function instanceOf(agent: MeshAgent): Promise<string> {
  const known = instances.get(agent)
  if (known !== undefined) return known
  const { identity } = (await agent.status()) as { identity: { instance: string } }
  instances.set(agent, identity.instance)
  return identity.instance
}
