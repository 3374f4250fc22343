import { classOid, DEFAULT_OID_ARC } from '@vcc/x509'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ReplyBody, UpBody, UpKind } from './bodies.ts'
import { canonicalJson } from './canonical.ts'
import { type EnvelopeContext, signEnvelope, verifyEnvelope } from './envelopes.ts'
import {
  acceptanceOf,
  at,
  INSTANCE,
  NOW,
  newPki,
  OTHER_INSTANCE,
  type Party,
  type Pki,
  SERVICE,
  signerOf,
} from './fixture.ts'
import { type JwsSigner, type JwsType, signJws } from './jws.ts'
import { ReplayWindow } from './replay.ts'
import { signReply, verifyReply } from './replies.ts'

const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const hex = (digit: string) => digit.repeat(64)
const CORRELATION = 'c'.repeat(22)
const NONCE = 'n'.repeat(22)
const DAY = 86_400
let pki: Pki
let foreign: Pki

beforeAll(async () => {
  ;[pki, foreign] = await Promise.all([newPki(), newPki()])
})

const STATUS: UpBody<'status'> = {
  version: '0.1.0',
  formats: [1],
  startedAt: '2026-03-01T11:00:00Z',
  ready: true,
  health: { state: 'healthy' },
  certificate: { serial: '4a01', notAfter: '2026-03-08T12:00:00Z' },
  fleet: {
    epoch: 1,
    generation: 2,
    contentHash: hex('a'),
    issuedAt: '2026-03-01T12:00:00Z',
    enforceUntil: '2026-03-04T12:00:00Z',
  },
  agent: null,
  clock: { state: 'ok', offsetSeconds: -1 },
  listeners: [{ kind: 'inbound', name: 'mesh', address: '0.0.0.0:9443' }],
  addresses: [{ host: '10.0.0.1', port: 9443 }],
  localBypass: 'possible',
  counters: { connections_open: 3 },
}
const ACK: UpBody<'ack'> = {
  kind: 'fleet',
  epoch: 1,
  generation: 2,
  contentHash: hex('a'),
  enforceUntil: '2026-03-04T12:00:00Z',
  serial: '4a01',
  outcome: { result: 'applied', at: '2026-03-01T12:00:00Z', closed: 1 },
}
const BODIES = { status: STATUS, ack: ACK, renew: { csr: 'AAAA' }, 're-enrol': { csr: 'AAAA' } } as const

const sign = <K extends UpKind>(
  kind: K,
  body: UpBody<K>,
  signer: JwsSigner = pki.agentSigner,
  now = NOW,
  lifetime = 60,
) => signEnvelope({ kind, instance: INSTANCE, correlation: CORRELATION, nonce: NONCE, body }, lifetime, signer, { now })

const context = <K extends UpKind>(purpose: K, seconds = 0): EnvelopeContext<K> => ({
  anchors: [pki.root.certificate],
  now: at(seconds),
  purpose,
  expectInstance: INSTANCE,
})

describe('envelopes', () => {
  test('the sender is who the certificate says', async () => {
    const { sender, ...envelope } = verifyEnvelope(await sign('status', STATUS), context('status'))
    expect(envelope).toEqual({
      kind: 'status',
      instance: INSTANCE,
      correlation: CORRELATION,
      nonce: NONCE,
      issuedAt: '2026-03-01T12:00:00Z',
      expiresAt: '2026-03-01T12:01:00Z',
      body: STATUS,
    })
    expect(sender).toMatchObject({
      instance: INSTANCE,
      id: SERVICE,
      serialHex: pki.agent.certificate.serialHex,
      spkiSha256: pki.agent.certificate.publicKey.spkiSha256Hex,
      issuerSpkiSha256: pki.servicesCa.certificate.publicKey.spkiSha256Hex,
    })
    expect(sender.path.leaf.serialHex).toBe(pki.agent.certificate.serialHex)
  })

  test.each(['status', 'ack', 'renew', 're-enrol'] as const)(
    '%s is taken for its purpose and for no other',
    async (kind) => {
      const jws = await sign(kind, BODIES[kind])
      expect(verifyEnvelope(jws, context(kind)).kind).toBe(kind)
      for (const other of ['status', 'ack', 'renew', 're-enrol'] as const) {
        if (other !== kind) expect(() => verifyEnvelope(jws, context(other))).toThrow(code('envelope_purpose_mismatch'))
      }
    },
  )

  test('without a topic that names an instance, and under two roots', async () => {
    const by = { anchors: [foreign.root.certificate, pki.root.certificate], now: NOW, purpose: 'renew' } as const
    expect(verifyEnvelope(await sign('renew', BODIES.renew), by).sender.instance).toBe(INSTANCE)
  })

  const senders: readonly { name: string; make: () => Promise<{ party: Party; issuer: Party }>; fails?: string }[] = [
    { name: 'a certificate of another mesh', make: async () => ({ party: foreign.agent, issuer: foreign.servicesCa }) },
    { name: 'a state signer', make: async () => ({ party: pki.active, issuer: pki.controlCa }) },
    { name: 'the control plane', make: async () => ({ party: pki.control, issuer: pki.controlCa }) },
    { name: 'an issuing CA', make: async () => ({ party: pki.servicesCa, issuer: pki.servicesCa }) },
    { name: 'a chain that does not fit', make: async () => ({ party: pki.agent, issuer: pki.controlCa }) },
    {
      name: 'an expired certificate',
      make: async () => ({ party: await pki.service(INSTANCE, 'argus', { notAfter: at(-1) }), issuer: pki.servicesCa }),
    },
    {
      name: 'a certificate of tomorrow',
      make: async () => ({
        party: await pki.service(INSTANCE, 'argus', { notBefore: at(DAY) }),
        issuer: pki.servicesCa,
      }),
    },
    {
      name: 'names that its CA may not give',
      make: async () => ({
        party: await pki.service(INSTANCE, 'argus', {
          uris: ['spiffe://evil.internal/org/brandenburg/svc/argus'],
          classes: [classOid(DEFAULT_OID_ARC, 1)],
        }),
        issuer: pki.servicesCa,
      }),
    },
    {
      name: 'another instance of the same service',
      make: async () => ({ party: await pki.service(OTHER_INSTANCE), issuer: pki.servicesCa }),
      fails: 'envelope_sender_mismatch',
    },
  ]
  test.each(senders)('refused: $name', async ({ make, fails = 'envelope_sender_refused' }) => {
    const { party, issuer } = await make()
    const jws = await sign('status', STATUS, signerOf(party, issuer))
    expect(() => verifyEnvelope(jws, context('status'))).toThrow(code(fails))
  })

  test('refused: speaking for another instance than one’s own', async () => {
    const head = { correlation: CORRELATION, nonce: NONCE, body: STATUS }
    const jws = await signEnvelope({ kind: 'status', instance: OTHER_INSTANCE, ...head }, 60, pki.agentSigner, {
      now: NOW,
    })
    expect(() => verifyEnvelope(jws, context('status'))).toThrow(code('envelope_sender_mismatch'))
    const { expectInstance: _, ...anyInstance } = context('status')
    expect(() => verifyEnvelope(jws, anyInstance)).toThrow(code('envelope_sender_mismatch'))
  })

  test('refused: signed by another key than that of the certificate', async () => {
    const jws = await sign('status', STATUS, { ...pki.agentSigner, sign: pki.stateSigner.sign })
    expect(() => verifyEnvelope(jws, context('status'))).toThrow(code('envelope_signature_invalid'))
  })

  test('the edges of its term, to the second', async () => {
    const jws = await sign('status', STATUS)
    const verifiedAt = (seconds: number) => verifyEnvelope(jws, context('status', seconds)).kind
    expect([verifiedAt(-300), verifiedAt(0), verifiedAt(60)]).toEqual(['status', 'status', 'status'])
    expect(() => verifiedAt(61)).toThrow(code('envelope_expired'))
    expect(() => verifiedAt(-301)).toThrow(code('envelope_sender_refused')) // its certificate, too, is valid from -300 s
    const older = signerOf(await pki.service(INSTANCE, 'argus', { notBefore: at(-DAY) }), pki.servicesCa)
    const early = await sign('status', STATUS, older)
    expect(() => verifyEnvelope(early, context('status', -301))).toThrow(code('envelope_not_yet_valid'))
  })

  test('re-enrol is judged at the end of its certificate; nothing else is', async () => {
    const party = await pki.service(INSTANCE, 'argus', { notBefore: at(-40 * DAY), notAfter: at(-33 * DAY) })
    const expired = signerOf(party, pki.servicesCa)
    const jws = await sign('re-enrol', BODIES['re-enrol'], expired)
    expect(verifyEnvelope(jws, context('re-enrol')).sender.certificate.notAfter).toEqual(at(-33 * DAY))
    const renewal = await sign('renew', BODIES.renew, expired)
    expect(() => verifyEnvelope(renewal, context('renew'))).toThrow(code('envelope_sender_refused'))
    const old = await sign('re-enrol', BODIES['re-enrol'], expired, at(-61))
    expect(() => verifyEnvelope(old, context('re-enrol'))).toThrow(code('envelope_expired'))
  })

  test('re-enrol with a certificate of tomorrow is refused', async () => {
    const signer = signerOf(await pki.service(INSTANCE, 'argus', { notBefore: at(DAY) }), pki.servicesCa)
    const jws = await sign('re-enrol', BODIES['re-enrol'], signer)
    expect(() => verifyEnvelope(jws, context('re-enrol'))).toThrow(code('envelope_sender_refused'))
  })

  test('what would be refused is not signed', async () => {
    const cases = [
      () => sign('status', STATUS, pki.agentSigner, NOW, 901),
      () => sign('status', STATUS, pki.agentSigner, NOW, -1),
      () => sign('renew', { csr: 'not base64' }),
      () =>
        signEnvelope(
          { kind: 'renew', instance: 'argus', correlation: CORRELATION, nonce: NONCE, body: BODIES.renew },
          60,
          pki.agentSigner,
          { now: NOW },
        ),
      () =>
        signEnvelope(
          { kind: 'renew', instance: INSTANCE, correlation: CORRELATION, nonce: 'short', body: BODIES.renew },
          60,
          pki.agentSigner,
          { now: NOW },
        ),
    ]
    for (const attempt of cases) await expect(attempt()).rejects.toThrow(code('envelope_malformed'))
  })

  const HEAD = {
    instance: INSTANCE,
    correlation: CORRELATION,
    nonce: NONCE,
    issuedAt: '2026-03-01T12:00:00Z',
    expiresAt: '2026-03-01T12:01:00Z',
  }
  const malformed: readonly [string, unknown][] = [
    ['null', null],
    ['without a kind', { ...HEAD, body: STATUS }],
    ['of an unknown kind', { ...HEAD, kind: 'reboot', body: STATUS }],
    ['with an unknown member', { ...HEAD, kind: 'status', body: STATUS, admin: true }],
    ['without a nonce', { ...HEAD, nonce: undefined, kind: 'status', body: STATUS }],
    ['with a nonce of 21 characters', { ...HEAD, nonce: 'n'.repeat(21), kind: 'status', body: STATUS }],
    ['that lives 901 s', { ...HEAD, expiresAt: '2026-03-01T12:15:01Z', kind: 'status', body: STATUS }],
    ['that ends before it begins', { ...HEAD, expiresAt: '2026-03-01T11:59:59Z', kind: 'status', body: STATUS }],
    ['with the body of another kind', { ...HEAD, kind: 'status', body: ACK }],
    ['without a body', { ...HEAD, kind: 'status' }],
    ['with an unknown member in the body', { ...HEAD, kind: 'status', body: { ...STATUS, uptime: 1 } }],
    [
      'with a control character',
      { ...HEAD, kind: 'status', body: { ...STATUS, health: { state: 'unknown', detail: 'a\nb' } } },
    ],
    [
      'with a text too long',
      { ...HEAD, kind: 'status', body: { ...STATUS, health: { state: 'unknown', detail: 'x'.repeat(501) } } },
    ],
    ['with a negative counter', { ...HEAD, kind: 'status', body: { ...STATUS, counters: { a: -1 } } }],
    [
      'with 65 counters',
      {
        ...HEAD,
        kind: 'status',
        body: { ...STATUS, counters: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`c${i}`, i])) },
      },
    ],
    ['with no format', { ...HEAD, kind: 'status', body: { ...STATUS, formats: [] } }],
    [
      'with a dial address that is a URL',
      { ...HEAD, kind: 'status', body: { ...STATUS, addresses: [{ host: 'http://a', port: 1 }] } },
    ],
  ]
  test.each(malformed)('refused: %s', async (_, payload) => {
    const jws = await signJws(pki.agentSigner, 'vcc-up+jws', payload)
    expect(() => verifyEnvelope(jws, context('status'))).toThrow(code('envelope_malformed'))
  })

  test('refused: other types, a duplicate member, too much of everything', async () => {
    for (const typ of ['vcc-state+jws', 'vcc-reply+jws', 'vcc-refresh+jws', 'vcc-delta+jws'] satisfies JwsType[]) {
      const jws = await signJws(pki.agentSigner, typ, { ...HEAD, kind: 'status', body: STATUS })
      expect(() => verifyEnvelope(jws, context('status'))).toThrow(code('jws_type_refused'))
    }
    expect(() => verifyEnvelope('A'.repeat(64 * 1024 + 1), context('status'))).toThrow(code('jws_too_large'))
    const [header] = (await sign('status', STATUS)).split('.')
    const text = canonicalJson({ ...HEAD, kind: 'status', body: STATUS }).replace(
      '"kind":"status"',
      '"kind":"renew","kind":"status"',
    )
    const input = `${header}.${Buffer.from(text).toString('base64url')}`
    const signature = Buffer.from(await pki.agentSigner.sign(Buffer.from(input))).toString('base64url')
    expect(() => verifyEnvelope(`${input}.${signature}`, context('status'))).toThrow(code('envelope_malformed'))
  })

  test('an ack may also say what was refused', async () => {
    const body = { ...ACK, outcome: { result: 'refused', code: 'state_conflict' } } as const
    expect(verifyEnvelope(await sign('ack', body), context('ack')).body.outcome).toEqual(body.outcome)
  })
})

describe('replies', () => {
  const request = { instance: INSTANCE, correlation: CORRELATION, nonce: NONCE }
  const by = (seconds = 0, floor?: Date) => ({ root: pki.root.certificate, trust: pki.trust, now: at(seconds), floor })
  const certificate: ReplyBody = { ok: true, kind: 'certificate', chain: ['AAAA'] }
  const reply = (signer: JwsSigner = pki.stateSigner) => signReply(request, certificate, 60, signer, { now: NOW })

  test('a reply is taken for its own request', async () => {
    expect(verifyReply(await reply(), request, by())).toEqual(certificate)
    const problem = {
      ok: false,
      problem: { code: 'identity_forked', title: 'Another key', retryAfterSeconds: 60 },
    } as const
    expect(verifyReply(await signReply(request, problem, 60, pki.stateSigner, { now: NOW }), request, by())).toEqual(
      problem,
    )
  })

  test('refused: for another request, or the same one asked anew', async () => {
    const jws = await reply()
    for (const other of [{ nonce: 'm'.repeat(22) }, { correlation: 'd'.repeat(22) }, { instance: OTHER_INSTANCE }]) {
      expect(() => verifyReply(jws, { ...request, ...other }, by())).toThrow(code('reply_unexpected'))
    }
  })

  test('refused: signed by the agent itself, by the API, by another mesh, by nobody', async () => {
    for (const signer of [pki.agentSigner, signerOf(pki.control, pki.controlCa), foreign.stateSigner]) {
      const jws = await reply(signer)
      expect(() => verifyReply(jws, request, by())).toThrow(code('state_signer_refused'))
    }
    const forged = await reply({ ...pki.stateSigner, sign: pki.agentSigner.sign })
    expect(() => verifyReply(forged, request, by())).toThrow(code('state_signature_invalid'))
  })

  test('the edges of its term, by clock and floor', async () => {
    const jws = await reply()
    expect(verifyReply(jws, request, by(60)).ok).toBe(true)
    expect(() => verifyReply(jws, request, by(61))).toThrow(code('envelope_expired'))
    expect(() => verifyReply(jws, request, by(0, at(61)))).toThrow(code('envelope_expired'))
    expect(() => verifyReply(jws, request, by(-301))).toThrow(code('envelope_not_yet_valid'))
  })

  test('refused: an envelope, a state document, an unknown body', async () => {
    const envelope = await sign('renew', BODIES.renew)
    expect(() => verifyReply(envelope, request, by())).toThrow(code('jws_type_refused'))
    const bodies = [
      { ok: true },
      { ok: true, kind: 'certificate', chain: [] },
      { ok: false },
      { ...certificate, ok: false },
    ]
    const head = { ...request, kind: 'reply', issuedAt: '2026-03-01T12:00:00Z', expiresAt: '2026-03-01T12:01:00Z' }
    for (const body of bodies) {
      const jws = await signJws(pki.stateSigner, 'vcc-reply+jws', { ...head, body })
      expect(() => verifyReply(jws, request, by())).toThrow(code('envelope_malformed'))
    }
    expect(acceptanceOf(pki).instance).toBe(INSTANCE)
  })
})

describe('replay', () => {
  const envelope = (nonce: string, instance = INSTANCE) => ({ instance, nonce, expiresAt: '2026-03-01T12:01:00Z' })

  test('a nonce is taken once until its envelope has expired', () => {
    const window = new ReplayWindow()
    window.admit(envelope('a'), NOW)
    window.admit(envelope('a', OTHER_INSTANCE), NOW)
    window.admit(envelope('b'), NOW)
    for (const seconds of [0, 59, 60])
      expect(() => window.admit(envelope('a'), at(seconds))).toThrow(code('envelope_replayed'))
    expect(() => window.admit(envelope('a'), new Date(at(61).getTime() - 1))).toThrow(code('envelope_replayed'))
    window.admit(envelope('a'), at(61))
  })

  test('a full share refuses its own sender alone, and forgets nothing that could come again', () => {
    const window = new ReplayWindow({ perSender: 2 })
    for (const nonce of ['a', 'b']) window.admit(envelope(nonce), NOW)
    expect(() => window.admit(envelope('c'), NOW)).toThrow(code('envelope_window_full'))
    expect(() => window.admit(envelope('a'), NOW)).toThrow(code('envelope_replayed'))
    window.admit(envelope('c', OTHER_INSTANCE), NOW)
    window.admit(envelope('c'), at(61))
    expect(window.size).toBe(2)
  })

  test('senders are bounded too, and make room when they have expired', () => {
    const window = new ReplayWindow({ senders: 1 })
    window.admit(envelope('a'), NOW)
    expect(() => window.admit(envelope('a', OTHER_INSTANCE), NOW)).toThrow(code('envelope_window_full'))
    window.admit(envelope('a', OTHER_INSTANCE), at(61))
    expect(window.size).toBe(1)
  })
})
