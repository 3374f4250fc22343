import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type AgentDocument,
  agentDocument,
  type FleetDocument,
  fleetDocument,
  type JwsSigner,
  type Lifetimes,
  refreshOf,
} from '@vcc/mesh'
import type { MeshAgent } from './agent.ts'
import type { Issuers } from './issuers.ts'

/** What a document says of itself, where the test wants it otherwise than the next in line would. */
export interface Placement {
  readonly epoch?: number
  readonly generation?: number
  readonly trustDomain?: string
  readonly signedAt?: Date
  readonly lifetimes?: Partial<Lifetimes>
}

/** State that the key of the installation signs, with content of the test's choice: what its control plane could sign. */
export interface StateForge {
  readonly signer: JwsSigner
  /** Of the newest documents. */
  readonly fleetContent: () => FleetDocument['content']
  readonly agentContent: () => AgentDocument['content']
  /** The next document of the fleet. It builds on the one before. */
  fleet(change: Partial<FleetDocument['content']>, place?: Placement): Promise<string>
  /** The next document of the agent. It builds on the one before. */
  agent(change: Partial<AgentDocument['content']>, place?: Placement): Promise<string>
  /** A refresh of the agent's document. */
  refresh(place?: Placement): Promise<string>
}

const LIFETIMES: Lifetimes = { acceptSeconds: 600, enforceSeconds: 3600 }

/** Begins at what `agent` holds, far above any generation of the real control plane. */
export async function openStateForge(issuers: Issuers, agent: MeshAgent): Promise<StateForge> {
  const held = { fleet: await heldDocument(agent, 'fleet'), agent: await heldDocument(agent, 'agent') }
  const signer = await issuers.stateSigner(chainOf(held.fleet))
  let fleet = payloadOf(held.fleet) as FleetDocument
  let own = payloadOf(held.agent) as AgentDocument
  let generation = 1_000_000
  const placed = (of: FleetDocument | AgentDocument, place: Placement) => {
    generation += 1
    const { epoch = of.epoch, trustDomain = of.trustDomain } = place
    return { epoch, trustDomain, generation: place.generation ?? generation }
  }
  const lifetimes = (place: Placement) => ({ ...LIFETIMES, ...place.lifetimes })
  return {
    signer,
    fleetContent: () => fleet.content,
    agentContent: () => own.content,
    async fleet(change, place = {}) {
      const input = { ...placed(fleet, place), content: { ...fleet.content, ...change } }
      const signed = await fleetDocument(input, lifetimes(place), signer, { now: place.signedAt ?? new Date() })
      if (Object.keys(place).length === 0) fleet = signed.payload
      return signed.jws
    },
    async agent(change, place = {}) {
      const input = { ...placed(own, place), instance: own.instance, content: { ...own.content, ...change } }
      const signed = await agentDocument(input, lifetimes(place), signer, { now: place.signedAt ?? new Date() })
      if (Object.keys(place).length === 0) own = signed.payload
      return signed.jws
    },
    async refresh(place = {}) {
      const target = { ...own, ...(place.generation === undefined ? {} : { generation: place.generation }) }
      return (await refreshOf(target, lifetimes(place), signer, { now: place.signedAt ?? new Date() })).jws
    },
  }
}

/** The signed text that an agent works by, from its state folder. */
export async function heldDocument(agent: MeshAgent, kind: 'fleet' | 'agent'): Promise<string> {
  const file = await readFile(join(agent.stateFolder, `${kind}.json`), 'utf8')
  return (JSON.parse(file) as { state: { document: string } }).state.document
}

export function payloadOf(jws: string): unknown {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

/** The chain that a signed text shows, DER, leaf first. */
function chainOf(jws: string): Uint8Array[] {
  const header = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString('utf8')) as { x5c: string[] }
  return header.x5c.map((der) => Uint8Array.fromBase64(der))
}
