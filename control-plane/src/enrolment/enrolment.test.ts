import { OID, uriIdentityOf, validateChain } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auditRows } from '../audit/export.ts'
import { verifyChain } from '../audit/verify.ts'
import { createIssuingCa } from '../authority/create.ts'
import { change, many, query } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import type { Issued } from '../issuance/issue.ts'
import { resolveAbandoned } from '../issuance/store.ts'
import { demandRenewal } from '../registry/instances-store.ts'
import { deregisterService, registerService } from '../registry/services.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { type JoinRequest, join } from './join.ts'
import type { Presented } from './presented.ts'
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

const presentedOf = ({ instance, issued }: { instance: string; issued: Issued }): Presented => ({
  instance,
  issuingCaId: issued.issuingCaId,
  serialHex: issued.certificate.serialHex,
  der: issued.certificate.der,
})

const revoke = (serial: string) =>
  place.database.runUnit(() =>
    change(
      query
        .updateTable('certificates')
        .set({ revoked_at: 1, revocation_reason: 'keyCompromise' })
        .where('serial_number', '=', serial),
    ),
  )

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
  test('ca-28 gives a certificate with names from registry and installation, and the class from the policy', async () => {
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

  test('ca-34 fifty keys race for one token: one wins, the others are told so', async () => {
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

  test('an agent that reads none of our state formats is refused', async () => {
    const request = { ...asking(await place.token('argus'), await newCsr()), stateFormats: [99] }
    await expect(join(request, place.enrol)).rejects.toMatchObject({ code: 'format_not_supported' })
  })

  test('a service that is deregistered while the key signs gets no instance, and may be registered again', async () => {
    const context = { organization: 'brandenburg', actor: '0'.repeat(32), requestId: 'test' }
    const token = await place.token('covina')
    const issuing = place.authorities.issuing('services-ca')
    const sign = async (...given: Parameters<typeof issuing.signer.sign>) => {
      await deregisterService('covina', context, place.registry)
      return issuing.signer.sign(...given)
    }
    const authorities = { ...place.authorities, issuing: () => ({ ...issuing, signer: { ...issuing.signer, sign } }) }
    await expect(join(asking(token, await newCsr()), { ...place.enrol, authorities })).rejects.toMatchObject({
      code: 'issuance_lost',
    })
    const again = await registerService({ service_name: 'covina' }, context, place.registry)
    expect(again.service_name).toBe('covina')
    await expect(registerService({ service_name: 'covina' }, context, place.registry)).rejects.toMatchObject({
      code: 'service_exists',
    })
  })

  test('ca-31 a key that refuses to sign leaves an orphan, and the same key then gets a new serial', async () => {
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
    const presented = presentedOf({ instance, issued })
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
    const first = presentedOf({ instance, issued })
    const second = await renew(first, await newCsr(), context, place.enrol)
    await expect(renew(first, await newCsr(), context, place.enrol)).rejects.toMatchObject({ code: 'identity_forked' })
    const presented = presentedOf({ instance, issued: second.issued })
    await renew(presented, await newCsr(), context, place.enrol)
    await expect(renew(first, await newCsr(), context, place.enrol)).rejects.toMatchObject({ code: 'identity_forked' })
  })

  test('two at once with different keys: one wins, the other is on record as an orphan', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const csrs = await Promise.all([newCsr(), newCsr()])
    const context = { cause: 'renewal', requestId: 'test' } as const
    const outcomes = await Promise.allSettled(csrs.map((csr) => renew(presented, csr, context, place.enrol)))
    expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    const line = await place.database.read(() =>
      many(query.selectFrom('certificates').select(['state']).where('instance_id', '=', instance).orderBy('id')),
    )
    expect(line.map((one) => one.state).toSorted()).toEqual(['issued', 'issued', 'orphaned'])
  })

  test('ca-29 a revoked certificate renews nothing, and the attempt is on record', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    await revoke(presented.serialHex)
    for (const cause of ['renewal', 're-enrolment'] as const) {
      const attempt = renew(presented, await newCsr(), { cause, requestId: 'revoked' }, place.enrol)
      await expect(attempt).rejects.toMatchObject({ code: 'identity_revoked' })
    }
    const rows = await place.database.read(() =>
      many(query.selectFrom('audit_entries').select(['record']).where('event', '=', 'MSH-07').orderBy('seq')),
    )
    expect(rows.filter((row) => row.record.includes(presented.serialHex))).toHaveLength(2)
  })

  test('a certificate of a revoked CA renews nothing', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const mark = (state: 'active' | 'revoked') =>
      place.database.runUnit(() =>
        change(query.updateTable('certificate_authorities').set({ state }).where('ca_id', '=', issued.issuingCaId)),
      )
    await mark('revoked')
    for (const cause of ['renewal', 're-enrolment'] as const) {
      const attempt = renew(presented, await newCsr(), { cause, requestId: 'revoked' }, place.enrol)
      await expect(attempt).rejects.toMatchObject({ code: 'identity_revoked' })
    }
    await mark('active')
  })

  test('a repeat gets no certificate that was revoked since', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const context = { cause: 'renewal', requestId: 'test' } as const
    const csr = await newCsr()
    const { issued: next } = await renew(presented, csr, context, place.enrol)
    await revoke(next.certificate.serialHex)
    await expect(renew(presented, csr, context, place.enrol)).rejects.toMatchObject({ code: 'identity_revoked' })
  })

  test('the serial of an orphan renews nothing', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const context = { cause: 'renewal', requestId: 'test' } as const
    const csrs = await Promise.all([newCsr(), newCsr()])
    await Promise.allSettled(csrs.map((csr) => renew(presented, csr, context, place.enrol)))
    const [orphan] = await place.database.read(() =>
      many(
        query
          .selectFrom('certificates')
          .select(['serial_number'])
          .where('instance_id', '=', instance)
          .where('state', '=', 'orphaned'),
      ),
    )
    const ghost = { ...presented, serialHex: orphan?.serial_number ?? '' }
    await expect(renew(ghost, await newCsr(), context, place.enrol)).rejects.toMatchObject({ code: 'identity_revoked' })
  })

  test('another certificate under the serial of the one that was issued renews nothing', async () => {
    const { instance, issued } = await joined()
    const forged = { ...presentedOf({ instance, issued }), der: (await joined()).issued.certificate.der }
    const context = { cause: 'renewal', requestId: 'test' } as const
    await expect(renew(forged, await newCsr(), context, place.enrol)).rejects.toMatchObject({
      code: 'identity_unknown',
    })
  })

  test('the serial of another issuer is another certificate', async () => {
    const { instance, issued } = await joined()
    const presented = { ...presentedOf({ instance, issued }), issuingCaId: place.authorities.root('mesh-root').caId }
    const context = { cause: 'renewal', requestId: 'test' } as const
    await expect(renew(presented, await newCsr(), context, place.enrol)).rejects.toMatchObject({
      code: 'identity_unknown',
    })
  })

  test('nothing is signed before the instant that state demands, and a repeat of what was still answers', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const context = { cause: 'renewal', requestId: 'test' } as const
    const csr = await newCsr()
    const first = await renew(presented, csr, context, place.enrol)
    const demanded = epochSeconds(place.now()) + 60
    await place.database.runUnit(() => demandRenewal('brandenburg', undefined, demanded))
    const current = presentedOf({ instance, issued: first.issued })
    await expect(renew(current, await newCsr(), context, place.enrol)).rejects.toMatchObject({
      code: 'renewal_too_early',
    })
    const again = await renew(presented, csr, context, place.enrol)
    expect(again.issued.certificate.serialHex).toBe(first.issued.certificate.serialHex)
    place.advance(61_000)
    const { issued: young } = await renew(current, await newCsr(), context, place.enrol)
    place.advance(-61_000)
    expect(epochSeconds(young.certificate.notBefore) + 300).toBeGreaterThanOrEqual(demanded)
  })

  test('a repeat is answered with the CA that signed it, whichever signs now', async () => {
    const { instance, issued } = await joined()
    const presented = presentedOf({ instance, issued })
    const context = { cause: 'renewal', requestId: 'test' } as const
    place.advance(120_000)
    const csr = await newCsr()
    const first = await renew(presented, csr, context, place.enrol)
    const old = place.authorities.issuing('services-ca')
    const requester = { type: 'system', ref: 'test' } as const
    await createIssuingCa(
      {
        name: 'services-next',
        profile: 'services-ca',
        commonName: 'VCC Services CA next',
        organizationName: 'brandenburg',
        notBefore: old.certificate.notBefore,
        notAfter: old.certificate.notAfter,
        classOids: old.grants.classes,
        nameConstraints: { permittedDns: ['vcc.internal'], permittedUriHosts: ['vcc.internal'] },
        grants: old.grants,
      },
      place.authorities.root('mesh-root'),
      { requester, requestId: 'test', cause: 'request' },
      place,
    )
    await place.authorities.reload()
    expect(place.authorities.issuing('services-ca').caId).not.toBe(old.caId)
    const again = await renew(presented, csr, context, place.enrol)
    place.advance(-120_000)
    expect(again.issued.issuingCaId).toBe(first.issued.issuingCaId)
  })

  test('ca-29 needs a new key, and a registered instance', async () => {
    const { instance, issued, csr } = await joined()
    const context = { cause: 'renewal', requestId: 'test' } as const
    const presented = presentedOf({ instance, issued })
    await expect(renew(presented, csr, context, place.enrol)).rejects.toMatchObject({ code: 'csr_refused' })
    const stranger = { ...presented, instance: 'a'.repeat(16) }
    await expect(renew(stranger, await newCsr(), context, place.enrol)).rejects.toMatchObject({
      code: 'identity_unknown',
    })
  })
})

test('ca-32 an intent that another run left open becomes an orphan at start-up, once', async () => {
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
  expect(await resolveAbandoned({ notOwner: place.owner }, place)).toBe(1)
  expect(await resolveAbandoned({ notOwner: place.owner }, place)).toBe(0)
  expect((await rowsOf(intent?.serial_number ?? ''))[0]?.state).toBe('orphaned')
})

test('all of it is in one unbroken audit chain', async () => {
  const verdict = await verifyChain(auditRows(place.database))
  expect(verdict.ok).toBe(true)
})
