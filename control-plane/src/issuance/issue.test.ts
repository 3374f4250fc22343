import { buildTbs, encodeName, issuerOf, type VerifiedCsr } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { many, query } from '../database/unit.ts'
import { BACKDATE_MS, identityOrder } from '../enrolment/identity.ts'
import { type ServiceRow, serviceByName } from '../registry/store.ts'
import { newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { type CertificateOrder, type IssueDeps, issue } from './issue.ts'
import { drawSerial } from './serial.ts'
import { openIntent } from './store.ts'

let place: TestInstallation
let service: ServiceRow
let csr: VerifiedCsr
beforeAll(async () => {
  place = await testInstallation()
  csr = await newCsr()
  const row = await place.database.read(() => serviceByName('brandenburg', 'argus'))
  if (row === undefined) throw new TypeError('argus is not registered')
  service = row
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

/** The order for an instance of argus, at whatever instant `now` says. */
function orderOf(now: () => Date = place.now): CertificateOrder {
  const requester = { type: 'system', ref: 'test' } as const
  const what = { service, instance: 'abcdefgh01234567', csr, cause: 'request', requestId: 'test', requester } as const
  return identityOrder(what, { ...place.enrol, now })
}

/** The order with a signer that remembers what it was asked to sign. */
function watched(order: CertificateOrder): { order: CertificateOrder; asked: Uint8Array[] } {
  const asked: Uint8Array[] = []
  const { issuer } = order
  const sign: typeof issuer.signer.sign = async (bytes, options) => {
    asked.push(bytes)
    return issuer.signer.sign(bytes, options)
  }
  return { order: { ...order, issuer: { ...issuer, signer: { ...issuer.signer, sign } } }, asked }
}

const intentsWith = (serial: string) =>
  place.database.read(() =>
    many(query.selectFrom('issuance_intents').select(['tbs_der', 'state']).where('serial_number', '=', serial)),
  )

const codeOf = (run: Promise<unknown>): Promise<unknown> =>
  run.then(
    () => 'issued',
    (error: unknown) => (error as { code?: unknown }).code,
  )

describe('a serial', () => {
  test('ca-3 is reserved before anything is signed: of ten intents at once that drew the same, one is opened', async () => {
    const order = orderOf()
    const serialHex = drawSerial()
    const tbs = buildTbs({
      profile: 'service',
      serialHex,
      issuer: issuerOf(order.issuer.certificate),
      subject: order.subject,
      publicKey: order.publicKey,
      notBefore: order.notBefore,
      notAfter: order.notAfter,
      oidArc: place.installation.oidArc,
      uris: order.uris ?? [],
      dnsNames: order.dnsNames ?? [],
      classes: order.classOids ?? [],
      crlUrl: 'http://pki.example.org/crl',
      ocspUrl: 'http://pki.example.org/ocsp',
      caIssuersUrl: 'http://pki.example.org/ca',
    })
    const opened = await Promise.allSettled(
      Array.from({ length: 10 }, () => place.database.runUnit(() => openIntent(order, tbs, serialHex, place))),
    )
    expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await intentsWith(serialHex)).toHaveLength(1)
  })
})

describe('what is signed', () => {
  test('ca-25 are the octets of the intent, which are those that were linted', async () => {
    const { order, asked } = watched(orderOf())
    const { certificate } = await issue(order, place)
    const [intent] = await intentsWith(certificate.serialHex)
    expect(asked).toHaveLength(1)
    expect(asked[0]?.toHex()).toBe(certificate.tbsDer.toHex())
    expect(new Uint8Array(intent?.tbs_der ?? []).toHex()).toBe(certificate.tbsDer.toHex())
  })

  test.each<[string, Partial<CertificateOrder>]>([
    ['ca-21 a DNS name outside the constraints of the CA', { dnsNames: ['argus.example.org'] }],
    ['ca-21 a trust domain outside them', { uris: ['spiffe://example.org/org/brandenburg/svc/argus'] }],
    ['ca-10 a CN that is an address', { subject: encodeName([{ type: 'CN', value: '10.0.0.1' }]) }],
    ['ca-11 a DNS name with a trailing dot', { dnsNames: ['argus.vcc.internal.'] }],
    ['ca-17 an end after that of the CA', { notAfter: new Date('2099-01-01T00:00:00Z') }],
    ['ca-28 two identities', { uris: ['spiffe://vcc.internal/org/a/svc/b', 'spiffe://vcc.internal/org/a/svc/c'] }],
  ])('never is %s', async (_name, change) => {
    const { order, asked } = watched({ ...orderOf(), ...change })
    expect(await codeOf(issue(order, place))).toBe('issuance_refused')
    expect(asked).toEqual([])
  })

  test('ca-9 never is a usage that the CA does not have', async () => {
    const { order, asked } = watched({ ...orderOf(), issuer: place.authorities.issuing('admin-ca') })
    expect(await codeOf(issue(order, place))).toBe('issuance_refused')
    expect(asked).toEqual([])
  })

  test('ca-33 is on record before: where the audit chain takes no row, nothing is signed', async () => {
    const { order, asked } = watched(orderOf())
    const behind = { ...place.audit, now: () => Temporal.Now.instant().subtract({ hours: 24 * 30 }) }
    const deps: IssueDeps = { ...place, audit: behind }
    expect(await codeOf(issue(order, deps))).toBe('audit_clock_behind')
    expect(asked).toEqual([])
  })
})

test('ca-17 ten thousand renewals neither drift nor outlive the CA', async () => {
  const { issuer } = orderOf()
  const end = issuer.certificate.notAfter
  let at = place.now()
  for (let renewal = 0; renewal < 10_000; renewal++) {
    const now = at
    const { notBefore, notAfter } = orderOf(() => now)
    expect(Math.floor(now.getTime() / 1000) * 1000 - notBefore.getTime()).toBe(BACKDATE_MS)
    expect(notAfter <= end).toBe(true)
    // As an agent does: after two thirds, or at once where the CA's end cuts it short.
    at = new Date(
      Math.max(now.getTime() + 1000, notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) / 1.5),
    )
    if (at >= end) at = place.now()
  }
})
