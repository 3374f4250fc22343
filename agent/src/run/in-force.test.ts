import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AckBody,
  type AgentContent,
  agentDocument,
  type DenialEntry,
  type FleetContent,
  fleetDocument,
  jwsSigner,
  refreshOf,
  signTrustStatement,
  type TrustStatement,
} from '@vcc/mesh'
import { compile, parseMatrix } from '@vcc/policy'
import { secondsAfter, testPki } from '@vcc/testkit'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ApiLink } from '../control/api-link.ts'
import type { BrokerLink } from '../control/broker-link.ts'
import { type Identity, verifyIdentity } from '../identity/identity.ts'
import { parseAgentKey } from '../identity/key.ts'
import { createDataPlane } from '../proxy/data-plane.ts'
import { NO_EVENTS, NO_METRICS } from '../proxy/observe.ts'
import { StateKeeper } from '../state/keeper.ts'
import { NO_MARKS } from '../state/marks.ts'
import { inForce } from './in-force.ts'

const INSTANCE = 'abcdefgh01234567'
const COVINA = 'spiffe://vcc.internal/org/brandenburg/svc/covina'
const LIFETIMES = { acceptSeconds: 600, enforceSeconds: 259_200 }
const pki = testPki({ curve: 'P-384' })
const credential = pki.stateSigner()
const signer = jwsSigner(credential.signer, credential.chainDer)
const DENIAL: DenialEntry = { id: 'd-1', kind: 'identity', value: COVINA.replace('covina', 'argus'), until: null }
const CLASSES = ['mtls_certificate', 'management_core_certificate'] as const

let trustJws: string
const anchor = Buffer.from(pki.root.certDer).toString('base64')
const trust: TrustStatement = {
  version: 1,
  trustDomain: pki.trustDomain,
  oidArc: pki.oidArc,
  anchors: { mesh: anchor, artifact: anchor, evidence: anchor },
  stateSigners: { active: credential.certificate.publicKey.spkiSha256Hex, spare: 'b'.repeat(64) },
  retired: [],
}
let folder: string
const stack: (() => PromiseLike<void>)[] = []
beforeAll(async () => {
  trustJws = await signTrustStatement(trust, jwsSigner(pki.root.signer, []))
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-force-'))
  stack.push(() => rm(folder, { recursive: true }))
})
afterEach(async () => {
  for (const close of stack.splice(0).toReversed()) await close()
})

const at = (seconds: number) => secondsAfter(pki.now, seconds)

async function fleet(generation: number, denials: readonly DenialEntry[] = []) {
  const { certificate } = pki.servicesCa
  const issuer = {
    spkiSha256: certificate.publicKey.spkiSha256Hex,
    certificate: Buffer.from(certificate.der).toString('base64'),
    organizations: [pki.organization],
    classes: [...pki.classOids],
    purposes: ['service' as const],
  }
  const content: FleetContent = {
    trust: trustJws,
    issuers: [issuer],
    denials: [...denials],
    revocations: [],
    releases: [],
  }
  return await fleetDocument({ trustDomain: pki.trustDomain, epoch: 1, generation, content }, LIFETIMES, signer, {
    now: at(0),
  })
}

async function agent(generation: number, change: Partial<AgentContent> = {}) {
  const content: AgentContent = {
    service: COVINA,
    mode: 'tcp',
    policy: policy(generation),
    upstreams: [],
    certificateIssuedAfter: null,
    classOids: Object.fromEntries(CLASSES.map((name, index) => [name, pki.classOids[index] ?? ''])),
    broker: [],
    api: [],
    ...change,
  }
  const place = { trustDomain: pki.trustDomain, epoch: 1, generation, instance: INSTANCE }
  return await agentDocument({ ...place, content }, LIFETIMES, signer, { now: at(0) })
}

function policy(version: number): object {
  const yaml = `service_communication_policies:
  argus: { allowed_outbound: [covina], required_auth: mtls_certificate }
  covina: { required_auth: management_core_certificate }
`
  const parsed = parseMatrix(yaml, { organization: pki.organization })
  if (!parsed.ok) throw new TypeError(JSON.stringify(parsed.problems))
  return compile({ trustDomain: pki.trustDomain, version, matrices: [parsed.matrix] })
}

function identityOf(change: { notBefore?: Date; notAfter?: Date } = {}): Identity {
  const leaf = pki.service('covina', { instance: INSTANCE, class: 2, ...change })
  return verifyIdentity(
    { key: parseAgentKey(leaf.keyPem), chainDer: leaf.chainDer },
    { root: pki.root.certificate, oidArc: pki.oidArc, classOids: undefined, expected: undefined, now: at(0) },
    { acceptExpired: true },
  )
}

/** A real data plane on a free port, and every acknowledgement the control plane is told while `isThere`. */
async function start() {
  const dataPlane = createDataPlane(
    {
      inbound: {
        listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
        target: { kind: 'tcp', host: '127.0.0.1', port: 1 },
      },
      outbound: [],
    },
    { now: () => new Date(), events: NO_EVENTS, metrics: NO_METRICS, onClose() {} },
  )
  stack.push(() => dataPlane[Symbol.asyncDispose]())
  const root = pki.root.certificate
  const loaded = { fleet: undefined, agent: undefined, marks: NO_MARKS, refused: [] }
  const keeper = new StateKeeper(loaded, {
    root,
    statement: trust,
    instance: INSTANCE,
    workload: COVINA,
    files: { save: async () => true, saveMarks: async () => true },
    onChange: () => force.apply(),
    onGap: () => {},
    onRefused: ({ code }) => {
      throw new Error(code)
    },
    now: () => new Date(),
  })
  const world = { identity: identityOf(), isThere: true, brokerConfirms: false }
  const acks: AckBody[] = []
  const codes: string[] = []
  const call = (async (_route: string, { body }: { body: { envelope: string } }) => {
    if (!world.isThere) throw new Error('nobody there')
    const [, payload = ''] = body.envelope.split('.')
    acks.push((JSON.parse(Buffer.from(payload, 'base64url').toString()) as { body: AckBody }).body)
  }) as unknown as ApiLink['call'] // the one route that an acknowledgement takes
  const nothing = { downSince: () => undefined, [Symbol.asyncDispose]: async () => {} }
  const broker: BrokerLink = {
    ...nothing,
    isConnected: () => false,
    publish: async () => world.brokerConfirms,
    tend() {},
  }
  const force = inForce({
    root,
    keyExchange: ['P-256'],
    keeper: () => keeper,
    identity: () => world.identity,
    dataPlane,
    uplink: () => ({
      identity: () => world.identity,
      api: { ...nothing, call, anonymous: call },
      broker,
      now: () => new Date(),
    }),
    events: { state_not_applied: ({ code }) => void codes.push(code) },
    onFatal: (error) => codes.push(`fatal ${error.code}`),
  })
  const told = async () => {
    await force.acknowledge('owed')
    return acks.splice(0).map(({ kind, generation, serial, outcome }) => {
      const how = outcome.result === 'applied' ? 'applied' : outcome.code
      return `${kind} ${generation} ${how}, serves ${serial === serialOf(first) ? 'first' : serial}`
    })
  }
  const first = world.identity
  return { force, keeper, dataPlane, world, told, codes }
}

const serialOf = (identity: Identity) => identity.leaf.serialHex
/** By OpenSSL's clock, which knows no tolerance. */
const expired = () => identityOf({ notBefore: at(-290), notAfter: at(-60) })

async function running() {
  const one = await start()
  await one.keeper.take('fleet', (await fleet(1)).jws)
  await one.keeper.take('agent', (await agent(1)).jws)
  await one.told()
  return one
}

test('each content is acknowledged once, with the serial served; a refresh in silence; all of it when asked', async () => {
  const { keeper, told, force } = await start()
  const document = await agent(1)
  await keeper.take('fleet', (await fleet(1)).jws)
  expect(await told()).toEqual([])
  await keeper.take('agent', document.jws)
  const both = ['fleet 1 applied, serves first', 'agent 1 applied, serves first']
  expect(await told()).toEqual(both)
  await keeper.take('agent-refresh', (await refreshOf(document.payload, LIFETIMES, signer, { now: at(1) })).jws)
  expect(await told()).toEqual([])
  await force.acknowledge('all')
  expect(await told()).toEqual(both)
})

test('an acknowledgement that nobody took is owed', async () => {
  const { keeper, told, world } = await running()
  world.isThere = false
  await keeper.take('agent', (await agent(2)).jws)
  expect(await told()).toEqual([])
  world.isThere = true
  expect(await told()).toEqual(['agent 2 applied, serves first'])
})

test('one that a broker confirmed and the control plane never got is owed again, and goes over HTTPS', async () => {
  const { keeper, told, world, force } = await running()
  const serial = serialOf(world.identity)
  world.brokerConfirms = true
  await keeper.take('agent', (await agent(2)).jws)
  expect(await told()).toEqual([])
  force.noteRecorded({ epoch: 1, fleet: 1, agent: 2, serial, silentSeconds: 1 })
  expect(await told()).toEqual([])
  force.noteRecorded({ epoch: 1, fleet: 1, agent: 1, serial, silentSeconds: 1 })
  expect(await told()).toEqual(['agent 2 applied, serves first'])
  force.noteRecorded({ epoch: 1, fleet: 1, agent: 2, serial, silentSeconds: 1 })
  expect(await told()).toEqual([])
  force.noteRecorded({ epoch: null, fleet: null, agent: null, serial: null, silentSeconds: null })
  expect(await told()).toEqual(['fleet 1 applied, serves first', 'agent 2 applied, serves first'])
})

test('a refusal is not missed: the control plane keeps none', async () => {
  const { keeper, told, world, force } = await running()
  const serial = serialOf(world.identity)
  await keeper.take('agent', (await agent(2, { classOids: {} })).jws)
  expect(await told()).toEqual(['agent 2 class_missing, serves first'])
  force.noteRecorded({ epoch: 1, fleet: 1, agent: 1, serial, silentSeconds: 1 })
  expect(await told()).toEqual([])
})

test('a new certificate alone is acknowledged', async () => {
  const { force, told, world } = await running()
  world.identity = identityOf()
  const serial = serialOf(world.identity)
  await force.apply()
  expect(await told()).toEqual([`fleet 1 applied, serves ${serial}`, `agent 1 applied, serves ${serial}`])
})

test('a certificate that the listener cannot serve leaves the last good one in use, with new documents too', async () => {
  const { force, told, world, dataPlane, keeper } = await running()
  const first = serialOf(world.identity)
  world.identity = expired()
  await force.apply()
  expect(dataPlane.status().served?.serialHex).toBe(first)
  expect(force.identityFailure()).toMatchObject({ code: 'identity_refused', reason: 'self_check_failed' })
  expect(force.listenerFailure()).toBeUndefined()
  await keeper.take('agent', (await agent(2)).jws)
  expect(dataPlane.status()).toMatchObject({ generation: '1.1.2', served: { serialHex: first } })

  world.identity = identityOf()
  await force.apply()
  expect(dataPlane.status().served?.serialHex).toBe(serialOf(world.identity))
  expect(force.identityFailure()).toBeUndefined()
  expect((await told()).at(-1)).toBe(`agent 2 applied, serves ${serialOf(world.identity)}`)
})

test('without a last good one the failure is told, and the next one that can be served ends it', async () => {
  const { force, told, world, keeper, dataPlane } = await start()
  world.identity = expired()
  await keeper.take('fleet', (await fleet(1)).jws)
  await keeper.take('agent', (await agent(1)).jws)
  expect(force.listenerFailure()).toBeDefined()
  expect(force.refused()).toEqual([])
  expect(dataPlane.status().served).toBeUndefined()
  world.identity = identityOf()
  await force.apply()
  expect(force.listenerFailure()).toBeUndefined()
  expect((await told()).map((text) => text.split(',')[0])).toEqual(['fleet 1 applied', 'agent 1 applied'])
})

const unusable: readonly { name: string; change: Partial<AgentContent>; code: string }[] = [
  { name: 'a policy of another format', change: { policy: { format: 2 } }, code: 'compiled_format_unknown' },
  { name: 'without the class of the own certificate', change: { classOids: {} }, code: 'class_missing' },
]
for (const { name, change, code } of unusable) {
  test(`${name}: the last good document goes on, refreshed or not, and what the fleet denies is denied`, async () => {
    const { keeper, told, dataPlane, force, codes } = await running()
    const document = await agent(2, change)
    await keeper.take('agent', document.jws)
    expect(await told()).toEqual([`agent 2 ${code}, serves first`])
    expect(codes).toEqual([code])
    expect(force.refused()).toMatchObject([{ held: { kind: 'agent', generation: 2 }, code }])
    const enforceUntil = force.current()?.snapshot.enforceUntil

    await keeper.take('fleet', (await fleet(2, [DENIAL])).jws)
    expect(dataPlane.status().generation).toBe('1.2.1')
    expect(force.current()?.snapshot.trust.denied.entries).toEqual([DENIAL])
    expect(await told()).toEqual(['fleet 2 applied, serves first'])

    await keeper.take('agent-refresh', (await refreshOf(document.payload, LIFETIMES, signer, { now: at(5) })).jws)
    expect(force.current()?.snapshot.enforceUntil).toEqual(enforceUntil)
    await keeper.take('agent', (await agent(3)).jws)
    expect(dataPlane.status().generation).toBe('1.2.3')
    expect(force.refused()).toEqual([])
    expect(await told()).toEqual(['agent 3 applied, serves first'])
  })
}

test('a certificate and a document that come at the same time leave the newest of both', async () => {
  const { keeper, told, world, dataPlane, force } = await running()
  world.identity = identityOf()
  await Promise.all([force.apply(), keeper.take('agent', (await agent(2)).jws), force.apply()])
  expect(dataPlane.status()).toMatchObject({
    generation: '1.1.2',
    served: { serialHex: serialOf(world.identity) },
  })
  expect((await told()).at(-1)).toBe(`agent 2 applied, serves ${serialOf(world.identity)}`)
})
