import { memorySigner } from '@vcc/keys'
import { jwsSigner, signEnvelope } from '@vcc/mesh'
import { workloadId } from '@vcc/policy'
import { buildCsr, verifyCsr } from '@vcc/x509'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { change, query } from '../database/unit.ts'
import { join } from '../enrolment/join.ts'
import { createInbox } from '../inbox/inbox.ts'
import { deregisterInstance } from '../registry/services.ts'
import { createPublisher } from '../state/publisher.ts'
import { openStateSigner } from '../state/signer.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { meshRoutes } from './routes.ts'

const DAY_MS = 86_400_000

let place: TestInstallation
let advanced = 0
beforeEach(async () => {
  place = await testInstallation()
})
afterEach(async () => {
  place.advance(-advanced)
  advanced = 0
  await place[Symbol.asyncDispose]()
})

function later(days: number): void {
  advanced += days * DAY_MS
  place.advance(days * DAY_MS)
}

async function routes(admit = () => true) {
  const { signer } = await openStateSigner(place)
  const publish = async () => true
  const inbox = createInbox({
    ...place.enrol,
    signer,
    anchors: () => [place.authorities.root('mesh-root').certificate],
    publish,
    admit,
    onMoved: () => {},
    events: { refused: () => {}, failed: () => {} },
  })
  const endpoints = { api: ['https://127.0.0.1:8444'], broker: ['mqtts://127.0.0.1:8883'] }
  const events = { published: () => {} }
  const publisher = createPublisher({ ...place, endpoints, signer, publish, events, policyInForce: () => undefined })
  return meshRoutes({ ...place.enrol, inbox, publisher, onChange: async () => {} })
}

/** An instance with its key, and what it may say with it. */
async function joined() {
  const key = await memorySigner('api', 'P-256')
  const csr = verifyCsr(await buildCsr(key))
  const request = { addresses: [], stateFormats: [1], agentVersion: '0.1.0', requestId: 'test' }
  const { instance, issued } = await join({ ...request, csr, token: await place.token('argus') }, place.enrol)
  const chain = [issued.certificate, place.authorities.byId(issued.issuingCaId).certificate].map((one) => one.der)
  const signer = jwsSigner(key, chain)
  let nonces = 0
  return {
    instance,
    issued,
    envelope: async (kind: 'renew' | 're-enrol') => {
      const nonce = String(++nonces).padStart(22, 'n')
      const body = { csr: Buffer.from((await newCsr()).der).toString('base64') }
      return signEnvelope<'renew' | 're-enrol'>({ kind, instance, nonce, correlation: nonce, body }, 60, signer, {
        now: place.now(),
      })
    },
  }
}

const context = {
  caller: { kind: 'anonymous', refused: undefined },
  requestId: 'test',
  signal: AbortSignal.abort(),
} as const
const reEnrol = async (envelope: string) => (await routes()).meshReEnrol({ body: { envelope } }, context)

describe('re-enrolment', () => {
  for (const days of [7.01, 36.9]) {
    test(`${days} days after issue it gives a new certificate for the same instance`, async () => {
      const { instance, issued, envelope } = await joined()
      later(days)
      const renewed = await reEnrol(await envelope('re-enrol'))
      expect(renewed.instance).toBe(instance)
      expect(new Date(renewed.notAfter).getTime()).toBeGreaterThan(issued.certificate.notAfter.getTime())
    })
  }

  test('more than 30 days after expiry it is too late', async () => {
    const { envelope } = await joined()
    later(37.1)
    await expect(reEnrol(await envelope('re-enrol'))).rejects.toMatchObject({ code: 're_enrolment_too_late' })
  })

  test('a revoked certificate does not come back', async () => {
    const { issued, envelope } = await joined()
    const { serialHex } = issued.certificate
    await place.database.runUnit(() =>
      change(
        query
          .updateTable('certificates')
          .set({ revoked_at: 1, revocation_reason: 'keyCompromise' })
          .where('serial_number', '=', serialHex),
      ),
    )
    later(8)
    await expect(reEnrol(await envelope('re-enrol'))).rejects.toMatchObject({ code: 'identity_revoked' })
  })

  test('a deregistered instance does not come back', async () => {
    const { instance, envelope } = await joined()
    await deregisterInstance(instance, place.context, place.registry)
    later(8)
    await expect(reEnrol(await envelope('re-enrol'))).rejects.toMatchObject({ code: 'identity_unknown' })
  })

  test('an envelope is good once, for its own purpose, while it lives', async () => {
    const { envelope } = await joined()
    later(8)
    const all = await routes()
    const send = (text: string) => all.meshReEnrol({ body: { envelope: text } }, context)
    const first = await envelope('re-enrol')
    await send(first)
    await expect(send(first)).rejects.toMatchObject({ code: 'envelope_refused' })
    await expect(send(await envelope('renew'))).rejects.toMatchObject({ code: 'envelope_refused' })
    const old = await envelope('re-enrol')
    later(0.01)
    await expect(send(old)).rejects.toMatchObject({ code: 'envelope_refused' })
    await expect(send('e30.e30.e30')).rejects.toMatchObject({ code: 'envelope_refused' })
  })
})

test('a renewal over HTTPS is for the instance that the connection proves, and counts like a message', async () => {
  const [argus, other] = [await joined(), await joined()]
  const certificate = { serialHex: argus.issued.certificate.serialHex, organization: 'brandenburg', service: 'argus' }
  const id = workloadId('vcc.internal', 'brandenburg', 'argus')
  const caller = { kind: 'agent', instance: argus.instance, id, ...certificate } as const
  const all = await routes()
  const foreign = { body: { envelope: await other.envelope('renew') } }
  await expect(all.meshRenew(foreign, { ...context, caller })).rejects.toMatchObject({ code: 'envelope_refused' })
  const own = { body: { envelope: await argus.envelope('renew') } }
  expect((await all.meshRenew(own, { ...context, caller })).instance).toBe(argus.instance)
  const busy = await routes(() => false)
  await expect(busy.meshRenew(own, { ...context, caller })).rejects.toMatchObject({ code: 'too_many_requests' })
})
