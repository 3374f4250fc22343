import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jwsSigner, signTrustStatement } from '@vcc/mesh'
import { freePort, issueLeaf, type TestCredential, type TestSigner, testPki } from '@vcc/testkit'
import { DEFAULT_OID_ARC, ekuOid, OID, verifyCsr } from '@vcc/x509'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { identityFiles } from '../identity/identity-file.ts'
import { fingerprintOf } from './fingerprint.ts'
import { joinMesh } from './join.ts'

const NOW = new Date()
const pki = testPki({ now: NOW, curve: 'P-384' })
const other = testPki({ now: NOW, curve: 'P-384' })
const TOKEN = 'a-join-token-of-the-test'
const INSTANCE = 'abcdefgh01234567'
let statement: string
beforeAll(async () => {
  statement = await statementOf(pki)
})

let folder: string
let server: Server | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-join-'))
})
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
  await rm(folder, { recursive: true })
})

interface Answers {
  readonly root: TestCredential
  readonly trustStatement: string
  /** One by one, for each handshake; the last one stays. */
  readonly peers: readonly TestCredential[]
  readonly issue: (csrDer: Uint8Array) => { status: number; body: object }
}

/** A control plane of a few lines: what it answers is the test's, TLS and HTTP are real. */
async function serve(answers: Partial<Answers> = {}) {
  const { root, trustStatement, peers, issue } = { ...DEFAULT, trustStatement: statement, ...answers }
  const port = await freePort()
  const tokens: string[] = []
  const keys: string[] = []
  let handshakes = 0
  const [first = pki.controlApi()] = peers
  const made = createServer({ key: first.keyPem, cert: first.chainPem, minVersion: 'TLSv1.3' }, (request, response) => {
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.url === '/api/v1/mesh/root') {
      answer(200, { root: Buffer.from(root.certDer).toString('base64'), trustStatement, newer: 'field' })
      return
    }
    let text = ''
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
    })
    request.on('end', () => {
      const body = JSON.parse(text) as { token: string; csr: string }
      tokens.push(body.token)
      const csrDer = Buffer.from(body.csr, 'base64')
      keys.push(verifyCsr(csrDer).publicKey.spkiSha256Hex)
      const { status, body: said } = issue(csrDer)
      answer(status, said)
    })
  })
  made.on('secureConnection', () => {
    handshakes += 1
    const next = peers[Math.min(handshakes, peers.length - 1)] ?? first
    made.setSecureContext({ key: next.keyPem, cert: next.chainPem, minVersion: 'TLSv1.3' })
  })
  await new Promise<void>((resolve) => made.listen(port, '127.0.0.1', resolve))
  server = made
  return { url: `https://localhost:${port}`, tokens, keys }
}

function issued(csrDer: Uint8Array, spec: Parameters<typeof pki.service>[1] = {}) {
  const { publicKey } = verifyCsr(csrDer)
  const signer = { publicKey } as TestSigner // of a leaf's signer only the public half is looked at
  const leaf = pki.service('argus', { instance: INSTANCE, signer, ...spec })
  return {
    status: 201,
    body: {
      instance: INSTANCE,
      organization: 'brandenburg',
      service: 'argus',
      chain: leaf.chainDer.map((der) => Buffer.from(der).toString('base64')),
      notAfter: '2026-11-30T00:00:00Z',
    },
  }
}

const DEFAULT: Omit<Answers, 'trustStatement'> = {
  root: pki.root,
  peers: [pki.controlApi()],
  issue: (csr) => issued(csr),
}

function run(url: string, changes: { fingerprint?: string } = {}) {
  const request = {
    controlUrl: url,
    fingerprint: fingerprintOf(pki.root.certDer),
    token: TOKEN,
    stateFolder: join(folder, 'state'),
    addresses: ['10.0.0.5:9443'],
    ...changes,
  }
  return joinMesh(request, { now: () => NOW, onStep: () => {} })
}

test('a join stores root, trust statement and an identity that only the owner may read', async () => {
  const control = await serve()
  expect(await run(control.url)).toMatchObject({ instance: INSTANCE, service: 'argus' })
  expect(control.tokens).toEqual([TOKEN])
  const state = join(folder, 'state')
  expect(await readFile(join(state, 'mesh-root.pem'), 'utf8')).toBe(pki.root.certPem)
  expect((await readFile(join(state, 'trust-statement.jws'), 'utf8')).trim()).toBe(statement)
  expect((await stat(join(state, 'identity.pem'))).mode & 0o777).toBe(0o600)
  expect(await identityFiles(state).readPending()).toBeUndefined()
})

test('a join that got no answer is repeated with the same key', async () => {
  const away = await serve({ issue: () => ({ status: 503, body: problem('unavailable', 503) }) })
  await expect(run(away.url)).rejects.toMatchObject({
    code: 'control_refused',
    reason: 'unavailable',
    exit: 'unreachable',
  })
  server?.close()
  const back = await serve()
  await run(back.url)
  expect(back.keys).toEqual(away.keys)
})

test('a join cut short after the identity was stored is finished without asking again', async () => {
  const control = await serve()
  const first = await run(control.url)
  await writePending(first.key.privateKeyPem())
  expect((await run(control.url)).leaf.serialHex).toBe(first.leaf.serialHex)
  expect(control.tokens).toHaveLength(1)
  await expect(run(control.url)).rejects.toMatchObject({ code: 'already_joined' })
})

test('another identity is not overwritten', async () => {
  const control = await serve()
  await run(control.url)
  await expect(run(control.url)).rejects.toMatchObject({
    code: 'already_joined',
    exit: 'conflict',
    message: expect.stringContaining(INSTANCE),
  })
  expect(control.tokens).toHaveLength(1)
})

test('nobody there', async () => {
  const port = await freePort()
  await expect(run(`https://127.0.0.1:${port}`)).rejects.toMatchObject({
    code: 'control_unreachable',
    exit: 'unreachable',
  })
})

const impostor = pki.service('argus')
const withoutUsage = issueLeaf(pki.controlCa, NOW, { commonName: 'control', uris: ['spiffe://vcc.internal/control'] })
const controlUri = issueLeaf(pki.servicesCa, NOW, {
  commonName: 'control',
  uris: ['spiffe://vcc.internal/control'],
  extKeyUsage: [OID.serverAuth, OID.clientAuth, ekuOid(DEFAULT_OID_ARC, 'api')],
})

const nothingSent: readonly {
  name: string
  answers?: () => Partial<Answers> | Promise<Partial<Answers>>
  fingerprint?: string
  code: string
}[] = [
  { name: 'a root of another fingerprint', fingerprint: 'ab'.repeat(32), code: 'fingerprint_mismatch' },
  {
    name: 'a trust statement that another root signed',
    answers: async () => ({ trustStatement: await statementOf(other) }),
    code: 'root_refused',
  },
  {
    name: 'a root that is none',
    answers: () => ({ root: impostor }),
    fingerprint: fingerprintOf(impostor.certDer),
    code: 'root_refused',
  },
  {
    name: 'a control plane of another mesh',
    answers: () => ({ peers: [other.controlApi()] }),
    code: 'control_unreachable',
  },
  { name: 'the broker in its place', answers: () => ({ peers: [pki.broker()] }), code: 'control_peer_refused' },
  { name: 'a service in its place', answers: () => ({ peers: [impostor] }), code: 'control_peer_refused' },
  { name: 'its name without its purpose', answers: () => ({ peers: [withoutUsage] }), code: 'control_peer_refused' },
  {
    name: 'its name and purpose from a CA of services',
    answers: () => ({ peers: [controlUri] }),
    code: 'control_peer_refused',
  },
  {
    name: 'somebody else on the second connection',
    answers: () => ({ peers: [pki.controlApi(), impostor] }),
    code: 'control_peer_refused',
  },
]
for (const { name, answers, fingerprint, code } of nothingSent) {
  test(`${name}: the token is not sent`, async () => {
    const control = await serve(await answers?.())
    await expect(run(control.url, fingerprint === undefined ? {} : { fingerprint })).rejects.toMatchObject({ code })
    expect(control.tokens).toEqual([])
  })
}

const notStored: readonly { name: string; issue: Answers['issue']; code: string; reason?: string }[] = [
  {
    name: 'a token that is bound',
    issue: () => ({ status: 409, body: problem('token_bound', 409) }),
    code: 'control_refused',
    reason: 'token_bound',
  },
  { name: 'an answer without a certificate', issue: () => ({ status: 201, body: {} }), code: 'control_answer_invalid' },
  {
    name: 'a certificate for another key',
    issue: (csr) => ({
      ...issued(csr),
      body: { ...issued(csr).body, chain: impostor.chainDer.map((der) => Buffer.from(der).toString('base64')) },
    }),
    code: 'identity_refused',
    reason: 'key_mismatch',
  },
  {
    name: 'a certificate without a class',
    issue: (csr) => issued(csr, { policies: [] }),
    code: 'identity_refused',
    reason: 'class_missing',
  },
]
for (const { name, issue, code, reason } of notStored) {
  test(`${name}: nothing is stored as an identity`, async () => {
    const control = await serve({ issue })
    await expect(run(control.url)).rejects.toMatchObject({ code, ...(reason === undefined ? {} : { reason }) })
    expect(await identityFiles(join(folder, 'state')).read()).toBeUndefined()
  })
}

function problem(code: string, status: number) {
  return { type: `urn:vcc:problem:${code}`, title: 'not now', status, code }
}

async function writePending(pem: string): Promise<void> {
  await writeFile(join(folder, 'state', 'pending-key.pem'), pem, { mode: 0o600 })
}

async function statementOf(of: typeof pki): Promise<string> {
  const anchor = Buffer.from(of.root.certDer).toString('base64')
  return await signTrustStatement(
    {
      version: 1,
      trustDomain: of.trustDomain,
      oidArc: of.oidArc,
      anchors: { mesh: anchor, artifact: anchor, evidence: anchor },
      stateSigners: { active: 'a'.repeat(64), spare: 'b'.repeat(64) },
      retired: [],
    },
    jwsSigner(of.root.signer, []),
  )
}
