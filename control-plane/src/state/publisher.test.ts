import {
  acceptAgent,
  acceptFleet,
  acceptRefresh,
  FLEET_TOPICS,
  INLINE_DOCUMENT_BYTES,
  instanceTopics,
  verifyTrustStatement,
} from '@vcc/mesh'
import { parseCompiled } from '@vcc/policy'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { many, query } from '../database/unit.ts'
import { join } from '../enrolment/join.ts'
import { applyMatrix } from '../policies/apply.ts'
import { readPolicyInForce } from '../policies/in-force.ts'
import { deregisterInstance, deregisterService, registerService } from '../registry/services.ts'
import { MATRIX, newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { createPublisher, type PublisherDeps } from './publisher.ts'
import { openStateSigner } from './signer.ts'

let place: TestInstallation
let sent: { topic: string; payload: string; retain: boolean }[]
beforeEach(async () => {
  place = await testInstallation()
  sent = []
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

async function publisherWith(change: Partial<PublisherDeps> = {}) {
  const { signer } = await openStateSigner(place)
  let policy = await readPolicyInForce(place.installation, place.database)
  const publisher = createPublisher({
    ...place,
    endpoints: { api: ['https://127.0.0.1:8444'], broker: ['mqtts://127.0.0.1:8883'] },
    signer,
    policyInForce: () => policy,
    publish: async (topic, payload, retain) => {
      sent.push({ topic, payload, retain })
      return true
    },
    events: { published: () => {} },
    ...change,
  })
  return {
    ...publisher,
    signer,
    async update() {
      policy = await readPolicyInForce(place.installation, place.database)
      await publisher.update()
    },
  }
}

async function joined(service: string) {
  const request = { csr: await newCsr(), addresses: [], stateFormats: [1], agentVersion: '0.1.0', requestId: 'test' }
  return (await join({ ...request, token: await place.token(service) }, place.enrol)).instance
}

const documents = () =>
  place.database.read(() =>
    many(query.selectFrom('state_documents').select(['instance_id', 'generation', 'content_hash']).orderBy('id')),
  )
const last = (topic: string) => sent.findLast((one) => one.topic === topic)?.payload
const acceptance = (instance: string) => {
  const root = place.authorities.root('mesh-root').certificate
  const trust = verifyTrustStatement(place.installation.trustStatement, root)
  const service = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
  return { root, trust, instance, service, now: place.now(), floor: undefined }
}

test('an agent accepts what is published for it, and the refresh that follows', async () => {
  const instance = await joined('argus')
  const publisher = await publisherWith()
  await publisher.update()
  const { down } = instanceTopics(instance)
  const held = acceptAgent(undefined, last(down.state) ?? '', acceptance(instance))
  expect(held.content.service).toBe('spiffe://vcc.internal/org/brandenburg/svc/argus')
  await publisher.refreshAgents()
  expect(acceptRefresh(held, last(down.refresh) ?? '', acceptance(instance)).kind).toBe('agent')
  expect(acceptFleet(undefined, last(FLEET_TOPICS.snapshot) ?? '', acceptance(instance)).content.issuers).toHaveLength(
    1,
  )
})

describe('an update', () => {
  test('without a change signs and sends nothing', async () => {
    await joined('argus')
    const publisher = await publisherWith()
    await publisher.update()
    const before = await documents()
    sent = []
    await publisher.update()
    expect(sent).toEqual([])
    expect(await documents()).toEqual(before)
  })

  test('concerns the agents whose state changes, and no others', async () => {
    const [argus, covina] = [await joined('argus'), await joined('covina')]
    const publisher = await publisherWith()
    await publisher.update()
    sent = []
    const yaml = MATRIX.replace(
      'allowed_outbound: [covina]',
      'allowed_outbound: [covina]\n    endpoints: ["https://x"]',
    )
    await applyMatrix(yaml, 1, place.context, place.policyDeps)
    await publisher.update()
    expect(sent).toEqual([])
    await applyMatrix(MATRIX.replace('[covina]', '[]'), 2, place.context, place.policyDeps)
    await publisher.update()
    const topics = new Set(sent.map((one) => one.topic))
    for (const instance of [argus, covina]) expect(topics).toContain(instanceTopics(instance).down.state)
  })

  test('many at once end with one document per agent, of the newest state', async () => {
    await joined('argus')
    await joined('covina')
    const publisher = await publisherWith()
    await Promise.all([publisher.update(), publisher.update(), publisher.update()])
    await applyMatrix(MATRIX.replace('[covina]', '[]'), 1, place.context, place.policyDeps)
    await Promise.all([publisher.update(), publisher.update()])
    expect((await documents()).map((one) => one.generation)).toEqual([1, 2, 2])
  })

  test('that cannot sign for one agent serves the others, and the next one makes it good', async () => {
    const instances = [await joined('argus'), await joined('covina')]
    const { signer } = await publisherWith()
    let failures = 1
    const flaky = {
      ...signer,
      sign: (input: Uint8Array) => {
        const text = Buffer.from(Buffer.from(input).toString().split('.')[1] ?? '', 'base64url').toString()
        if (failures > 0 && text.includes('svc/argus","upstreams')) {
          failures -= 1
          return Promise.reject(new Error('the device is gone'))
        }
        return signer.sign(input)
      },
    }
    const publisher = await publisherWith({ signer: flaky })
    await expect(publisher.update()).rejects.toThrow()
    expect((await documents()).map((one) => one.instance_id)).toContain(instances[1])
    await publisher.update()
    expect((await documents()).map((one) => one.instance_id).toSorted()).toEqual(['', ...instances].toSorted())
  })

  test('after a service is deregistered takes its edges out of everybody’s state, and brings them back with it', async () => {
    const instance = await joined('argus')
    const publisher = await publisherWith()
    const outcome = async () => {
      await publisher.update()
      const document = last(instanceTopics(instance).down.state) ?? ''
      const { content } = acceptAgent(undefined, document, acceptance(instance))
      const { edges, refusals } = parseCompiled(content.policy)
      return [edges.length, refusals.map(({ code }) => code), content.upstreams.map(({ name }) => name)]
    }
    expect(await outcome()).toEqual([1, [], ['covina']])
    await deregisterService('covina', place.context, place.registry)
    expect(await outcome()).toEqual([0, ['target_not_registered'], []])
    await registerService({ service_name: 'covina' }, place.context, place.registry)
    expect(await outcome()).toEqual([1, [], ['covina']])
  })

  test('after an instance is deregistered leaves nothing of it to fetch', async () => {
    const instance = await joined('argus')
    const publisher = await publisherWith()
    await publisher.update()
    await deregisterInstance(instance, place.context, place.registry)
    await publisher.update()
    const { down } = instanceTopics(instance)
    expect([last(down.state), last(down.refresh)]).toEqual(['', ''])
    expect((await publisher.pull(instance, { fleet: undefined, agent: undefined })).agent).toBeUndefined()
    sent = []
    await publisher.refreshAgents()
    await publisher.republish()
    expect(sent.filter((one) => one.topic.includes(instance))).toEqual([])
  })

  test('after an instance is deregistered while the broker is away clears it when the broker is back', async () => {
    const instance = await joined('argus')
    let isAway = false
    const publish: PublisherDeps['publish'] = async (topic, payload, retain) => {
      if (!isAway) sent.push({ topic, payload, retain })
      return !isAway
    }
    const publisher = await publisherWith({ publish })
    await publisher.update()
    isAway = true
    await deregisterInstance(instance, place.context, place.registry)
    await publisher.update()
    sent = []
    isAway = false
    await publisher.republish()
    const { state, refresh } = instanceTopics(instance).down
    const cleared = [state, refresh].map((topic) => ({ topic, payload: '', retain: true }))
    expect(sent.filter((one) => one.topic.includes(instance))).toEqual(cleared)
    sent = []
    await publisher.republish()
    expect(sent.filter((one) => one.topic.includes(instance))).toEqual([])
  })
})

test('a document past 200 KiB travels as its refresh alone, and is pulled', async () => {
  const instance = await joined('argus')
  const covinas = Array.from({ length: 240 }, (_, n) => `covina-${n}${'-x'.repeat(14)}`)
  const yaml = JSON.stringify({
    service_communication_policies: {
      argus: { allowed_outbound: covinas, required_auth: 'mtls_certificate' },
      ...Object.fromEntries(
        covinas.map((name) => [name, { allowed_outbound: ['argus'], required_auth: 'ui_service_certificate' }]),
      ),
    },
  })
  await applyMatrix(yaml, 1, place.context, place.policyDeps)
  const publisher = await publisherWith()
  await publisher.update()
  const { down } = instanceTopics(instance)
  const pulled = await publisher.pull(instance, { fleet: undefined, agent: undefined })
  expect(pulled.agent?.document?.length).toBeGreaterThan(INLINE_DOCUMENT_BYTES)
  expect(last(down.state)).toBeUndefined()
  expect(last(down.refresh)).toBeDefined()
})

test('a republication under way puts no old document over a new one', async () => {
  const instance = await joined('argus')
  const { state } = instanceTopics(instance).down
  const gate = Promise.withResolvers<void>()
  let holds = false
  const publisher = await publisherWith({
    publish: async (topic, payload, retain) => {
      if (holds && topic === FLEET_TOPICS.snapshot) await gate.promise
      sent.push({ topic, payload, retain })
      return true
    },
  })
  await publisher.update()
  holds = true
  const republished = publisher.republish()
  await applyMatrix(MATRIX.replace('[covina]', '[]'), 1, place.context, place.policyDeps)
  await publisher.update()
  const newest = last(state)
  gate.resolve()
  await republished
  expect(last(state)).toBe(newest)
})

test('what an agent holds already is answered by its refresh', async () => {
  const instance = await joined('argus')
  const publisher = await publisherWith()
  await publisher.update()
  const held = { fleet: '1.1', agent: '1.1' }
  const pulled = await publisher.pull(instance, held)
  expect([pulled.fleet.document, pulled.agent?.document]).toEqual([undefined, undefined])
  expect((await publisher.pull(instance, { ...held, agent: '1.0' })).agent?.document).toBeDefined()
})

test('a clock that went back signs nothing, until the step is acknowledged', async () => {
  const instance = await joined('argus')
  const publisher = await publisherWith()
  await publisher.update()
  place.advance(-3_600_000)
  const held = { fleet: undefined, agent: undefined }
  await expect(publisher.pull(instance, held)).rejects.toMatchObject({ code: 'clock_behind' })
  await expect(publisher.refreshFleet()).rejects.toMatchObject({ code: 'clock_behind' })
  await applyMatrix(MATRIX.replace('[covina]', '[]'), 1, place.context, place.policyDeps)
  await expect(publisher.update()).rejects.toThrow()
  place.advance(3_600_000)
  await publisher.update()
})

test('the state signer gets a new certificate while it runs, for the same key', async () => {
  const state = await openStateSigner(place)
  const before = state.signer.x5c[0]
  await state.renew()
  expect(state.signer.x5c[0]).toBe(before)
  place.advance(300 * 86_400_000)
  await state.renew()
  expect(state.signer.x5c[0]).not.toBe(before)
  expect(state.signer.notAfter?.getTime()).toBeGreaterThan(place.now().getTime() + 300 * 86_400_000)
  place.advance(-300 * 86_400_000)
})
