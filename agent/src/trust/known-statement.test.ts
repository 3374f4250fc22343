import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { acceptFleet, fleetDocument, jwsSigner, signTrustStatement, verifyTrustStatement } from '@vcc/mesh'
import { testPki } from '@vcc/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { NO_MARKS } from '../state/marks.ts'
import { stateFiles } from '../state/state-files.ts'
import { knownStatement } from './known-statement.ts'
import { trustFiles } from './trust-files.ts'

const NOW = new Date('2026-11-23T12:00:00Z')
const pki = testPki({ now: NOW, curve: 'P-384' })
const state = pki.stateSigner()
const root = pki.root.certificate
const statementOf = (version: number) => {
  const mesh = Buffer.from(pki.root.certDer).toString('base64')
  const stateSigners = { active: state.certificate.publicKey.spkiSha256Hex, spare: 'b'.repeat(64) }
  const { trustDomain, oidArc } = pki
  const anchors = { mesh, artifact: mesh, evidence: mesh }
  return signTrustStatement(
    { version, trustDomain, oidArc, anchors, stateSigners, retired: [] },
    jwsSigner(pki.root.signer, []),
  )
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-trust-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A folder with a statement of its own, and a fleet document that carries another. */
async function joined(own: number, carried: number) {
  const [statements, states] = [trustFiles(folder), stateFiles(folder)]
  await statements.write(root, await statementOf(own))
  const content = { trust: await statementOf(carried), issuers: [], denials: [], revocations: [], releases: [] }
  const input = { trustDomain: pki.trustDomain, epoch: 1, generation: 1, content }
  const signer = jwsSigner(state.signer, state.chainDer)
  const { jws } = await fleetDocument(input, { acceptSeconds: 600, enforceSeconds: 259_200 }, signer, { now: NOW })
  const trust = verifyTrustStatement(content.trust, root)
  await states.save(acceptFleet(undefined, jws, { root, trust, now: NOW, floor: undefined }))
  return { statements, states }
}

const own = () => join(folder, 'trust-statement.jws')

test('its own file counts', async () => {
  const from = await joined(2, 1)
  expect(await knownStatement(root, NO_MARKS, from)).toMatchObject({ statement: { version: 2 }, kept: 2, refused: [] })
})

const lost: readonly { name: string; code: string; spoil: () => Promise<void> }[] = [
  { name: 'missing', code: 'file_missing', spoil: () => rm(own()) },
  { name: 'empty', code: 'jws_malformed', spoil: () => truncate(own(), 0) },
  { name: 'truncated', code: 'jws_malformed', spoil: () => truncate(own(), 300) },
  { name: 'another mesh’s', code: 'trust_signature_invalid', spoil: async () => writeFile(own(), await foreign()) },
  { name: 'the root beside it', code: 'jws_malformed', spoil: () => copyFile(join(folder, 'mesh-root.pem'), own()) },
]
for (const { name, code, spoil } of lost) {
  test(`where it is ${name}, the stored fleet document has one that the root signed, too`, async () => {
    const from = await joined(1, 2)
    await spoil()
    expect(await knownStatement(root, NO_MARKS, from)).toMatchObject({
      statement: { version: 2 },
      kept: 0,
      refused: [{ file: 'trust-statement.jws', code }],
    })
  })
}

test('one that is older than what was in force is none', async () => {
  const from = await joined(1, 2)
  expect(await knownStatement(root, { ...NO_MARKS, trust: 2 }, from)).toMatchObject({
    statement: { version: 2 },
    refused: [{ code: 'trust_stale' }],
  })
  await expect(knownStatement(root, { ...NO_MARKS, trust: 3 }, from)).rejects.toMatchObject({
    code: 'trust_file_invalid',
    reason: 'trust_stale',
  })
})

test('without either there is none', async () => {
  const from = await joined(1, 1)
  await rm(own())
  await truncate(join(folder, 'fleet.json'), 100)
  await expect(knownStatement(root, NO_MARKS, from)).rejects.toMatchObject({ reason: 'file_missing' })
})

async function foreign(): Promise<string> {
  const other = testPki({ now: NOW, curve: 'P-384' })
  const mesh = Buffer.from(other.root.certDer).toString('base64')
  const stateSigners = { active: 'a'.repeat(64), spare: 'b'.repeat(64) }
  const statement = { version: 9, trustDomain: pki.trustDomain, oidArc: pki.oidArc, stateSigners, retired: [] }
  const anchors = { mesh, artifact: mesh, evidence: mesh }
  return signTrustStatement({ ...statement, anchors }, jwsSigner(other.root.signer, []))
}
