import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodePem, encodePem } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { change, query } from '../database/unit.ts'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'
import { testInstallation } from '../testing/installation.ts'
import { createResponderKeys } from './responder-keys.ts'
import { databaseSource } from './source.ts'

const run = promisify(execFile)
let plane: TestControlPlane
let admin: ReturnType<TestControlPlane['as']>
let folder: string
let base: string
beforeAll(async () => {
  plane = await testControlPlane()
  admin = plane.as(plane.admin)
  folder = await mkdtemp(join(tmpdir(), 'vcc-ocsp-'))
  base = `http://127.0.0.1:${plane.ports.public}`
  await writeFile(join(folder, 'root.pem'), encodePem('CERTIFICATE', plane.root.der))
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

type Joined = Awaited<ReturnType<TestControlPlane['join']>>

/** What `openssl ocsp` says of a certificate, its answer verified under the mesh root. */
async function ask({ chainPem }: Pick<Joined, 'chainPem'>, ...more: string[]): Promise<string> {
  const [leaf, issuer] = [...decodePem(chainPem, 'CERTIFICATE')]
  const files = [join(folder, 'leaf.pem'), join(folder, 'issuer.pem')] as const
  await writeFile(files[0], encodePem('CERTIFICATE', leaf ?? new Uint8Array()))
  await writeFile(files[1], encodePem('CERTIFICATE', issuer ?? new Uint8Array()))
  const chain = ['-CAfile', join(folder, 'root.pem'), '-verify_other', files[1]]
  const args = ['ocsp', ...more, '-issuer', files[1], '-cert', files[0], '-url', `${base}/ocsp`, ...chain]
  const { stdout, stderr } = await run('openssl', args)
  return stdout + stderr
}

describe('openssl ocsp asks the control plane', () => {
  test('good, and revoked in the very next answer, with reason and date', async () => {
    const argus = await plane.join('argus')
    const before = await ask(argus)
    expect(before).toContain('Response verify OK')
    expect(before).toMatch(/leaf\.pem: good/)
    const body = { reason: 'key_compromise' as const, wait_seconds: 0 }
    await admin.call('certRevoke', { params: { cert_id: argus.certificate.serialHex }, body })
    for (const more of [[], ['-no_nonce'], ['-sha256', '-no_nonce']]) {
      const after = await ask(argus, ...more)
      expect(after).toContain('Response verify OK')
      expect(after).toMatch(/leaf\.pem: revoked/)
      expect(after).toContain('Reason: keyCompromise')
    }
  })

  test('a revocation shows where the answer of before was kept', async () => {
    const covina = await plane.join('covina')
    expect(await ask(covina, '-no_nonce')).toMatch(/leaf\.pem: good/)
    expect(await ask(covina, '-no_nonce')).toMatch(/leaf\.pem: good/)
    const body = { reason: 'superseded' as const, wait_seconds: 0 }
    await admin.call('certRevoke', { params: { cert_id: covina.certificate.serialHex }, body })
    expect(await ask(covina, '-no_nonce')).toMatch(/leaf\.pem: revoked/)
  })

  test('ca-48 certificates of CAs are known too, under the root', async () => {
    const chain = await admin.call('caList', {})
    const ca = chain.items.find((one) => one.name === 'services-ca')
    const { chain_pem } = await admin.call('caChain', { params: { ca_id: ca?.ca_id ?? '' } })
    expect(await ask({ chainPem: chain_pem })).toMatch(/leaf\.pem: good/)
  })

  test('ca-48 what was never issued is unknown', async () => {
    const { chainPem } = await plane.join('argus')
    const [, issuer] = [...decodePem(chainPem, 'CERTIFICATE')]
    const file = join(folder, 'issuer-2.pem')
    await writeFile(file, encodePem('CERTIFICATE', issuer ?? new Uint8Array()))
    const args = ['ocsp', '-issuer', file, '-serial', '0x1234', '-url', `${base}/ocsp`, '-noverify']
    expect((await run('openssl', args)).stdout).toContain('0x1234: unknown')
  })
})

describe('the source', () => {
  test('ca-49 an open intent is unknown and not to be remembered', async () => {
    await using place = await testInstallation()
    const source = databaseSource(place.enrol)
    const { caId } = place.authorities.issuing('services-ca')
    await place.database.runUnit(() =>
      change(
        query.insertInto('issuance_intents').values({
          intent_id: 'i-1',
          issuing_ca_id: caId,
          serial_number: 'ab'.repeat(20),
          organization_id: null,
          service_id: null,
          instance_id: null,
          profile: 'service',
          spki_sha256: 'cd'.repeat(32),
          tbs_der: new Uint8Array([1]),
          certificate: '{}',
          requested_by: 'test',
          join_token_id: null,
          predecessor_serial: null,
          owner: 'test',
          lease_until: 0,
          created_at: 0,
          resolved_at: null,
        }),
      ),
    )
    const signal = new AbortController().signal
    expect(await source.status(caId, 'ab'.repeat(20), signal)).toEqual({ status: 'unknown', why: 'open_intent' })
    expect(await source.status(caId, 'ef'.repeat(20), signal)).toEqual({ status: 'unknown', why: 'never_issued' })
  })
})

describe('responder keys', () => {
  test('ca-51 each CA delegates to a key of its own, renewed at half its life with an overlap', async () => {
    await using place = await testInstallation()
    const keys = createResponderKeys(place.enrol)
    await keys.renew()
    const first = new Map(keys.all())
    expect(first.size).toBe(4)
    await keys.renew()
    expect([...keys.all()].every(([caId, key]) => first.get(caId) === key)).toBe(true)
    place.advance(3.6 * 86_400_000)
    await keys.renew()
    const { caId } = place.authorities.issuing('services-ca')
    const successor = keys.keyOf(caId)
    expect(successor).not.toBe(first.get(caId))
    expect(successor?.certificate.extensions.extKeyUsage).toEqual(['1.3.6.1.5.5.7.3.9'])
    expect(successor?.certificate.extensions.ocspNoCheck).toBe(true)
    expect((successor?.certificate.notBefore ?? 0) < (first.get(caId)?.certificate.notAfter ?? 0)).toBe(true)
  })
})
