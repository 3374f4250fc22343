// Long because each hostility is a test of its own, on one mesh: what becomes of messages, what refuses it, and that
// everybody has the newest state all the same.
import { createPrivateKey, randomBytes, sign as signBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  agentDocument,
  FLEET_TOPICS,
  fleetDelta,
  instanceTopics,
  isoSeconds,
  type JwsSigner,
  jwsSigner,
  refreshOf,
  type StatusBody,
  signEnvelope,
} from '@vcc/mesh'
import { type TestCredential, testInstance } from '@vcc/testkit'
import { DEFAULT_OID_ARC, decodePem, ekuOid, publicKeyOf } from '@vcc/x509'
import t from 'tap'
import { type Conduct, honest, hostileBroker } from '../harness/hostile-broker.ts'
import { openIssuers } from '../harness/issuers.ts'
import { startMesh } from '../harness/mesh.ts'
import { MATRIX_FILE } from '../harness/paths.ts'
import { eventually } from '../harness/process.ts'
import { events, metric } from '../harness/tables.ts'

// The external broker of this mesh is ours: it has the certificate of the broker, and no good in mind.
const broker = hostileBroker()
await using mesh = await startMesh({
  services: { argus: ['covina'], covina: [] },
  control: { broker },
})
const { control } = mesh
const argus = mesh.agent('argus')
const issuers = await openIssuers(control)
const matrix = await readFile(MATRIX_FILE, 'utf8')
const LIFETIMES = { acceptSeconds: 300, enforceSeconds: 3600 }

interface Status {
  identity: { instance: string; serial: string }
  control_plane: { api: string; broker: string }
}
const statusOf = async (agent: typeof argus) => (await agent.status()) as unknown as Status
const instance = (await statusOf(argus)).identity.instance
const other = (await statusOf(mesh.agent('covina'))).identity.instance
const [own, theirs] = [instanceTopics(instance), instanceTopics(other)]

const works = async () => (await fetch(argus.url('covina'))).status === 200
const refusedBy = async (code?: string) =>
  metric(await argus.metrics(), 'vcc_agent_state_refused_total', code === undefined ? {} : { code })
const held = async (kind: 'agent' | 'fleet' = 'agent', agent = argus) =>
  (JSON.parse(await readFile(join(agent.stateFolder, `${kind}.json`), 'utf8')) as { state: { document: string } }).state
    .document
/** What the control plane refused, by the reason in its log. */
const reasons = () => events(control.process().output(), 'message_refused').map((one) => one['reason'])

let isAllowed = true
/** Changes whether argus may call covina. Nobody waits: agents may not be told. */
async function turn(): Promise<void> {
  isAllowed = !isAllowed
  const file = join(mesh.folder, `${isAllowed}.yml`)
  await writeFile(file, isAllowed ? matrix : matrix.replace('[covina, clara, vpb]', '[clara, vpb]'))
  await control.pki('policy', 'apply', file, '--yes', '--wait', '1s', '--accept-pending')
}

/** Everybody works by the newest state, and the control plane knows it. A pull comes every minute, or sooner. */
async function converged(): Promise<void> {
  await eventually(
    `argus → covina is ${isAllowed ? 'allowed' : 'refused'}`,
    async () => (await works()) === isAllowed,
    150_000,
  )
  await eventually(
    'the control plane knows it',
    async () => {
      const { items } = (await control.pkiJson('instances', 'list')) as { items: { in_force: boolean }[] }
      return items.length === 2 && items.every((one) => one.in_force)
    },
    150_000,
  )
}

/** The broker behaves again: a change reaches everybody by it. */
async function recovers(t: Tap): Promise<void> {
  broker.behave(honest)
  broker.throwOut('never')
  broker.show('its own')
  for (const agent of [argus, mesh.agent('covina')]) {
    const isBack = async () => (await statusOf(agent)).control_plane.broker === 'connected'
    await eventually(`${agent.service} is at the broker`, isBack, 120_000)
  }
  broker.forget()
  await turn()
  await eventually('argus is told by the broker', () =>
    broker.given.some((one) => one.topic === own.down.state && one.to === instance),
  )
  await converged()
  t.pass('the broker behaves again, and so does the mesh')
}
type Tap = Pick<typeof t, 'pass'>

/** Nothing of a document reached argus by the broker, so what it has came by pull. */
const documents = () =>
  broker.given.filter((one) => one.topic === own.down.state && one.to === instance && one.payload !== '')

const withhold: Conduct = () => {}
const without =
  (...parts: string[]): Conduct =>
  (message, deliver) => {
    if (!parts.some((part) => message.topic.endsWith(part))) deliver(message)
  }

await converged()

await t.test('withholds everything: what is new comes by pull, and what agents say over HTTPS', async (t) => {
  broker.behave(withhold)
  broker.forget()
  await turn()
  await converged()
  t.same(broker.given, [], 'the broker told nobody anything')
  await recovers(t)
})

await t.test('withholds documents: a refresh that names a newer one is state_gap, and asks for a pull', async (t) => {
  broker.behave(without('/state', '/snapshot', '/delta'))
  broker.forget()
  const gaps = await refusedBy('state_gap')
  await turn()
  await converged()
  t.ok((await refusedBy('state_gap')) > gaps)
  t.same(documents(), [], 'the broker passed no document on')
  await recovers(t)
})

await t.test('withholds refreshes: documents go on', async (t) => {
  broker.behave(without('/refresh'))
  await turn()
  await converged()
  await recovers(t)
})

await t.test(
  'passes everything on five times: taken once; the control plane refuses repeats as envelope_replayed',
  async (t) => {
    broker.behave((message, deliver) => {
      for (let time = 0; time < 5; time++) deliver(message)
    })
    const [refused, generation] = [
      await refusedBy(),
      metric(await argus.metrics(), 'vcc_agent_state_generation', { kind: 'agent' }),
    ]
    await turn()
    await converged()
    t.equal(await refusedBy(), refused, 'a document that is held is not refused')
    t.equal(
      metric(await argus.metrics(), 'vcc_agent_state_generation', { kind: 'agent' }),
      generation + 1,
      'one change, once',
    )
    await eventually('repeats are refused', () => reasons().includes('envelope_replayed'))
    await recovers(t)
  },
)

await t.test('turns the order round: what is older is state_stale', async (t) => {
  const kept: (() => void)[] = []
  broker.behave((message, deliver) => {
    if (message.topic.includes('/up/')) deliver(message)
    else kept.push(() => deliver(message))
  })
  await turn()
  await turn()
  await turn()
  const stale = await refusedBy('state_stale')
  for (const pass of kept.toReversed()) pass()
  await eventually('what came late is refused', async () => (await refusedBy('state_stale')) > stale)
  await converged()
  await recovers(t)
})

await t.test(
  'delays: what is late but in time is taken, what is too late is state_expired and envelope_expired',
  async (t) => {
    broker.behave((message, deliver) => void setTimeout(() => deliver(message), 3000))
    await turn()
    await converged()
    broker.behave(without(own.down.state))

    const signer = await stateSigner()
    const document = documentIn(await held())
    const hourAgo = new Date(Date.now() - 3_600_000)
    const next = { ...document, generation: document.generation + 1 }
    const late = await agentDocument(next, LIFETIMES, signer, { now: hourAgo })
    const before = { expired: await refusedBy('state_expired'), held: await held() }
    broker.say(own.down.state, late.jws)
    await eventually('a document of an hour ago', async () => (await refusedBy('state_expired')) > before.expired)
    const until = async () => metric(await argus.metrics(), 'vcc_agent_state_enforce_until_timestamp_seconds')
    const [term, refused] = [await until(), await refusedBy()]
    broker.say(own.down.refresh, (await refreshOf(document, LIFETIMES, signer, { now: hourAgo })).jws)
    broker.say(own.down.state, late.jws)
    await eventually('and again', async () => (await refusedBy()) > refused)
    t.ok((await until()) >= term, 'a refresh of an hour ago takes nothing back')
    t.equal(await held(), before.held)

    const said = await statusBy(await identitySigner(argus.stateFolder), instance, new Date(Date.now() - 600_000))
    broker.say(own.up.status, said, 'control')
    await eventually('an envelope of ten minutes ago', () => reasons().includes('envelope_expired'))
    await recovers(t)
  },
)

await t.test('replays: older state is state_stale, an envelope is taken once', async (t) => {
  broker.behave(honest)
  broker.forget()
  await turn()
  await converged()
  await turn()
  await converged()
  const old = broker.given.filter((one) => one.to === instance)
  const ups = broker.taken.filter((one) => one.topic === own.up.ack || one.topic === own.up.status)
  t.ok(old.length > 3 && ups.length > 1, 'there is something to replay')
  const before = {
    stale: await refusedBy('state_stale'),
    all: await refusedBy(),
    replayed: count('envelope_replayed'),
    held: await held(),
  }
  for (const { topic, payload } of old) broker.say(topic, payload, instance)
  await eventually('older state is refused', async () => (await refusedBy('state_stale')) > before.stale)
  for (const { topic, payload } of ups) broker.say(topic, payload, 'control')
  await eventually('repeated envelopes are refused', () => count('envelope_replayed') >= before.replayed + ups.length)
  t.equal(
    (await refusedBy('state_stale')) - before.stale,
    (await refusedBy()) - before.all,
    'being late is the only reason',
  )
  t.equal(await held(), before.held)
  await converged()
  await recovers(t)
})

await t.test('mixes up addressees: state_foreign, envelope_sender_mismatch', async (t) => {
  const [mine, covinas, fleet] = [await held(), await held('agent', mesh.agent('covina')), await held('fleet')]
  const refreshes = (to: string) => broker.given.findLast((one) => one.topic === `a/${to}/down/refresh`)?.payload ?? ''
  await refusals(t, [
    { name: 'the state of another instance', topic: own.down.state, text: covinas, code: 'state_foreign' },
    { name: 'the refresh of another instance', topic: own.down.refresh, text: refreshes(other), code: 'state_foreign' },
    { name: 'the state of the fleet as its own', topic: own.down.state, text: fleet, code: 'state_foreign' },
    { name: 'its own state as that of the fleet', topic: FLEET_TOPICS.snapshot, text: mine, code: 'state_foreign' },
    { name: 'a refresh as a document', topic: own.down.state, text: refreshes(instance), code: 'jws_type_refused' },
    { name: 'a document as a refresh', topic: own.down.refresh, text: mine, code: 'jws_type_refused' },
    { name: 'a document as a delta', topic: FLEET_TOPICS.delta, text: fleet, code: 'jws_type_refused' },
  ])
  const signer = await identitySigner(argus.stateFolder)
  await controlRefusals(t, [
    {
      name: 'what argus said, on the topic of covina',
      topic: theirs.up.status,
      text: await statusBy(signer, instance),
      code: 'envelope_sender_mismatch',
    },
    {
      name: 'a status as an acknowledgement',
      topic: own.up.ack,
      text: await statusBy(signer, instance),
      code: 'envelope_purpose_mismatch',
    },
    {
      name: 'a status as a request for a certificate',
      topic: own.up.renew,
      text: await statusBy(signer, instance),
      code: 'envelope_purpose_mismatch',
    },
    { name: 'state as an envelope', topic: own.up.status, text: mine, code: 'jws_type_refused' },
  ])
  await recovers(t)
})

await t.test('forges state: whoever signs it is not who the trust statement names', async (t) => {
  const [mine, covinas, fleet] = [await held(), await held('agent', mesh.agent('covina')), await held('fleet')]
  const state = ekuOid(DEFAULT_OID_ARC, 'state')
  const signers: readonly (readonly [string, TestCredential])[] = [
    ['a service', await issuers.services.leaf(leafOf(instance))],
    ['a service with the usage for state', await issuers.services.leaf({ ...leafOf(instance), extKeyUsage: [state] })],
    [
      'one of the Control CA that nobody named',
      await issuers.control.leaf({ commonName: 'state signer 9', extKeyUsage: [state], ekuCritical: true }),
    ],
  ]
  for (const [name, shown] of signers) {
    const signer = jwsSigner(shown.signer, shown.chainDer)
    const code = 'state_signer_refused'
    await refusals(t, [
      { name: `state by ${name}`, topic: own.down.state, text: await forgedState(mine, signer), code },
      { name: `a refresh by ${name}`, topic: own.down.refresh, text: await forgedRefresh(mine, signer), code },
      { name: `a delta by ${name}`, topic: FLEET_TOPICS.delta, text: await forgedDelta(fleet, signer), code },
    ])
  }
  await refusals(t, [
    {
      name: 'state with another payload',
      topic: own.down.state,
      text: withPayloadOf(mine, covinas),
      code: 'state_signature_invalid',
    },
    {
      name: 'state without a signature',
      topic: own.down.state,
      text: mine.replace(/[^.]+$/, ''),
      code: 'jws_malformed',
    },
    {
      name: 'state with "none" as its algorithm',
      topic: own.down.state,
      text: unsigned(mine),
      code: 'jws_algorithm_refused',
    },
    { name: 'state cut short', topic: own.down.state, text: mine.slice(0, -40), code: 'jws_malformed' },
    { name: 'no signed text at all', topic: own.down.state, text: 'certainly', code: 'jws_malformed' },
    { name: 'nothing', topic: own.down.state, text: '', code: 'jws_malformed' },
    { name: 'a text of 250 KiB', topic: own.down.state, text: 'A'.repeat(250 * 1024), code: 'jws_malformed' },
  ])
  const alarms = new Set(events(argus.process().output(), 'state_refused').map((one) => one['code']))
  t.ok(alarms.has('state_signer_refused') && alarms.has('state_signature_invalid'), 'tampering is an alarm in the log')
  t.equal(await held(), mine, 'argus holds what it held')
  await recovers(t)
})

await t.test('forges what agents say: nobody but the instance speaks for it', async (t) => {
  const stranger = await issuers.services.leaf(leafOf(instance))
  const argusSigner = await identitySigner(argus.stateFolder)
  const good = await statusBy(argusSigner, instance)
  const admin = await issuers.admin.leaf({
    commonName: 'f'.repeat(32),
    uris: [`spiffe://vcc.internal/admin/${'f'.repeat(32)}`],
  })
  await controlRefusals(t, [
    {
      name: 'by an admin',
      topic: own.up.status,
      text: await statusBy(jwsSigner(admin.signer, admin.chainDer), instance),
      code: 'envelope_sender_refused',
    },
    {
      name: 'by another instance, in its name',
      topic: own.up.status,
      text: await statusBy(await identitySigner(mesh.agent('covina').stateFolder), instance),
      code: 'envelope_sender_mismatch',
    },
    {
      name: 'with another payload',
      topic: own.up.status,
      text: withPayloadOf(good, await statusBy(argusSigner, instance)),
      code: 'envelope_signature_invalid',
    },
    {
      name: 'of next week',
      topic: own.up.status,
      text: await statusBy(argusSigner, instance, new Date(Date.now() + 86_400_000)),
      code: 'envelope_not_yet_valid',
    },
    { name: 'cut short', topic: own.up.status, text: good.slice(0, -40), code: 'jws_malformed' },
    { name: 'nothing', topic: own.up.renew, text: '', code: 'jws_malformed' },
  ])
  const unknown = events(control.process().output(), 'message_refused').length
  broker.say(own.up.status, await statusBy(jwsSigner(stranger.signer, stranger.chainDer), instance), 'control')
  await eventually('by a certificate of the right CA that nobody issued', () => {
    return events(control.process().output(), 'message_refused')
      .slice(unknown)
      .some((one) => one['code'] === 'identity_unknown')
  })
  t.pass('by a certificate of the right CA that nobody issued: identity_unknown')
  await recovers(t)
})

await t.test('confirms requests for certificates and passes none on: they go over HTTPS', async (t) => {
  broker.behave(without('/renew', '/reply'))
  const before = (await statusOf(argus)).identity.serial
  await control.pki('instances', 'rotate', '--service', 'argus', '--wait', '1s')
  await eventually(
    'argus has a new certificate',
    async () => (await statusOf(argus)).identity.serial !== before,
    120_000,
  )
  t.equal((await statusOf(argus)).identity.instance, instance)
  await recovers(t)
})

await t.test('answers for the control plane: an answer that is older, or another’s, is passed over', async (t) => {
  const replies: string[] = []
  broker.behave((message, deliver) => {
    if (!message.topic.endsWith('/reply')) return deliver(message)
    // Everybody gets each answer but the right one, on its own topic.
    for (const topic of [own.down.reply, theirs.down.reply]) {
      for (const payload of topic === message.topic ? replies : [...replies, message.payload])
        deliver({ ...message, topic, payload })
    }
    replies.push(message.payload)
  })
  const serials = async () => [
    (await statusOf(argus)).identity.serial,
    (await statusOf(mesh.agent('covina'))).identity.serial,
  ]
  const before = await serials()
  await control.pki('instances', 'rotate', '--all', '--wait', '1s')
  await eventually(
    'both have a new certificate',
    async () => (await serials()).every((one, at) => one !== before[at]),
    120_000,
  )
  t.ok(replies.length >= 2, 'the broker had answers in its hands')
  await recovers(t)
})

await t.test('floods: the mesh goes on, and the control plane is not asked in a loop', async (t) => {
  broker.behave(without('/state', '/snapshot', '/delta'))
  await turn()
  await converged()
  const pulls = async () =>
    metric(await (await fetch(`http://127.0.0.1:${control.ports.metrics}/metrics`)).text(), 'vcc_api_requests_total', {
      route: 'meshState',
    })
  const stranger = await issuers.services.leaf(leafOf(instance))
  const gap = await forgedRefresh(await held(), jwsSigner(stranger.signer, stranger.chainDer), 1)
  const [before, refused] = [await pulls(), await refusedBy()]
  for (let round = 0; round < 100; round++) {
    for (let message = 0; message < 10; message++) {
      broker.say(own.down.refresh, gap, instance)
      broker.say(own.down.state, 'A'.repeat(10_000), instance)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.ok((await refusedBy()) > refused + 100, 'it had much to refuse')
  t.ok((await pulls()) - before < 60, 'each pull in vain makes the next one wait')
  await turn()
  await converged()
  await recovers(t)
})

await t.test('lets in and throws out: agents ask less and less, and pull', async (t) => {
  broker.throwOut('after SUBSCRIBE')
  broker.cut()
  await turn()
  await converged()
  await recovers(t)
})

await t.test('lets nobody in: the mesh works by pulls', async (t) => {
  broker.throwOut('at CONNECT')
  broker.cut()
  await eventually('argus says so', async () => (await statusOf(argus)).control_plane.broker === 'away')
  broker.forget()
  await turn()
  await converged()
  t.same(documents(), [])
  await recovers(t)
})

await t.test('a packet of 16 MiB ends the connection before it is read', async (t) => {
  const before = broker.clients.filter((one) => one === instance).length
  broker.say(own.down.state, 'A'.repeat(16 * 1024 * 1024), instance)
  await eventually('argus comes anew', () => broker.clients.filter((one) => one === instance).length > before)
  await recovers(t)
})

await t.test('without the certificate of the broker it is no broker: nobody tells it who they are', async (t) => {
  broker.show(await issuers.services.leaf(leafOf(other)))
  const before = broker.clients.length
  broker.cut()
  await eventually('argus stays away', async () => (await statusOf(argus)).control_plane.broker === 'away')
  await turn()
  await converged()
  t.equal(broker.clients.length, before)
  await recovers(t)
})

interface Refusal {
  readonly name: string
  readonly topic: string
  readonly text: string
  readonly code: string
}

/** Each is told to argus, which refuses it with its code and holds what it held. */
async function refusals(t: Tap, cases: readonly Refusal[]): Promise<void> {
  for (const { name, topic, text, code } of cases) {
    const before = await refusedBy(code)
    broker.say(topic, text, instance)
    await eventually(`${name} is refused as ${code}`, async () => (await refusedBy(code)) > before)
    t.pass(`${name}: ${code}`)
  }
}

function count(reason: string): number {
  return reasons().filter((one) => one === reason).length
}

/** Each is told to the control plane in the name of an agent. */
async function controlRefusals(t: Tap, cases: readonly Refusal[]): Promise<void> {
  for (const { name, topic, text, code } of cases) {
    const before = count(code)
    broker.say(topic, text, 'control')
    await eventually(`${name} is refused as ${code}`, () => count(code) > before)
    t.pass(`${name}: ${code}`)
  }
}

function leafOf(commonName = testInstance()) {
  return {
    commonName,
    uris: ['spiffe://vcc.internal/org/brandenburg/svc/argus'],
    dnsNames: ['argus.vcc.internal'],
    policies: [`${DEFAULT_OID_ARC}.2.1`],
  }
}

type Document = Parameters<typeof agentDocument>[0] & { kind: 'agent'; instance: string; contentHash: string }

function documentIn(jws: string): Document {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8')) as Document
}

/** The very key that signs state, with the certificate it signs under. */
async function stateSigner(): Promise<JwsSigner> {
  const [header = ''] = (await held()).split('.')
  const { x5c } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { x5c: string[] }
  return issuers.stateSigner(x5c.map((one) => Buffer.from(one, 'base64')))
}

/** An agent's own key and chain, from its state folder. */
async function identitySigner(folder: string): Promise<JwsSigner> {
  const pem = await readFile(join(folder, 'identity.pem'), 'utf8')
  const key = createPrivateKey(pem)
  const sign = async (bytes: Uint8Array) => signBytes('sha256', bytes, { key, dsaEncoding: 'der' })
  return jwsSigner({ algorithm: 'ecdsa-sha256', publicKey: publicKeyOf(key), sign }, decodePem(pem, 'CERTIFICATE'))
}

async function statusBy(signer: JwsSigner, sender: string, at = new Date()): Promise<string> {
  const body: StatusBody = {
    version: '0.1.0',
    formats: [1],
    startedAt: isoSeconds(at),
    ready: true,
    health: { state: 'unknown' },
    certificate: null,
    fleet: null,
    agent: null,
    clock: { state: 'ok', offsetSeconds: null },
    listeners: [],
    addresses: [],
    localBypass: 'closed',
    counters: {},
  }
  const [correlation, nonce] = [randomBytes(24).toString('base64url'), randomBytes(24).toString('base64url')]
  return signEnvelope({ kind: 'status', instance: sender, correlation, nonce, body }, 120, signer, { now: at })
}

/** The same content under a far higher generation, signed by whoever wants to. */
async function forgedState(like: string, signer: JwsSigner): Promise<string> {
  const input = { ...documentIn(like), generation: 1_000_000 }
  return (await agentDocument(input, LIFETIMES, signer, { now: new Date() })).jws
}

/** @param ahead  How many generations ahead of what it extends; 0 extends the one that is held. */
async function forgedRefresh(like: string, signer: JwsSigner, ahead = 0): Promise<string> {
  const target = documentIn(like)
  return (await refreshOf({ ...target, generation: target.generation + ahead }, LIFETIMES, signer, { now: new Date() }))
    .jws
}

async function forgedDelta(like: string, signer: JwsSigner): Promise<string> {
  const fleet = documentIn(like) as unknown as Parameters<typeof fleetDelta>[1]
  const input = { ...fleet, generation: fleet.generation + 1 }
  return (await fleetDelta(fleet, input, LIFETIMES, signer, { now: new Date() })).jws
}

/** Header and signature of one, payload of the other. */
function withPayloadOf(signed: string, another: string): string {
  const [header, , signature] = signed.split('.')
  return [header, another.split('.')[1], signature].join('.')
}

function unsigned(signed: string): string {
  const [header = '', payload, signature] = signed.split('.')
  const said = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as object
  return [Buffer.from(JSON.stringify({ ...said, alg: 'none' })).toString('base64url'), payload, signature].join('.')
}
