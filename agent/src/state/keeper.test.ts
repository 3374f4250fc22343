import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AgentContent,
  acceptAgent,
  agentDocument,
  encodeHeld,
  type FleetContent,
  fleetDocument,
  jwsSigner,
  type MeshError,
  refreshOf,
  signTrustStatement,
  type TrustStatement,
  verifyTrustStatement,
} from '@vcc/mesh'
import { RuntimeError } from '@vcc/runtime'
import { testPki } from '@vcc/testkit'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { StateKeeper } from './keeper.ts'
import { keptFiles } from './kept-files.ts'
import { type StateFiles, stateFiles } from './state-files.ts'

const NOW = new Date('2026-11-23T12:00:00Z')
const pki = testPki({ now: NOW, curve: 'P-384' })
const other = testPki({ now: NOW, curve: 'P-384' })
const INSTANCE = 'abcdefgh01234567'
const ARGUS = 'spiffe://vcc.internal/org/brandenburg/svc/argus'
const LIFETIMES = { acceptSeconds: 600, enforceSeconds: 259_200 }
const credential = pki.stateSigner()
const signer = jwsSigner(credential.signer, credential.chainDer)
const service = pki.service('argus', { instance: INSTANCE })
const serviceSigner = jwsSigner(service.signer, service.chainDer)

let trustJws: string
let trust: TrustStatement
beforeAll(async () => {
  trustJws = await trustOf(pki, 1)
  trust = verifyTrustStatement(trustJws, pki.root.certificate)
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-state-'))
})
afterEach(() => rm(folder, { recursive: true }))

const after = (seconds: number) => new Date(NOW.getTime() + seconds * 1000)

async function trustOf(of: typeof pki, version: number): Promise<string> {
  const anchor = Buffer.from(of.root.certDer).toString('base64')
  const active = credential.certificate.publicKey.spkiSha256Hex
  const statement: TrustStatement = {
    version,
    trustDomain: of.trustDomain,
    oidArc: of.oidArc,
    anchors: { mesh: anchor, artifact: anchor, evidence: anchor },
    stateSigners: { active, spare: 'b'.repeat(64) },
    retired: [],
  }
  return await signTrustStatement(statement, jwsSigner(of.root.signer, []))
}

interface Make {
  readonly generation?: number
  readonly epoch?: number
  readonly at?: Date
  readonly instance?: string
  readonly by?: typeof signer
  readonly content?: Partial<AgentContent>
  readonly trust?: string
}

const AGENT: AgentContent = {
  service: ARGUS,
  mode: 'http',
  policy: {},
  upstreams: [],
  certificateIssuedAfter: null,
  classOids: {},
  broker: [],
  api: [],
}

async function agentDoc({
  generation = 1,
  epoch = 1,
  at = NOW,
  instance = INSTANCE,
  by = signer,
  content = {},
}: Make = {}) {
  const input = { trustDomain: pki.trustDomain, epoch, generation, instance, content: { ...AGENT, ...content } }
  return await agentDocument(input, LIFETIMES, by, { now: at })
}

async function fleetDoc({ generation = 1, epoch = 1, at = NOW, by = signer, trust: carried = trustJws }: Make = {}) {
  const content: FleetContent = { trust: carried, issuers: [], denials: [], revocations: [], releases: [] }
  return await fleetDocument({ trustDomain: pki.trustDomain, epoch, generation, content }, LIFETIMES, by, { now: at })
}

/** A keeper on what the folder holds, with everything it tells. */
async function start(options: { now?: () => Date; files?: StateFiles; root?: typeof pki } = {}) {
  const files = options.files ?? stateFiles(folder)
  const loaded = await files.load({
    root: (options.root ?? pki).root.certificate,
    trust,
    instance: INSTANCE,
    service: ARGUS,
  })
  const told = { changed: [] as string[], refused: [] as string[], stored: [] as string[], gaps: 0 }
  const kept = keptFiles({
    states: files,
    statements: { writeStatement: () => Promise.reject(new TypeError('nobody asks for it here')) },
    refused: loaded.refused,
    events: {
      notStored: ({ file, code }) => void told.stored.push(`${file} not: ${code}`),
      storedAgain: ({ file }) => void told.stored.push(`${file} again`),
    },
    now: () => NOW,
  })
  const keeper = new StateKeeper(loaded, {
    root: pki.root.certificate,
    statement: trust,
    instance: INSTANCE,
    workload: ARGUS,
    files: kept,
    onChange: async (kind) => void told.changed.push(kind),
    onGap: () => {
      told.gaps += 1
    },
    onRefused: ({ code }, error: MeshError) => void told.refused.push(error.code === code ? code : 'unlike its error'),
    now: options.now ?? (() => NOW),
  })
  return { keeper, told, loaded, kept }
}

test('documents are taken, kept on the disk and there again after a restart without the control plane', async () => {
  const { keeper, told } = await start()
  await keeper.takePulled({
    fleet: {
      document: (await fleetDoc()).jws,
      refresh: (await refreshOf((await fleetDoc()).payload, LIFETIMES, signer, { now: after(60) })).jws,
    },
    agent: {
      document: (await agentDoc()).jws,
      refresh: (await refreshOf((await agentDoc()).payload, LIFETIMES, signer, { now: after(60) })).jws,
    },
  })
  expect(told).toEqual({ changed: ['fleet', 'agent'], refused: [], stored: [], gaps: 0 })

  const days = 2.9 * 86_400
  const again = await start({ now: () => after(days) })
  expect(again.loaded.refused).toEqual([])
  expect(again.keeper.agent?.generation).toBe(1)
  expect(again.keeper.agent?.enforceUntil).toEqual(after(60 + 259_200))
  expect(again.keeper.floor).toEqual(after(60))
})

test('a repeated document is known and changes nothing', async () => {
  const { keeper, told } = await start()
  const { jws } = await agentDoc()
  await keeper.take('agent', jws)
  await keeper.take('agent', jws)
  expect(told).toMatchObject({ changed: ['agent'], refused: [] })
})

const refused: readonly { name: string; code: string; message: () => Promise<string>; gaps?: number }[] = [
  { name: 'an older generation', code: 'state_stale', message: async () => (await agentDoc({ generation: 4 })).jws },
  {
    name: 'the state of another instance',
    code: 'state_foreign',
    message: async () => (await agentDoc({ generation: 6, instance: 'zzzzzzzzzzzzzzzz' })).jws,
  },
  {
    name: 'state that a service certificate signed',
    code: 'state_signer_refused',
    message: async () => (await agentDoc({ generation: 6, by: serviceSigner })).jws,
  },
  {
    name: 'another content of the same generation',
    code: 'state_conflict',
    message: async () => (await agentDoc({ generation: 5, content: { mode: 'tcp' } })).jws,
  },
  {
    name: 'a document that was to be taken until an hour ago',
    code: 'state_expired',
    gaps: 1,
    message: async () => (await agentDoc({ generation: 6, at: after(-4200) })).jws,
  },
  {
    name: 'a tampered document',
    code: 'state_signature_invalid',
    message: async () => {
      const [head = '', , signature = ''] = (await agentDoc({ generation: 6 })).jws.split('.')
      const [, payload = ''] = (await agentDoc({ generation: 7 })).jws.split('.')
      return `${head}.${payload}.${signature}`
    },
  },
  { name: 'text that is no JWS', code: 'jws_malformed', message: async () => 'hello' },
]
for (const { name, code, message, gaps = 0 } of refused) {
  test(`${name} is refused and what is held stays`, async () => {
    const { keeper, told } = await start()
    await keeper.take('agent', (await agentDoc({ generation: 5 })).jws)
    await keeper.take('agent', await message())
    expect(told).toEqual({ changed: ['agent'], refused: [code], stored: [], gaps })
    expect(keeper.agent?.generation).toBe(5)
    expect((await start()).keeper.agent?.generation).toBe(5)
  })
}

test('a refresh before its document, or of a later one, asks for a pull', async () => {
  const { keeper, told } = await start()
  const later = (await refreshOf((await agentDoc({ generation: 2 })).payload, LIFETIMES, signer, { now: NOW })).jws
  await keeper.take('agent-refresh', later)
  await keeper.take('agent', (await agentDoc()).jws)
  await keeper.take('agent-refresh', later)
  expect(told).toMatchObject({ refused: ['state_gap', 'state_gap'], gaps: 2 })
})

const damages: readonly { name: string; code: string; damage: (path: string) => Promise<void> }[] = [
  { name: 'a truncated file', code: 'held_malformed', damage: (path) => truncate(path, 500) },
  { name: 'an empty file', code: 'held_malformed', damage: (path) => writeFile(path, '') },
  { name: 'a file of something else', code: 'held_malformed', damage: (path) => writeFile(path, '{"format":1}') },
  {
    name: 'a file with one byte turned',
    code: 'held_malformed',
    damage: async (path) => {
      const text = await readFile(path, 'utf8')
      const at = text.indexOf('.') + 40
      await writeFile(path, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1))
    },
  },
  { name: 'a file of 17 MB', code: 'file_too_large', damage: (path) => truncate(path, 17 * 1024 * 1024) },
  {
    name: 'the file of another instance',
    code: 'state_foreign',
    damage: async (path) => {
      const instance = 'zzzzzzzzzzzzzzzz'
      const held = acceptAgent(undefined, (await agentDoc({ instance })).jws, {
        root: pki.root.certificate,
        trust,
        now: NOW,
        floor: undefined,
        instance,
        service: ARGUS,
      })
      await writeFile(path, encodeHeld(held))
    },
  },
]
for (const { name, code, damage } of damages) {
  test(`${name} is refused at start and fetched anew`, async () => {
    const first = await start()
    await first.keeper.take('agent', (await agentDoc()).jws)
    await damage(join(folder, 'agent.json'))

    const second = await start()
    expect(second.loaded.refused).toEqual([{ file: 'agent.json', code }])
    expect(second.keeper.agent).toBeUndefined()
    expect(second.keeper.floor).toEqual(NOW)
    await second.keeper.take('agent', (await agentDoc({ generation: 2, at: after(1) })).jws)
    expect((await start()).keeper.agent?.generation).toBe(2)
  })
}

test('state under another root is refused at start', async () => {
  const { keeper } = await start()
  await keeper.take('agent', (await agentDoc()).jws)
  expect((await start({ root: other })).loaded.refused).toEqual([{ file: 'agent.json', code: 'state_signer_refused' }])
})

test('a clock set back is judged by what was signed: nothing becomes enforceable again', async () => {
  const { keeper } = await start()
  await keeper.take('agent', (await agentDoc()).jws)
  const back = await start({ now: () => after(-86_400) })
  expect(back.keeper.now()).toEqual(NOW)
  expect(back.keeper.clock()).toMatchObject({ state: 'behind', code: 'clock_behind', bySeconds: 86_400 })
})

for (const { name, damage } of damages.filter(({ code }) => code !== 'state_foreign')) {
  test(`marks that are ${name} are as good as lost, and told`, async () => {
    const { keeper } = await start()
    await keeper.take('agent', (await agentDoc()).jws)
    await damage(join(folder, 'marks.json'))
    const again = await start()
    expect(again.loaded.refused).toMatchObject([{ file: 'marks.json' }])
    expect(again.keeper.floor).toEqual(NOW)
    expect(again.keeper.agent?.generation).toBe(1)
  })
}

test('a file that was put back from earlier is refused, however well it is signed, and fetched anew', async () => {
  const { keeper } = await start()
  await keeper.take('agent', (await agentDoc({ generation: 3 })).jws)
  await keeper.take('fleet', (await fleetDoc({ generation: 3 })).jws)
  for (const file of ['agent.json', 'fleet.json']) await copyFile(join(folder, file), join(folder, `${file}.old`))
  await keeper.take('agent', (await agentDoc({ generation: 4 })).jws)
  await keeper.take('fleet', (await fleetDoc({ generation: 4 })).jws)
  for (const file of ['agent.json', 'fleet.json']) await copyFile(join(folder, `${file}.old`), join(folder, file))

  const again = await start()
  expect(again.loaded.refused).toEqual([
    { file: 'fleet.json', code: 'state_stale' },
    { file: 'agent.json', code: 'state_stale' },
  ])
  expect([again.keeper.fleet, again.keeper.agent]).toEqual([undefined, undefined])
  expect(again.kept.problems()).toMatchObject([
    { file: 'fleet.json', problem: 'refused', code: 'state_stale' },
    { file: 'agent.json', problem: 'refused', code: 'state_stale' },
  ])
  await again.keeper.take('agent', (await agentDoc({ generation: 3 })).jws)
  await again.keeper.take('agent', (await agentDoc({ generation: 4 })).jws)
  await again.keeper.take('fleet', (await fleetDoc({ generation: 5 })).jws)
  expect(again.told).toMatchObject({ changed: ['agent', 'fleet'], refused: ['state_stale'] })
  expect(again.kept.problems()).toEqual([])
})

test('a newer epoch begins its generations anew', async () => {
  const { keeper } = await start()
  await keeper.take('agent', (await agentDoc({ generation: 9 })).jws)
  await rm(join(folder, 'agent.json'))
  const again = await start()
  await again.keeper.take('agent', (await agentDoc({ epoch: 2, generation: 1 })).jws)
  expect((await start()).keeper.agent).toMatchObject({ epoch: 2, generation: 1 })
})

test('more messages than can be put in force are dropped, and a pull is asked for', async () => {
  const disk = Promise.withResolvers<void>()
  const files: StateFiles = { ...stateFiles(folder), save: () => disk.promise }
  const { keeper, told } = await start({ files })
  const first = keeper.take('agent', (await agentDoc()).jws)
  const rest = Array.from({ length: 1000 }, () => keeper.take('agent', 'hello'))
  expect(told.gaps).toBe(1000 - 31)
  disk.resolve()
  await Promise.all([first, ...rest])
  expect(told.refused.length).toBe(31)
  await keeper.take('agent', (await agentDoc({ generation: 2 })).jws)
  expect(keeper.agent?.generation).toBe(2)
})

test('the floor is known from the documents when its file is lost', async () => {
  const { keeper } = await start()
  await keeper.take('agent', (await agentDoc()).jws)
  await rm(join(folder, 'marks.json'))
  expect((await start()).keeper.floor).toEqual(NOW)
})

test('a full disk does not keep new state from being enforced; it is told once, and when there is room again', async () => {
  const files = stateFiles(folder)
  const full = new RuntimeError('file_unwritable', 'no', { cause: Object.assign(new Error('no'), { code: 'ENOSPC' }) })
  let isFull = true
  const save: StateFiles['save'] = (held) => (isFull ? Promise.reject(full) : files.save(held))
  const { keeper, told, kept } = await start({ files: { ...files, save } })
  await keeper.take('agent', (await agentDoc()).jws)
  await keeper.take('agent', (await agentDoc({ generation: 2 })).jws)
  expect(keeper.agent?.generation).toBe(2)
  expect(told).toMatchObject({ changed: ['agent', 'agent'], stored: ['agent.json not: ENOSPC'] })
  expect(kept.problems()).toEqual([{ file: 'agent.json', problem: 'not_stored', code: 'ENOSPC', since: NOW }])
  isFull = false
  await keeper.take('agent', (await agentDoc({ generation: 3 })).jws)
  expect(told.stored).toEqual(['agent.json not: ENOSPC', 'agent.json again'])
  expect(kept.problems()).toEqual([])
  expect((await start()).keeper.agent?.generation).toBe(3)
})

test('what was enforced and could not be kept is not replaced by something older after a restart', async () => {
  const files = stateFiles(folder)
  const { keeper } = await start()
  await keeper.take('fleet', (await fleetDoc()).jws)
  const full = await start({ files: { ...files, save: () => Promise.reject(new Error('ENOSPC')) } })
  await full.keeper.take('fleet', (await fleetDoc({ generation: 2 })).jws)
  const again = await start()
  expect(again.loaded.refused).toEqual([{ file: 'fleet.json', code: 'state_stale' }])
  expect(again.keeper.fleet).toBeUndefined()
})

test('a newer trust statement in the fleet document is the one in force; an older one is refused', async () => {
  const { keeper, told } = await start()
  await keeper.take('fleet', (await fleetDoc({ trust: await trustOf(pki, 2) })).jws)
  expect(keeper.trust.version).toBe(2)
  await keeper.take('fleet', (await fleetDoc({ generation: 2, trust: trustJws })).jws)
  expect(told.refused).toEqual(['trust_stale'])
  expect(keeper.fleet?.generation).toBe(1)
})
