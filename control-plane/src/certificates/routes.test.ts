import { ApiProblem, type CertificateQuery } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import { buildCsr } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

let plane: TestControlPlane
let admin: ReturnType<TestControlPlane['as']>
let argus: Awaited<ReturnType<TestControlPlane['join']>>
let covina: Awaited<ReturnType<TestControlPlane['join']>>
let revoked: Awaited<ReturnType<TestControlPlane['join']>>
beforeAll(async () => {
  plane = await testControlPlane()
  admin = plane.as(plane.admin)
  argus = await plane.join('argus')
  covina = await plane.join('covina')
  revoked = await plane.join('covina')
  const params = { cert_id: revoked.certificate.serialHex }
  await admin.call('certRevoke', { params, body: { reason: 'superseded', wait_seconds: 0 } })
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
})

const list = (query: CertificateQuery) => admin.call('certList', { query })
const serialsOf = async (query: CertificateQuery) => (await list(query)).items.map((one) => one.serial_number)

test('pages hold every certificate once, newest first, whatever is issued meanwhile', async () => {
  const all = await serialsOf({ limit: 500 })
  expect(all.length).toBeGreaterThan(8)
  const paged: string[] = []
  for (let after: string | null | undefined; after !== null; ) {
    const page = await list({ limit: 4, ...(after === undefined ? {} : { after }) })
    expect(page.items.length).toBeLessThanOrEqual(4)
    paged.push(...page.items.map((one) => one.serial_number))
    if (after === undefined) await plane.join('argus')
    after = page.next
  }
  expect(paged).toEqual(all)
})

describe('a filter', () => {
  const day = 86_400_000
  const at = (days: number) => `${new Date(Date.now() + days * day).toISOString().slice(0, 19)}Z`
  const filters: readonly {
    name: string
    of: () => CertificateQuery
    finds: readonly ('argus' | 'covina' | 'revoked')[]
  }[] = [
    { name: 'by service', of: () => ({ service: 'covina' }), finds: ['covina', 'revoked'] },
    { name: 'by instance', of: () => ({ instance: covina.instance }), finds: ['covina'] },
    { name: 'by serial', of: () => ({ serial: argus.certificate.serialHex }), finds: ['argus'] },
    {
      name: 'by key',
      of: () => ({ spki_sha256: argus.certificate.publicKey.spkiSha256Hex }),
      finds: ['argus'],
    },
    { name: 'by purpose', of: () => ({ purpose: 'admin' }), finds: [] },
    { name: 'for those in force', of: () => ({ state: 'valid' }), finds: ['argus', 'covina'] },
    { name: 'for those revoked', of: () => ({ state: 'revoked' }), finds: ['revoked'] },
    { name: 'for those expired', of: () => ({ state: 'expired' }), finds: [] },
    { name: 'by end, after theirs', of: () => ({ expires_before: at(8) }), finds: ['argus', 'covina', 'revoked'] },
    { name: 'by end, before theirs', of: () => ({ expires_before: at(6) }), finds: [] },
    { name: 'by two at once', of: () => ({ service: 'covina', state: 'valid' }), finds: ['covina'] },
  ]
  for (const { name, of, finds } of filters) {
    test(name, async () => {
      const found = new Set(await serialsOf({ limit: 500, ...of() }))
      const ours = Object.entries({ argus, covina, revoked }).filter(([, one]) => found.has(one.certificate.serialHex))
      expect(ours.map(([who]) => who)).toEqual(finds)
    })
  }

  test('by issuer finds what that CA signed and nothing else', async () => {
    const status = await admin.call('certStatus', { params: { cert_id: argus.certificate.serialHex } })
    const { items } = await list({ issuing_ca_id: status.issuing_ca_id, limit: 500 })
    expect(new Set(items.map((one) => one.purpose))).toContain('vcc_service')
    expect(new Set(items.map((one) => one.issuing_ca_id))).toEqual(new Set([status.issuing_ca_id]))
  })
})

test('templates are shown as the YAML they are', async () => {
  const { items } = await admin.call('templateList', {})
  expect(items.map((one) => one.template_id)).toEqual(['vcc-service', 'vcc-admin'])
  for (const item of items) {
    expect(item.yaml).toContain(`template_id: ${item.template_id}\n`)
    expect(await admin.call('templateShow', { params: { template_id: item.template_id } })).toEqual(item)
  }
  const unknown = admin.call('templateShow', { params: { template_id: 'none' } })
  await expect(unknown).rejects.toMatchObject({ code: 'template_unknown' })
})

test('a validity may be asked for, within what the template allows', async () => {
  const csr = Buffer.from(await buildCsr(await memorySigner('api', 'P-256'))).toString('base64')
  const request = (validity_period: string) =>
    admin.call('certRequest', { body: { template: 'vcc-service', service_name: 'argus', csr, validity_period } })
  for (const period of ['30s', '8d']) {
    const refusal = await request(period).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(ApiProblem)
    expect(refusal).toMatchObject({ code: 'validity_refused' })
  }
  const { expires_at } = await request('1h')
  expect(Date.parse(expires_at)).toBeLessThan(Date.now() + 3_660_000)
})
