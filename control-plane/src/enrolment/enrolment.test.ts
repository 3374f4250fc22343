import { OID, uriIdentityOf, validateChain } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditRows } from '../audit/export.ts'
import { verifyChain } from '../audit/verify.ts'
import { many, query } from '../database/unit.ts'
import { resolveAbandoned } from '../issuance/store.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { type JoinRequest, join } from './join.ts'
import { renew } from './renew.ts'

let place: TestInstallation
beforeAll(async () => {
  place = await testInstallation()
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

const asking = (token: string, csr: JoinRequest['csr']): JoinRequest => ({
  token,
  csr,
  addresses: [{ host: '127.0.0.1', port: 9443 }],
  stateFormats: [1],
  agentVersion: '0.1.0',
  requestId: 'test',
})

async function joined(service = 'argus') {
  const csr = await newCsr()
  return { csr, ...(await join(asking(await place.token(service), csr), place.enrol)) }
}

const rowsOf = (serial: string) =>
  place.database.read(() =>
    many(
      query
        .selectFrom('certificates')
        .select(['state', 'revoked_at', 'cause', 'replaced_by'])
        .where('serial_number', '=', serial),
    ),
  )

describe('join', () => {
  test('gives a certificate with names from registry and installation, and the class from the policy', async () => {
    const { instance, issued } = await joined()
    const { certificate } = issued
    expect(uriIdentityOf(certificate)).toBe('spiffe://vcc.internal/org/brandenburg/svc/argus')
    expect(instance).toMatch(/^[a-z0-9]{16}$/)
    expect(certificate.extensions.subjectAltName?.map((name) => ('value' in name ? name.value : ''))).toEqual([
      'spiffe://vcc.internal/org/brandenburg/svc/argus',
      'argus.brandenburg.vcc.internal',
      'argus.vcc.internal',
    ])
    expect(certificate.extensions.certificatePolicies?.map(({ oid }) => oid)).toEqual(['1.3.6.1.4.1.55555.2.1'])
    const chain = [certificate, ...place.authorities.chainOf(issued.issuingCaId)].map((one) => one.der)
    const root = place.authorities.root('mesh-root').certificate
    for (const eku of [OID.serverAuth, OID.clientAuth]) {
      expect(validateChain(chain, { anchors: [root], at: new Date(), eku }).leaf.serialHex).toBe(certificate.serialHex)
    }
  })

  test('the same key may repeat and gets the same certificate', async () => {
    const token = await place.token('argus')
    const csr = await newCsr()
    const first = await join(asking(token, csr), place.enrol)
    const again = await join(asking(token, csr), place.enrol)
    expect(again.issued.certificate.serialHex).toBe(first.issued.certificate.serialHex)
    expect(again.instance).toBe(first.instance)
  })

  test('fifty keys race for one token: one wins, the others are told so', async () => {
    const token = await place.token('argus')
    const csrs = await Promise.all(Array.from({ length: 50 }, newCsr))
    const outcomes = await Promise.allSettled(csrs.map((csr) => join(asking(token, csr), place.enrol)))
    const codes = outcomes.map((one) => (one.status === 'fulfilled' ? 'won' : (one.reason as { code: string }).code))
    expect(codes.filter((code) => code === 'won')).toHaveLength(1)
    expect(codes.filter((code) => code === 'token_bound')).toHaveLength(49)
  })

  const refusals: readonly { name: string; code: string; token: () => Promise<string>; advanceMs?: number }[] = [
    { name: 'a token nobody made', code: 'token_unknown', token: async () => `vccj_${'x'.repeat(43)}` },
    { name: 'a token past its end', code: 'token_expired', token: () => place.token('argus', 60), advanceMs: 61_000 },
  ]
  for (const { name, code, token, advanceMs = 0 } of refusals) {
    test(`${name} is refused`, async () => {
      const text = await token()
      place.advance(advanceMs)
      await expect(join(asking(text, await newCsr()), place.enrol)).rejects.toMatchObject({ code })
      place.advance(-advanceMs)
    })
  }

  test('a key that refuses to sign leaves an orphan, and the same key then gets a new serial', async () => {
    const token = await place.token('covina')
    const csr = await newCsr()
    const issuing = place.authorities.issuing('services-ca')
    const broken = {
      ...issuing,
      signer: { ...issuing.signer, sign: () => Promise.reject(new Error('the device is gone')) },
    }
    const authorities = { ...place.authorities, issuing: () => broken }
    await expect(join(asking(token, csr), { ...place.enrol, authorities })).rejects.toMatchObject({
      code: 'signer_unavailable',
    })
    const orphans = await place.database.read(() =>
      many(
        query.selectFrom('certificates').select(['serial_number', 'revocation_reason']).where('state', '=', 'orphaned'),
      ),
    )
    expect(orphans.at(-1)?.revocation_reason).toBe('superseded')
    const { issued } = await join(asking(token, csr), place.enrol)
    expect(orphans.map((one) => one.serial_number)).not.toContain(issued.certificate.serialHex)
  })
})

describe('renewal', () => {
  test('is idempotent on serial presented and key', async () => {
    const { instance, issued } = await joined()
    const presented = { instance, serialHex: issued.certificate.serialHex }
    const csr = await newCsr()
    const context = { cause: 'renewal', requestId: 'test' } as const
    const first = await renew(presented, csr, context, place.enrol)
    const again = await renew(presented, csr, context, place.enrol)
    expect(again.issued.certificate.serialHex).toBe(first.issued.certificate.serialHex)
    expect((await rowsOf(presented.serialHex))[0]?.replaced_by).not.toBeNull()
  })

  test('the predecessor with another key, and anything older, is a fork', async () => {
    const { instance, issued } = await joined()
    const context = { cause: 'renewal', requestId: 'test' } as const
    const first = { instance, serialHex: issued.certificate.serialHex }
    const second = await renew(first, await newCsr(), context, place.enrol)
    await expect(renew(first, await newCsr(), context, place.enrol)).rejects.toMatchObject({ code: 'identity_forked' })
    const presented = { instance, serialHex: second.issued.certificate.serialHex }
    await renew(presented, await newCsr(), context, place.enrol)
    await expect(renew(first, await newCsr(), context, place.enrol)).rejects.toMatchObject({ code: 'identity_forked' })
  })

  test('two at once with different keys: one wins, the other is on record as an orphan', async () => {
    const { instance, issued } = await joined()
    const presented = { instance, serialHex: issued.certificate.serialHex }
    const csrs = await Promise.all([newCsr(), newCsr()])
    const context = { cause: 'renewal', requestId: 'test' } as const
    const outcomes = await Promise.allSettled(csrs.map((csr) => renew(presented, csr, context, place.enrol)))
    expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    const line = await place.database.read(() =>
      many(query.selectFrom('certificates').select(['state']).where('instance_id', '=', instance).orderBy('id')),
    )
    expect(line.map((one) => one.state).toSorted()).toEqual(['issued', 'issued', 'orphaned'])
  })

  test('needs a new key, and a registered instance', async () => {
    const { instance, issued, csr } = await joined()
    const context = { cause: 'renewal', requestId: 'test' } as const
    const presented = { instance, serialHex: issued.certificate.serialHex }
    await expect(renew(presented, csr, context, place.enrol)).rejects.toMatchObject({ code: 'csr_refused' })
    const stranger = { instance: 'a'.repeat(16), serialHex: presented.serialHex }
    await expect(renew(stranger, await newCsr(), context, place.enrol)).rejects.toMatchObject({
      code: 'identity_unknown',
    })
  })
})

test('an intent that another run left open becomes an orphan at start-up, once', async () => {
  const token = await place.token('argus')
  const issuing = place.authorities.issuing('services-ca')
  const never = { ...issuing, signer: { ...issuing.signer, sign: () => new Promise<Uint8Array>(() => {}) } }
  const authorities = { ...place.authorities, issuing: () => never }
  void join(asking(token, await newCsr()), { ...place.enrol, authorities, owner: 'a run that died' }).catch(() => {})
  const open = () =>
    place.database.read(() =>
      many(query.selectFrom('issuance_intents').select(['serial_number']).where('state', '=', 'open')),
    )
  await expect.poll(open).toHaveLength(1)
  const [intent] = await open()
  expect(await place.database.runUnit(() => resolveAbandoned({ notOwner: place.owner }, place))).toBe(1)
  expect(await place.database.runUnit(() => resolveAbandoned({ notOwner: place.owner }, place))).toBe(0)
  expect((await rowsOf(intent?.serial_number ?? ''))[0]?.state).toBe('orphaned')
})

test('all of it is in one unbroken audit chain', async () => {
  const verdict = await verifyChain(auditRows(place.database))
  expect(verdict.ok).toBe(true)
})
