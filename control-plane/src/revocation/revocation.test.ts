import { randomBytes } from 'node:crypto'
import { ApiProblem, type RevocationReason } from '@vcc/api'
import { memorySigner } from '@vcc/keys'
import { type FleetContent, signEnvelope } from '@vcc/mesh'
import { buildCsr } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

let plane: TestControlPlane
let admin: ReturnType<TestControlPlane['as']>
beforeAll(async () => {
  plane = await testControlPlane()
  admin = plane.as(plane.admin)
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
})

type Joined = Awaited<ReturnType<TestControlPlane['join']>>

/** What the fleet document says now, as an agent pulls it. */
async function fleet(of: Joined): Promise<FleetContent> {
  const { fleet: part } = await plane.as(of).call('meshState', { query: {} })
  const [, payload = ''] = part.document?.split('.') ?? []
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { content: FleetContent }).content
}

const csrOf = async (signer: Awaited<ReturnType<typeof memorySigner>>) =>
  Buffer.from(await buildCsr(signer)).toString('base64')

const requested = async (signer: Awaited<ReturnType<typeof memorySigner>>, service_name = 'covina') =>
  admin.call('certRequest', { body: { template: 'vcc-service', csr: await csrOf(signer), service_name } })

const revoke = (cert_id: string, reason: RevocationReason, more: object = {}) =>
  admin.call('certRevoke', { params: { cert_id }, body: { reason, wait_seconds: 0, ...more } })

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof ApiProblem ? error.code : String(error)),
  )

describe('revoke', () => {
  test('what is revoked is shut out of API and mesh, and the answer says who has not heard of it', async () => {
    const argus = await plane.join('argus')
    const covina = await plane.join('covina')
    const serial = argus.certificate.serialHex
    const answer = await revoke(serial, 'superseded')
    expect(answer).toMatchObject({ dry_run: false, count: 1, already: [], blocked_keys: [] })
    expect(answer.revoked[0]).toMatchObject({ serial_number: serial, instance_id: argus.instance })
    const { enforcement } = answer
    expect(enforcement?.not_reached.map((one) => one.instance_id)).toContain(covina.instance)
    expect(enforcement?.not_reached.map((one) => one.instance_id)).not.toContain(argus.instance)
    expect(enforcement?.enforced_on).toBe(0)

    expect(await codeOf(plane.as(argus).call('meshState', { query: {} }))).toBe('client_certificate_refused')
    const { revocations } = await fleet(covina)
    expect(revocations).toContainEqual(expect.objectContaining({ kind: 'serial', value: serial }))
    const status = await admin.call('certStatus', { params: { cert_id: serial } })
    expect(status).toMatchObject({ state: 'revoked', revocation_reason: 'superseded' })
  })

  test('ca-43 a reason changes to key_compromise only, and the date stays', async () => {
    const { certificate } = await plane.join('argus')
    await revoke(certificate.serialHex, 'superseded')
    const before = await admin.call('certStatus', { params: { cert_id: certificate.serialHex } })
    expect(await codeOf(revoke(certificate.serialHex, 'cessation_of_operation'))).toBe('already_revoked')
    await new Promise((resolve) => setTimeout(resolve, 1100)) // so that another date would be seen
    await revoke(certificate.serialHex, 'key_compromise')
    const after = await admin.call('certStatus', { params: { cert_id: certificate.serialHex } })
    expect(after).toMatchObject({ revoked_at: before.revoked_at, revocation_reason: 'key_compromise' })
    expect(await codeOf(revoke(certificate.serialHex, 'key_compromise'))).toBe('already_revoked')
  })

  test('ca-27 a compromised key loses all its certificates and never gets another one', async () => {
    const signer = await memorySigner('api', 'P-256')
    const one = await requested(signer)
    const two = await requested(signer, 'argus')
    const answer = await revoke(one.cert_id, 'key_compromise', { invalidity_date: '2026-01-01T00:00:00Z' })
    expect(answer.revoked.map((row) => row.serial_number).toSorted()).toEqual(
      [one.serial_number, two.serial_number].toSorted(),
    )
    expect(answer.blocked_keys).toEqual([signer.publicKey.spkiSha256Hex])
    expect(await codeOf(requested(signer))).toBe('key_blocked')
    const { token } = await admin.call('tokenCreate', { body: { service_name: 'argus' } })
    const body = { token, csr: await csrOf(signer), stateFormats: [1], addresses: [], version: '0.1.0' }
    expect(await codeOf(plane.as(undefined).call('meshJoin', { body }))).toBe('key_blocked')
    const admins = { template: 'vcc-admin' as const, csr: await csrOf(signer), account: 'eve' }
    expect(await codeOf(admin.call('certRequest', { body: admins }))).toBe('key_blocked')
    const { revocations } = await fleet(await plane.join('covina'))
    expect(revocations).toContainEqual(expect.objectContaining({ kind: 'spki', value: signer.publicKey.spkiSha256Hex }))
  })

  const refusals: readonly { name: string; code: string; run: () => Promise<unknown> }[] = [
    {
      name: 'a certificate that is not there',
      code: 'certificate_unknown',
      run: () => revoke('ab'.repeat(20), 'superseded'),
    },
    {
      name: 'an invalidity date in the future',
      code: 'revocation_invalid',
      run: async () =>
        revoke((await plane.join('argus')).certificate.serialHex, 'superseded', {
          invalidity_date: '2999-01-01T00:00:00Z',
        }),
    },
    {
      name: 'the certificate of a CA, by this way',
      code: 'not_revocable',
      run: async () => {
        const { items } = await admin.call('certList', { query: { purpose: 'ca' } })
        return revoke(items[0]?.cert_id ?? '', 'superseded')
      },
    },
    {
      name: 'the certificate of a state signer',
      code: 'not_revocable',
      run: async () => {
        const { items } = await admin.call('certList', { query: { purpose: 'state' } })
        return revoke(items[0]?.cert_id ?? '', 'superseded')
      },
    },
    {
      name: 'the last certificate of an admin',
      code: 'last_admin',
      run: async () => {
        const { items } = await admin.call('certList', { query: { purpose: 'admin', state: 'valid' } })
        return revoke(items[0]?.cert_id ?? '', 'superseded')
      },
    },
    {
      name: 'the root',
      code: 'not_revocable',
      run: async () => {
        const { items } = await admin.call('caList', {})
        const ca_id = items.find((one) => one.kind === 'root')?.ca_id ?? ''
        return admin.call('caRevoke', { params: { ca_id }, body: { reason: 'ca_compromise' } })
      },
    },
    {
      name: 'the Admin CA',
      code: 'not_revocable',
      run: async () => {
        const { items } = await admin.call('caList', {})
        const ca_id = items.find((one) => one.name === 'admin-ca')?.ca_id ?? ''
        return admin.call('caRevoke', { params: { ca_id }, body: { reason: 'ca_compromise' } })
      },
    },
    {
      name: 'a leaf, as the compromise of a CA',
      code: 'revocation_invalid',
      run: async () => revoke((await plane.join('argus')).certificate.serialHex, 'ca_compromise'),
    },
    {
      name: 'the Control CA',
      code: 'not_revocable',
      run: async () => {
        const { items } = await admin.call('caList', {})
        const ca_id = items.find((one) => one.name === 'control-ca')?.ca_id ?? ''
        return admin.call('caRevoke', { params: { ca_id }, body: { reason: 'ca_compromise' } })
      },
    },
  ]
  for (const { name, code, run } of refusals) {
    test(`${name} is refused: ${code}`, async () => {
      expect(await codeOf(run())).toBe(code)
    })
  }
})

describe('bulk', () => {
  test('a dry run says what would be revoked and revokes nothing; then it is done, for an incident', async () => {
    const joined = [await plane.join('argus'), await plane.join('argus')]
    const cert_ids = joined.map((one) => one.certificate.serialHex)
    const request = { select: { cert_ids }, reason: 'privilege_withdrawn' as const, incident: 'INC-7', wait_seconds: 0 }
    const foreseen = await admin.call('certRevokeBulk', { body: { ...request, dry_run: true } })
    expect(foreseen).toMatchObject({ dry_run: true, count: 2, enforcement: null })
    expect((await admin.call('certStatus', { params: { cert_id: cert_ids[0] ?? '' } })).state).toBe('valid')
    const done = await admin.call('certRevokeBulk', { body: { ...request, dry_run: false } })
    expect(done).toMatchObject({ dry_run: false, count: 2 })
    const again = await admin.call('certRevokeBulk', { body: { ...request, dry_run: false } })
    expect(again).toMatchObject({ count: 0 })
    expect(again.already).toHaveLength(2)
    const worse = await admin.call('certRevokeBulk', {
      body: { select: { incident: 'INC-7' }, reason: 'key_compromise', dry_run: false, wait_seconds: 0 },
    })
    expect(worse).toMatchObject({ count: 2 })
    expect(worse.blocked_keys.toSorted()).toEqual(
      joined.map((one) => one.certificate.publicKey.spkiSha256Hex).toSorted(),
    )
  })

  test('a filter finds what is still valid, and no CA', async () => {
    const { instance, certificate } = await plane.join('covina')
    const select = { filter: { service: 'covina', instance } }
    const answer = await admin.call('certRevokeBulk', { body: { select, reason: 'superseded', dry_run: true } })
    expect(answer.revoked.map((row) => row.serial_number)).toEqual([certificate.serialHex])
    const future = { filter: { service: 'covina', issued_after: '2999-01-01T00:00:00Z' } }
    const none = await admin.call('certRevokeBulk', { body: { select: future, reason: 'superseded', dry_run: true } })
    expect(none.count).toBe(0)
    const cas = { filter: { purpose: 'ca' } }
    const noCa = await admin.call('certRevokeBulk', { body: { select: cas, reason: 'superseded', dry_run: true } })
    expect(noCa.count).toBe(0)
  })

  test('one that cannot be revoked keeps all of them as they were', async () => {
    const { certificate } = await plane.join('argus')
    const { items } = await admin.call('certList', { query: { purpose: 'state' } })
    const cert_ids = [certificate.serialHex, items[0]?.cert_id ?? '']
    const body = { select: { cert_ids }, reason: 'superseded' as const, dry_run: false, wait_seconds: 0 }
    expect(await codeOf(admin.call('certRevokeBulk', { body }))).toBe('not_revocable')
    expect((await admin.call('certStatus', { params: { cert_id: certificate.serialHex } })).state).toBe('valid')
  })
})

describe('denials', () => {
  test('an identity is denied whatever certificate it shows, until the denial is released', async () => {
    const argus = await plane.join('argus')
    const covina = await plane.join('covina')
    const target = { kind: 'identity', service: 'argus' } as const
    const deny = () => admin.call('denialCreate', { body: { target, note: 'host taken over', wait_seconds: 0 } })
    const { denial, enforcement } = await deny()
    expect(denial).toMatchObject({ kind: 'identity', value: 'spiffe://vcc.internal/org/brandenburg/svc/argus' })
    expect(enforcement.not_reached.map((one) => one.instance_id)).not.toContain(argus.instance)
    expect((await fleet(covina)).denials).toContainEqual(expect.objectContaining({ id: denial.denial_id }))
    expect(await codeOf(plane.join('argus'))).toBe('identity_denied')
    expect(await codeOf(deny())).toBe('denial_exists')

    const params = { denial_id: denial.denial_id }
    const released = await admin.call('denialRelease', { params, body: { wait_seconds: 0 } })
    expect(released.denial.released_at).not.toBeNull()
    const after = await fleet(covina)
    expect(after.denials).toEqual([])
    expect(after.releases).toEqual([{ id: denial.denial_id }])
    expect(await codeOf(plane.join('argus'))).toBe('done')
    expect(await codeOf(admin.call('denialRelease', { params, body: {} }))).toBe('denial_released')
    expect((await admin.call('denialList', { query: {} })).items).toEqual([])
    expect((await admin.call('denialList', { query: { released: true } })).items).toHaveLength(1)
  })

  test('a key, a serial and an issuer can be denied', async () => {
    const argus = await plane.join('argus')
    const { items } = await admin.call('certList', { query: { serial: argus.certificate.serialHex } })
    const ca_id = items[0]?.issuing_ca_id ?? ''
    const targets = [
      { kind: 'key', spki_sha256: argus.certificate.publicKey.spkiSha256Hex },
      { kind: 'serial', cert_id: argus.certificate.serialHex },
      { kind: 'issuer', ca_id },
    ] as const
    for (const target of targets) {
      const { denial } = await admin.call('denialCreate', { body: { target, note: 'test', wait_seconds: 0 } })
      const { denials } = await fleet(argus)
      expect(denials.find((one) => one.id === denial.denial_id)?.kind).toBe(
        target.kind === 'key' ? 'spki' : target.kind,
      )
      if (target.kind === 'issuer') expect(await codeOf(plane.join('covina'))).toBe('identity_denied')
      await admin.call('denialRelease', { params: { denial_id: denial.denial_id }, body: { wait_seconds: 0 } })
    }
  })

  const refusals = [
    { name: 'a name that is none', code: 'service_name_invalid', target: { kind: 'identity', service: 'a b' } },
    { name: 'a CA that is not there', code: 'authority_unknown', target: { kind: 'issuer', ca_id: 'ab'.repeat(16) } },
    {
      name: 'a serial nobody issued',
      code: 'certificate_unknown',
      target: { kind: 'serial', cert_id: 'ab'.repeat(20) },
    },
  ] as const
  for (const { name, code, target } of refusals) {
    test(`${name} cannot be denied: ${code}`, async () => {
      expect(await codeOf(admin.call('denialCreate', { body: { target, note: 'test' } }))).toBe(code)
    })
  }

  test('a CA that vouches for nobody in the mesh cannot be denied', async () => {
    const { items } = await admin.call('caList', {})
    for (const name of ['control-ca', 'admin-ca', 'mesh-root']) {
      const ca_id = items.find((one) => one.name === name)?.ca_id ?? ''
      const body = { target: { kind: 'issuer', ca_id } as const, note: 'test' }
      expect([name, await codeOf(admin.call('denialCreate', { body }))]).toEqual([name, 'not_revocable'])
    }
  })

  test('a release of nothing is refused', async () => {
    expect(await codeOf(admin.call('denialRelease', { params: { denial_id: 'none' }, body: {} }))).toBe(
      'denial_unknown',
    )
  })
})

/** Asks for the next certificate as the agent does while the broker is away. */
async function renewed(who: Joined): Promise<unknown> {
  const signer = await memorySigner('api', 'P-256')
  const csr = await csrOf(signer)
  const ids = { correlation: randomBytes(16).toString('base64url'), nonce: randomBytes(16).toString('base64url') }
  const input = { kind: 'renew', instance: who.instance, ...ids, body: { csr } } as const
  const envelope = await signEnvelope(input, 60, who.jwsSigner, { now: new Date() })
  return plane.as(who).call('meshRenew', { body: { envelope } })
}

describe('who is shut out gets no certificate that is not', () => {
  test('a denied key, serial or identity renews nothing, until it is released', async () => {
    const argus = await plane.join('argus')
    const targets = [
      { kind: 'key', spki_sha256: argus.certificate.publicKey.spkiSha256Hex },
      { kind: 'serial', cert_id: argus.certificate.serialHex },
      { kind: 'identity', service: 'argus' },
    ] as const
    for (const target of targets) {
      const { denial } = await admin.call('denialCreate', { body: { target, note: 'test', wait_seconds: 0 } })
      expect([target.kind, await codeOf(renewed(argus))]).toEqual([target.kind, 'identity_denied'])
      await admin.call('denialRelease', { params: { denial_id: denial.denial_id }, body: { wait_seconds: 0 } })
    }
    expect(await codeOf(renewed(argus))).toBe('done')
  })

  test('many keys are blocked in one commit', async () => {
    const many = await Promise.all(
      Array.from({ length: 120 }, async () => requested(await memorySigner('api', 'P-256'))),
    )
    const body = {
      select: { cert_ids: many.map((one) => one.cert_id) },
      reason: 'key_compromise' as const,
      incident: 'INC-8',
      dry_run: false,
      wait_seconds: 0,
    }
    expect(await admin.call('certRevokeBulk', { body })).toMatchObject({ count: 120 })
  })
})

test('a revoked CA signs no more, and nothing it signed is accepted', async () => {
  const covina = await plane.join('covina')
  const { items } = await admin.call('certList', { query: { serial: covina.certificate.serialHex } })
  const old = items[0]?.issuing_ca_id ?? ''
  await admin.call('caCreate', { body: { kind: 'services', name: 'services-next' } })
  const next = await plane.join('covina')
  const body = { reason: 'ca_compromise' as const, wait_seconds: 0 }
  const answer = await admin.call('caRevoke', { params: { ca_id: old }, body })
  expect(answer).toMatchObject({ count: 1 })
  const content = await fleet(next)
  const spki = content.revocations.find((one) => one.id === `ca-${old}`)?.value
  expect(spki?.slice(0, 32)).toBe(old)
  expect(content.issuers.map((one) => one.spkiSha256)).not.toContain(spki)
  expect(await codeOf(plane.as(covina).call('meshState', { query: {} }))).toBe('client_certificate_refused')
  await plane.as(next).call('meshState', { query: {} })
  expect(await codeOf(admin.call('caRevoke', { params: { ca_id: old }, body }))).toBe('already_revoked')
  expect(await codeOf(renewed(covina))).toBe('client_certificate_refused')
})
