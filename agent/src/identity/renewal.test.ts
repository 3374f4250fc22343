import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AgentContent, agentDocument, instanceTopics, isoSeconds, jwsSigner, type TrustStatement } from '@vcc/mesh'
import { writeFileAtomic } from '@vcc/runtime'
import { secondsAfter, type TestSigner, testPki } from '@vcc/testkit'
import { verifyCsr } from '@vcc/x509'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ApiLink } from '../control/api-link.ts'
import type { BrokerLink } from '../control/broker-link.ts'
import { AgentError } from '../errors.ts'
import { createAnswers } from '../report/answers.ts'
import { StateKeeper } from '../state/keeper.ts'
import { stateFiles } from '../state/state-files.ts'
import { type Identity, verifyIdentity } from './identity.ts'
import { identityFiles } from './identity-file.ts'
import { parseAgentKey } from './key.ts'
import { Renewal } from './renewal.ts'

const START = new Date('2026-11-23T12:00:00Z')
const INSTANCE = 'abcdefgh01234567'
const pki = testPki({ now: START })
const state = pki.stateSigner()
const stateSigner = jwsSigner(state.signer, state.chainDer)
const TRUST: TrustStatement = {
  version: 1,
  trustDomain: pki.trustDomain,
  oidArc: pki.oidArc,
  anchors: { mesh: Buffer.from(pki.root.certDer).toString('base64'), artifact: 'AAAA', evidence: 'AAAA' },
  stateSigners: { active: state.certificate.publicKey.spkiSha256Hex, spare: 'b'.repeat(64) },
  retired: [],
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-renewal-'))
})
afterEach(() => rm(folder, { recursive: true }))

type Issue = (spki: string, chain: (issuedAt?: Date) => string[]) => Promise<string[]> | string[]

/** An agent whose control plane is the function `issue`, reached by HTTPS; a broker beside it takes what is sent (`silent`) or does not (`deaf`). */
async function start(options: { issue?: Issue; demand?: Date; broker?: 'silent' | 'deaf'; signal?: AbortSignal } = {}) {
  let now = START
  const leaf = pki.service('argus', { instance: INSTANCE })
  const stored = { key: parseAgentKey(leaf.keyPem), chainDer: leaf.chainDer }
  const rules = { root: pki.root.certificate, oidArc: pki.oidArc, classOids: undefined, expected: undefined }
  let identity: Identity = verifyIdentity(stored, { ...rules, now })
  const files = identityFiles(folder)
  await files.write(stored)

  const whose = { instance: INSTANCE, service: identity.workload }
  const loaded = await stateFiles(folder).load({ root: pki.root.certificate, trust: TRUST, ...whose })
  const keeper = new StateKeeper(loaded, {
    root: pki.root.certificate,
    statement: TRUST,
    instance: INSTANCE,
    workload: identity.workload,
    files: { save: async () => true, saveMarks: async () => true },
    onChange: async () => {},
    onGap: () => {},
    onRefused: (fact) => {
      throw new Error(fact.code)
    },
    now: () => now,
  })
  if (options.demand !== undefined) await keeper.take('agent', await demanding(options.demand, identity.workload))

  const asked: { route: string; spki: string }[] = []
  const over =
    (by: string) =>
    async (route: string, { body }: { body: { envelope: string } }): Promise<unknown> => {
      const [, payload = ''] = body.envelope.split('.')
      const { csr } = (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { body: { csr: string } }).body
      const { publicKey } = verifyCsr(Buffer.from(csr, 'base64'))
      asked.push({ route: `${by} ${route}`, spki: publicKey.spkiSha256Hex })
      const chain = (issuedAt = now) => {
        const signer = { publicKey } as TestSigner // of a leaf's signer only the public half is looked at
        const validity = { notBefore: secondsAfter(issuedAt, -300), notAfter: secondsAfter(issuedAt, 7 * 86_400) }
        const issued = pki.service('argus', { instance: INSTANCE, signer, ...validity })
        return issued.chainDer.map((der) => Buffer.from(der).toString('base64'))
      }
      const made = await (options.issue ?? ((_spki, fresh) => fresh()))(publicKey.spkiSha256Hex, chain)
      return {
        refusedKeys,
        instance: INSTANCE,
        chain: made,
      }
    }
  const api = {
    call: over('agent') as ApiLink['call'], // the one route that a renewal asks
    anonymous: over('nobody') as ApiLink['anonymous'],
    downSince: () => undefined,
    [Symbol.asyncDispose]: async () => {},
  }
  const published: string[] = []
  const broker: BrokerLink = {
    isConnected: () => options.broker !== undefined,
    downSince: () => undefined,
    publish: async (topic) => {
      published.push(topic)
      return options.broker === 'silent'
    },
    tend: () => {},
    [Symbol.asyncDispose]: async () => {},
  }
  const trust = () => ({ root: pki.root.certificate, statement: TRUST })
  const failures: { code: string; failures: number; waitMs: number }[] = []
  const refusedKeys: string[] = []
  const renewal = new Renewal({
    identity: () => identity,
    files,
    trust,
    keeper: () => keeper,
    api,
    broker,
    answers: createAnswers({ trust, keeper: () => keeper, now: () => now }),
    onPendingRefused: (code) => refusedKeys.push(code),
    onRenewed: async (next) => {
      identity = next
    },
    onFailed: ({ code, failures: count, waitMs }) => void failures.push({ code, failures: count, waitMs }),
    now: () => now,
    signal: options.signal ?? new AbortController().signal,
  })
  return {
    files,
    renewal,
    asked,
    published,
    failures,
    refusedKeys,
    identity: () => identity,
    pass: (seconds: number) => {
      now = secondsAfter(now, seconds)
    },
  }
}

async function demanding(issuedAfter: Date, service: string): Promise<string> {
  const content: AgentContent = {
    service,
    mode: 'http',
    policy: {},
    upstreams: [],
    certificateIssuedAfter: isoSeconds(issuedAfter),
    classOids: { mtls_certificate: `${pki.oidArc}.2.1` },
    broker: [],
    api: [],
  }
  const input = { trustDomain: pki.trustDomain, epoch: 1, generation: 1, instance: INSTANCE, content }
  const { jws } = await agentDocument(input, { acceptSeconds: 600, enforceSeconds: 259_200 }, stateSigner, {
    now: START,
  })
  return jws
}

const spoilt: readonly { name: string; code: string; spoil: (path: string) => Promise<void> }[] = [
  { name: 'empty', code: 'secret_empty', spoil: (path) => writeFile(path, '') },
  {
    name: 'truncated',
    code: 'identity_file_invalid',
    spoil: async (path) => writeFile(path, (await readFile(path)).subarray(0, 100)),
  },
  { name: 'something else', code: 'identity_file_invalid', spoil: (path) => writeFile(path, 'hello') },
]
for (const { name, code, spoil } of spoilt) {
  test(`a stored key that is ${name} is told and replaced: it holds up no renewal`, async () => {
    const agent = await start()
    await agent.files.pendingKey()
    await spoil(join(folder, 'pending-key.pem'))
    agent.pass(27 * 3600)
    await agent.renewal.tend()
    expect(agent).toMatchObject({ failures: [], refusedKeys: [code] })
    expect(agent.asked).toHaveLength(1)
  })
}

const refuse = (reason: string) => () => {
  throw new AgentError('control_refused', 'no', { reason })
}

test('nothing is asked before its time', async () => {
  const agent = await start()
  await agent.renewal.tend()
  expect(agent.asked).toEqual([])
})

test('after a day the certificate is another one, of a new key, and on the disk', async () => {
  const agent = await start()
  const before = agent.identity()
  agent.pass(27 * 3600)
  await agent.renewal.tend()
  expect(agent.failures).toEqual([])
  expect(agent.identity().key.publicKey.spkiSha256Hex).not.toBe(before.key.publicKey.spkiSha256Hex)
  const stored = await agent.files.read()
  expect(stored?.key.publicKey.spkiSha256Hex).toBe(agent.identity().key.publicKey.spkiSha256Hex)
  expect(await agent.files.readPending()).toBeUndefined()
  expect(agent.renewal.plan()).toMatchObject({ kind: 'renew', why: 'due' })
})

test('a demand is followed at once', async () => {
  const agent = await start({ demand: secondsAfter(START, 1) })
  agent.pass(1)
  await agent.renewal.tend()
  expect(agent.asked).toHaveLength(1)
  expect(agent.renewal.plan()).toMatchObject({ kind: 'renew', why: 'due' })
})

test('a broker that does not confirm is passed over: HTTPS, with an envelope of its own', async () => {
  const agent = await start({ broker: 'deaf' })
  agent.pass(27 * 3600)
  await agent.renewal.tend()
  expect(agent.published).toEqual([instanceTopics(INSTANCE).up.renew])
  expect(agent.asked.map(({ route }) => route)).toEqual(['agent meshRenew'])
})

test('without an answer the same key asks again, later each time', async () => {
  let answers = false
  const agent = await start({
    issue: (_spki, chain) => (answers ? chain() : Promise.reject(new AgentError('control_unreachable', 'away'))),
  })
  agent.pass(27 * 3600)
  for (let attempt = 0; attempt < 4; attempt++) {
    await agent.renewal.tend()
    await agent.renewal.tend()
    agent.pass(600)
  }
  expect(agent.failures.map(({ code, failures }) => [code, failures])).toEqual(
    [1, 2, 3, 4].map((count) => ['control_unreachable', count]),
  )
  expect(agent.failures[3]?.waitMs).toBeGreaterThan(agent.failures[0]?.waitMs ?? 0)
  answers = true
  await agent.renewal.tend()
  expect(new Set(agent.asked.map(({ spki }) => spki)).size).toBe(1)
  expect(agent.identity().key.publicKey.spkiSha256Hex).toBe(agent.asked[0]?.spki)
})

test('a pending key that a crash left beside the same identity is not asked for again', async () => {
  const agent = await start({
    issue: (spki, chain) => (spki === agent.identity().key.publicKey.spkiSha256Hex ? refuse('csr_refused')() : chain()),
  })
  await writeFileAtomic(join(folder, 'pending-key.pem'), agent.identity().key.privateKeyPem())
  agent.pass(27 * 3600)
  await agent.renewal.tend()
  expect(agent.failures).toEqual([])
})

test('a certificate older than demanded is kept, and the next one waits for its backoff: no storm', async () => {
  const agent = await start({ demand: secondsAfter(START, 3600), issue: (_spki, chain) => chain(START) })
  agent.pass(3600)
  for (let second = 0; second < 30; second++) {
    await agent.renewal.tend()
    agent.pass(1)
  }
  expect(agent.asked.length).toBeLessThan(8)
  expect(agent.failures[0]).toMatchObject({ code: 'renewal_too_old' })
})

test('a forked identity never asks again, and keeps the certificate it has', async () => {
  const agent = await start({ issue: refuse('identity_forked') })
  const before = agent.identity()
  agent.pass(27 * 3600)
  await agent.renewal.tend()
  agent.pass(86_400)
  await agent.renewal.tend()
  expect(agent.asked).toHaveLength(1)
  expect(agent.renewal.plan()).toEqual({ kind: 'stop', why: 'identity_forked' })
  expect((await agent.files.read())?.key.publicKey.spkiSha256Hex).toBe(before.key.publicKey.spkiSha256Hex)
})

test('after expiry it is nobody who asks, and the envelope of the old key that speaks', async () => {
  const agent = await start()
  agent.pass(8 * 86_400)
  await agent.renewal.tend()
  expect(agent.asked.map(({ route }) => route)).toEqual(['nobody meshReEnrol'])
  expect(agent.failures).toEqual([])
})

test('the certificate of somebody else is refused, and the old one stays in use and on the disk', async () => {
  const stranger = pki
    .service('covina', { instance: INSTANCE })
    .chainDer.map((der) => Buffer.from(der).toString('base64'))
  const agent = await start({ issue: () => stranger })
  const before = agent.identity()
  agent.pass(27 * 3600)
  await agent.renewal.tend()
  expect(agent.failures[0]).toMatchObject({ code: 'key_mismatch' })
  expect(agent.identity()).toBe(before)
  expect((await agent.files.read())?.key.publicKey.spkiSha256Hex).toBe(before.key.publicKey.spkiSha256Hex)
})

test('the end of the agent ends the wait for an answer over MQTT, and asks nobody else', async () => {
  const ending = new AbortController()
  const agent = await start({ broker: 'silent', signal: ending.signal })
  agent.pass(2 * 86_400)
  const tended = agent.renewal.tend()
  await expect.poll(() => agent.published.length).toBe(1)
  ending.abort()
  await tended
  expect([agent.asked, agent.failures]).toEqual([[], []])
  expect((await agent.files.readPending())?.publicKey).toBeDefined() // the next run asks with the same key
})
