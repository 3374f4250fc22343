import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Signer } from '@vcc/keys'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditRows } from '../audit/export.ts'
import { verifyChain } from '../audit/verify.ts'
import { adminOrder } from '../certificates/admin.ts'
import { change, many, one, query, type Unit } from '../database/unit.ts'
import { builtinTemplates } from '../templates/template.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { type CertificateOrder, type IssueDeps, issue } from './issue.ts'
import { ISSUANCE_STEPS, type IssuanceStep } from './steps.ts'
import { resolveAbandoned } from './store.ts'

let place: TestInstallation
beforeAll(async () => {
  place = await testInstallation()
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

/** An admin's certificate whose signatures go through `around`. */
async function order(around: (sign: Signer['sign']) => Signer['sign'] = (sign) => sign): Promise<CertificateOrder> {
  const requester = { type: 'system', ref: 'test' } as const
  const plain = await adminOrder(
    { account: 'ada', csr: await newCsr(), requester, requestId: 'test', validityMs: undefined },
    { ...place, adminTemplate: builtinTemplates()['vcc-admin'] },
  )
  const { signer } = plain.issuer
  return {
    ...plain,
    issuer: { ...plain.issuer, signer: { ...signer, sign: around((bytes, options) => signer.sign(bytes, options)) } },
  }
}

/** What is on record of a key, and which intents are open. */
function onRecord({ publicKey }: CertificateOrder) {
  return place.database.read(function* () {
    const certificates = yield* many(
      query
        .selectFrom('certificates')
        .select(['state', 'serial_number', 'revocation_reason'])
        .where('spki_sha256', '=', publicKey.spkiSha256Hex),
    )
    const open = yield* many(query.selectFrom('issuance_intents').select('intent_id').where('state', '=', 'open'))
    return { certificates, open: open.length }
  })
}

const orphan = { state: 'orphaned', revocation_reason: 'superseded' }

test('an issuance passes its steps in their order', async () => {
  const passed: IssuanceStep[] = []
  await issue(await order(), { ...place, onStep: (step) => passed.push(step) })
  expect(passed).toEqual([...ISSUANCE_STEPS])
})

test('a signature that comes after its deadline is thrown away, and what was asked for may be asked again', async () => {
  const late = Promise.withResolvers<void>()
  const slow = await order((sign) => async (bytes) => {
    await wait(100)
    const signature = await sign(bytes)
    late.resolve()
    return signature
  })
  await expect(issue(slow, { ...place, signerDeadlineMs: 10 })).rejects.toMatchObject({ code: 'signer_unavailable' })
  await late.promise
  expect(await onRecord(slow)).toMatchObject({ certificates: [orphan], open: 0 })
  const again = await issue({ ...slow, issuer: (await order()).issuer }, place)
  const { certificates } = await onRecord(slow)
  expect(certificates).toMatchObject([orphan, { state: 'issued', serial_number: again.certificate.serialHex }])
  expect(certificates[0]?.serial_number).not.toBe(certificates[1]?.serial_number)
})

test('who resolves an intent whose lease has ended wins over the one that still signs', async () => {
  const inAnHour = { before: new Date(place.now().getTime() + 3_600_000) }
  const overtaken = await order((sign) => async (bytes) => {
    expect(await resolveAbandoned(inAnHour, place)).toBe(1)
    return sign(bytes)
  })
  await expect(issue(overtaken, place)).rejects.toMatchObject({ code: 'issuance_lost' })
  expect(await onRecord(overtaken)).toMatchObject({ certificates: [orphan], open: 0 })
  expect(await resolveAbandoned(inAnHour, place)).toBe(0)
})

test('what can be neither completed nor abandoned stays open, and is resolved after its lease', async () => {
  let commits = 0
  const runUnit: IssueDeps['database']['runUnit'] = (work, options) => {
    commits += 1
    return commits === 1 ? place.database.runUnit(work, options) : Promise.reject(new Error('no room'))
  }
  const stuck = await order()
  await expect(issue(stuck, { ...place, database: { ...place.database, runUnit } })).rejects.toThrow('no room')
  expect(await onRecord(stuck)).toMatchObject({ certificates: [], open: 1 })
  expect(await resolveAbandoned({ before: place.now() }, place)).toBe(0)
  expect(await resolveAbandoned({ before: new Date(place.now().getTime() + 61_000) }, place)).toBe(1)
  expect(await onRecord(stuck)).toMatchObject({ certificates: [orphan], open: 0 })
})

test('however many a crash left open, all are resolved', async () => {
  const dead = { ...place, owner: 'a run that died' }
  const never = await order(() => () => new Promise<Uint8Array>(() => {}))
  void issue(never, dead).catch(() => {})
  await expect.poll(async () => (await onRecord(never)).open).toBe(1)
  for (let batch = 0; batch < 3; batch++) await place.database.runUnit(() => copyOpenIntent(batch * 400, 400))
  expect(await resolveAbandoned({ notOwner: place.owner }, place)).toBe(1201)
  expect((await onRecord(never)).open).toBe(0)
})

test('all of it is in one unbroken audit chain', async () => {
  expect(await verifyChain(auditRows(place.database))).toMatchObject({ ok: true })
})

function* copyOpenIntent(from: number, count: number): Unit<void> {
  const columns = [
    'issuing_ca_id',
    'profile',
    'spki_sha256',
    'tbs_der',
    'certificate',
    'requested_by',
    'owner',
  ] as const
  const row = yield* one(
    query
      .selectFrom('issuance_intents')
      .select([...columns, 'lease_until', 'created_at'])
      .where('state', '=', 'open')
      .limit(1),
  )
  for (let n = from; n < from + count; n++) {
    const serial_number = n.toString(16).padStart(40, '0')
    const certificate = JSON.stringify({ ...(JSON.parse(row.certificate) as object), serial_number })
    const nobody = { organization_id: null, service_id: null, instance_id: null, join_token_id: null }
    const rest = { predecessor_serial: null, resolved_at: null, intent_id: randomUUIDv7() }
    yield* change(
      query.insertInto('issuance_intents').values({ ...row, ...nobody, ...rest, serial_number, certificate }),
    )
  }
}
