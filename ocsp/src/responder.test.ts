import { issueLeaf, type TestCredential } from '@vcc/testkit'
import { encodeCertId, encodeOcspRequest, OID } from '@vcc/x509'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS, DEFAULT_POLICY } from './policy.ts'
import type { OcspRefusal } from './refusal.ts'
import { handCertId, handRequest } from './testing/hand-request.ts'
import {
  ask,
  CA_ID,
  mintResponderKey,
  OTHER_CA_ID,
  REVOKED,
  REVOKED_AT,
  STARTED,
  seconds,
  world,
} from './testing/world.ts'

const nonce = new Uint8Array(32).fill(3)
const later = (by: number): Date => new Date(STARTED.getTime() + by * 1000)

describe('ocsp-B unknown vs good', () => {
  test('ca-48 good is said of what was issued, and of nothing else', async () => {
    const { responder, verify, leaf, ca, pki } = world()
    const { respond } = responder()
    expect(verify(await respond(ask(ca, leaf.certificate))).status).toEqual({ status: 'good' })
    const stranger = pki.service('covina')
    const answer = await respond(ask(ca, stranger.certificate))
    expect(verify(answer, { certificate: stranger.certificate }).status).toEqual({ status: 'unknown' })
    expect(answer.caching).toBeUndefined()
  })

  test('ca-49 an open intent is unknown, is not kept, and turns good with the certificate', async () => {
    const { responder, verify, leaf, ca, source, deps } = world()
    let isOpen = true
    const { respond } = responder({
      source: {
        ...source,
        status: () => (isOpen ? { status: 'unknown', why: 'open_intent' } : { status: 'good' }),
      },
      policyOf: () => ({ ...DEFAULT_POLICY, neverIssued: 'unauthorized' }),
    })
    expect(deps.source.standing().generation).toBe(1)
    const open = await respond(ask(ca, leaf.certificate))
    expect(verify(open).status).toEqual({ status: 'unknown' })
    expect(open.caching).toBeUndefined()
    isOpen = false
    expect(verify(await respond(ask(ca, leaf.certificate))).status).toEqual({ status: 'good' })
  })

  test("ca-48 a CA's own certificate is asked of its root", async () => {
    const { responder, verify, pki, source, ca } = world()
    const { root } = pki
    const key = mintResponderKey(root, STARTED)
    const issuers = [{ id: 'root', certificate: root.certificate }]
    const { respond } = responder({
      keyOf: () => key,
      source: {
        ...source,
        issuers: () => issuers,
        status: (_issuer, serialHex) =>
          serialHex === ca.certificate.serialHex ? { status: 'good' } : { status: 'unknown', why: 'never_issued' },
      },
    })
    const options = { certificate: ca.certificate, issuer: root.certificate }
    expect(verify(await respond(ask(root, ca.certificate)), options).status).toEqual({ status: 'good' })
  })

  test('unknown ends within a minute', async () => {
    const { responder, verify, ca, pki } = world()
    const stranger = pki.service('covina').certificate
    const seen = verify(await responder().respond(ask(ca, stranger)), { certificate: stranger })
    expect(seen.nextUpdate).toEqual(later(60))
  })

  test('never issued is unauthorized where the policy says so, and costs no signature', async () => {
    const { responder, ca, pki, keys } = world()
    let signatures = 0
    const counted = mintResponderKey(ca, STARTED, undefined, (signer) => ({
      ...signer,
      sign: (bytes, options) => {
        signatures += 1
        return signer.sign(bytes, options)
      },
    }))
    keys.set(CA_ID, [counted])
    const { respond } = responder({ policyOf: () => ({ ...DEFAULT_POLICY, neverIssued: 'unauthorized' }) })
    expect((await respond(ask(ca, pki.service('covina').certificate))).outcome).toBe('unauthorized')
    expect(signatures).toBe(0)
  })
})

describe('ocsp-B other issuer', () => {
  test('ca-50 a CA that is not served is unauthorized, by name and by key', async () => {
    const { responder, leaf, ca, pki } = world()
    const { respond } = responder()
    expect((await respond(ask(pki.controlCa, leaf.certificate))).der.toHex()).toBe('30030a0106')
    const sameName = pki.servicesCaUnder(pki.root) // named like ours, another key
    expect(sameName.certificate.subject.der).toEqual(ca.certificate.subject.der)
    expect((await respond(ask(sameName, leaf.certificate))).outcome).toBe('unauthorized')
  })

  test('a CA that is served no longer is unauthorized, kept answers or not', async () => {
    const { responder, leaf, ca, source, otherCa } = world()
    let issuers = source.issuers()
    const { respond } = responder({ source: { ...source, issuers: () => issuers } })
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('good')
    issuers = [{ id: OTHER_CA_ID, certificate: otherCa.certificate }]
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('unauthorized')
  })

  test('each CA is answered by its own responder', async () => {
    const { responder, verify, pki, otherCa } = world()
    const below = pki.service('clara', {}, otherCa).certificate
    const seen = verify(await responder().respond(ask(otherCa, below)), {
      certificate: below,
      issuer: otherCa.certificate,
    })
    expect(seen.status).toEqual({ status: 'unknown' })
    expect(seen.responder.issuer.der).toEqual(otherCa.certificate.subject.der)
  })
})

describe('ocsp-B CertID hash', () => {
  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
    'ca-50 %s is answered, and repeated to the octet',
    async (by) => {
      const { responder, verify, leaf, ca } = world()
      const answer = await responder().respond(ask(ca, leaf.certificate, by))
      expect(verify(answer).status).toEqual({ status: 'good' })
      const certIdDer = encodeCertId(ca.certificate, leaf.certificate.serialHex, by)
      expect(Buffer.from(answer.der).includes(certIdDer)).toBe(true)
    },
  )

  test('a CertID with and one without NULL are two answers', async () => {
    const { responder, leaf, ca } = world()
    const { respond, load } = responder()
    for (const isNull of [false, true]) {
      const certId = handCertId(ca, leaf.certificate.serialHex, { isNull })
      const answer = await respond(handRequest([certId]))
      expect(answer.outcome).toBe('good')
      expect(Buffer.from(answer.der).includes(certId)).toBe(true)
    }
    expect(load().answers).toBe(2)
  })

  test('another hash is unauthorized: it names no issuer of ours', async () => {
    const { responder, leaf, ca } = world()
    const sha3 = handCertId(ca, leaf.certificate.serialHex, { oid: '2.16.840.1.101.3.4.2.8' })
    expect((await responder().respond(handRequest([sha3]))).outcome).toBe('unauthorized')
  })
})

describe('ocsp-B multi-CertID', () => {
  test('ca-57 several of one issuer are answered in one response', async () => {
    const { responder, verify, leaf, ca, pki, record } = world()
    const [second, third] = [pki.service('covina').certificate, pki.service('clara').certificate]
    record(second.serialHex, REVOKED)
    const asked = [leaf.certificate, second, third]
    const request = encodeOcspRequest(
      asked.map(({ serialHex }, i) => encodeCertId(ca.certificate, serialHex, i === 1 ? 'sha1' : 'sha256')),
    )
    const answer = await responder().respond(request)
    const seen = asked.map((certificate) => verify(answer, { certificate }).status)
    expect(seen).toEqual([{ status: 'good' }, REVOKED, { status: 'unknown' }])
    expect(answer.caching).toBeUndefined()
  })

  test('sixteen are answered, seventeen are malformed', async () => {
    const { responder, leaf, ca } = world()
    const { respond } = responder()
    const certIds = (count: number) => Array.from({ length: count }, () => handCertId(ca, leaf.certificate.serialHex))
    expect((await respond(handRequest(certIds(16)))).outcome).toBe('good')
    expect((await respond(handRequest(certIds(17)))).outcome).toBe('malformedRequest')
  })

  test('ca-57 of several issuers are unauthorized: no responder speaks for both', async () => {
    const { responder, leaf, ca, otherCa, pki } = world()
    const { respond } = responder()
    const { serialHex } = leaf.certificate
    for (const second of [otherCa, pki.controlCa]) {
      const certIds = [encodeCertId(ca.certificate, serialHex), encodeCertId(second.certificate, serialHex)]
      expect((await respond(encodeOcspRequest(certIds))).outcome).toBe('unauthorized')
      expect((await respond(encodeOcspRequest(certIds.toReversed()))).outcome).toBe('unauthorized')
    }
  })

  test('none of them issued is unauthorized where the policy says so; one of them is an answer', async () => {
    const { responder, leaf, ca, pki } = world()
    const { respond } = responder({ policyOf: () => ({ ...DEFAULT_POLICY, neverIssued: 'unauthorized' }) })
    const strangers = [pki.service('a').certificate, pki.service('b').certificate]
    const certIds = (of: readonly { serialHex: string }[]) =>
      of.map(({ serialHex }) => encodeCertId(ca.certificate, serialHex))
    expect((await respond(encodeOcspRequest(certIds(strangers)))).outcome).toBe('unauthorized')
    expect((await respond(encodeOcspRequest(certIds([leaf.certificate, ...strangers])))).outcome).toBe('unknown')
  })
})

describe('ocsp-B nonce', () => {
  test.each([1, 16, 32, 128])('ca-54 of %i octets is repeated, signed live and never kept', async (octets) => {
    const { responder, verify, leaf, ca } = world()
    const { respond, load, tally } = responder()
    const asked = new Uint8Array(octets).fill(7)
    for (let i = 0; i < 2; i++) {
      const answer = await respond(ask(ca, leaf.certificate, 'sha256', asked))
      expect(verify(answer, { nonce: asked }).status).toEqual({ status: 'good' })
      expect(answer.caching).toBeUndefined()
    }
    expect(load().answers).toBe(0)
    expect(tally.causes.live).toBe(2)
  })

  test.each([0, 129])('ca-54 of %i octets is malformed', async (octets) => {
    const { responder, leaf, ca } = world()
    const request = handRequest([handCertId(ca, leaf.certificate.serialHex)], { nonce: new Uint8Array(octets) })
    expect((await responder().respond(request)).outcome).toBe('malformedRequest')
  })

  test('is left out, and answered from what is kept, where the policy says ignore', async () => {
    const { responder, verify, leaf, ca } = world()
    const { respond, load, tally } = responder({ policyOf: () => ({ ...DEFAULT_POLICY, nonce: 'ignore' }) })
    const first = await respond(ask(ca, leaf.certificate, 'sha256', nonce))
    const second = await respond(ask(ca, leaf.certificate))
    expect(second.der).toEqual(first.der)
    expect(() => verify(first, { nonce })).toThrow('does not repeat the nonce')
    expect(load().answers).toBe(1)
    expect(tally.causes).toMatchObject({ new: 1, repeated: 1 })
  })

  test('a revocation shows in the next answer with a nonce', async () => {
    const { responder, verify, leaf, ca, record } = world()
    const { respond } = responder()
    const request = ask(ca, leaf.certificate, 'sha256', nonce)
    expect(verify(await respond(request)).status.status).toBe('good')
    record(leaf.certificate.serialHex, REVOKED)
    expect(verify(await respond(request)).status).toEqual(REVOKED)
  })
})

describe('ocsp-B validity', () => {
  test('thisUpdate is the watermark of the source, never now', async () => {
    const { responder, verify, leaf, ca, clock, standing } = world()
    standing.asOfSeconds = seconds(later(-600))
    clock.advance(10)
    const seen = verify(await responder().respond(ask(ca, leaf.certificate)))
    expect(seen).toMatchObject({ thisUpdate: later(-600), nextUpdate: later(3000), producedAt: later(10) })
  })

  test('nextUpdate is thisUpdate and the validity of the policy', async () => {
    const { responder, verify, leaf, ca } = world()
    const policyOf = () => ({ ...DEFAULT_POLICY, validitySeconds: 345_600 })
    expect(verify(await responder({ policyOf }).respond(ask(ca, leaf.certificate))).nextUpdate).toEqual(later(345_600))
  })

  test('no answer ends after the certificate of its key', async () => {
    const { responder, verify, leaf, ca, keys } = world()
    const ending = mintResponderKey(ca, STARTED, 864)
    keys.set(CA_ID, [ending])
    const seen = verify(await responder().respond(ask(ca, leaf.certificate)))
    expect(seen.nextUpdate).toEqual(ending.certificate.notAfter)
    expect(seen.nextUpdate.getTime()).toBeLessThan(later(3600).getTime())
  })

  test('a watermark that is older than answers may be is tryLater', async () => {
    const { responder, leaf, ca, standing } = world()
    standing.asOfSeconds = seconds(later(-3600))
    expect((await responder().respond(ask(ca, leaf.certificate))).outcome).toBe('tryLater')
  })

  test('ca-55 a source past its validity is tryLater, kept answers or not', async () => {
    const { responder, leaf, ca, standing, clock } = world()
    const { respond, tally } = responder()
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('good')
    standing.validUntilSeconds = seconds(later(60))
    clock.advance(60)
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('good')
    clock.advance(1)
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('tryLater')
    expect(tally.refusals.source_outdated).toBe(1)
  })

  test('a watermark a little ahead of the clock is signed as made then', async () => {
    const { responder, verify, leaf, ca, standing } = world()
    standing.asOfSeconds = seconds(later(30))
    const seen = verify(await responder().respond(ask(ca, leaf.certificate)), { skewSeconds: 60 })
    expect(seen).toMatchObject({ thisUpdate: later(30), producedAt: later(30) })
  })
})

describe('ocsp-B pre-sign', () => {
  test('an answer is signed once and repeated until half its life, then signed anew', async () => {
    const { responder, leaf, ca, clock, standing } = world()
    const { respond, tally } = responder()
    const request = ask(ca, leaf.certificate)
    const first = await respond(request)
    clock.advance(1799)
    expect(respond(request)).toBe(first) // at once, without a promise
    standing.asOfSeconds = seconds(clock.now())
    clock.advance(1)
    const second = await respond(request)
    expect(second.der).not.toEqual(first.der)
    expect(tally.causes).toMatchObject({ new: 1, repeated: 1, aged: 1 })
  })

  test('ca-55 a revocation shows in the next answer', async () => {
    const { responder, verify, leaf, ca, record } = world()
    const { respond, tally } = responder()
    const request = ask(ca, leaf.certificate)
    expect(verify(await respond(request)).status.status).toBe('good')
    record(leaf.certificate.serialHex, REVOKED)
    expect(verify(await respond(request)).status).toEqual(REVOKED)
    expect(tally.causes).toMatchObject({ new: 1, changed: 1 })
  })

  test('a revocation of another certificate leaves an answer as it is, after asking', async () => {
    const { responder, leaf, ca, record } = world()
    const { respond, tally } = responder()
    const request = ask(ca, leaf.certificate)
    const first = await respond(request)
    record('0badc0ffee', REVOKED)
    expect(await respond(request)).toBe(first)
    expect(respond(request)).toBe(first)
    expect(tally.causes).toMatchObject({ new: 1, confirmed: 1, repeated: 1, changed: 0 })
  })

  test.each([
    ['another reason', { ...REVOKED, reason: 'superseded' }],
    ['another instant', { ...REVOKED, at: later(-1) }],
    ['an invalidity date', { ...REVOKED, invalidityDate: later(-7200) }],
  ] as const)('a revocation that gets %s shows in the next answer', async (_name, changed) => {
    const { responder, verify, leaf, ca, record } = world()
    const { respond } = responder()
    record(leaf.certificate.serialHex, REVOKED)
    expect(verify(await respond(ask(ca, leaf.certificate))).status).toEqual(REVOKED)
    record(leaf.certificate.serialHex, changed)
    expect(verify(await respond(ask(ca, leaf.certificate))).status).toEqual(changed)
  })

  test('requests at once share a signature', async () => {
    const { responder, leaf, ca } = world()
    const { respond, tally } = responder()
    const answers = await Promise.all(Array.from({ length: 50 }, async () => respond(ask(ca, leaf.certificate))))
    expect(new Set(answers).size).toBe(1)
    expect(tally.causes.new).toBe(1)
    expect(tally.outcomes.get(CA_ID)?.good).toBe(50)
  })

  test('who asks after a revocation does not share what was begun before it', async () => {
    const { responder, verify, leaf, ca, record, keys } = world()
    const held = Promise.withResolvers<undefined>()
    const slow = mintResponderKey(ca, STARTED, undefined, (signer) => ({
      ...signer,
      sign: async (bytes, options) => {
        await held.promise
        return signer.sign(bytes, options)
      },
    }))
    keys.set(CA_ID, [slow])
    const { respond } = responder()
    const before = respond(ask(ca, leaf.certificate))
    record(leaf.certificate.serialHex, REVOKED)
    const after = respond(ask(ca, leaf.certificate))
    held.resolve(undefined)
    expect(verify(await after).status).toEqual(REVOKED)
    await before
    expect(verify(await respond(ask(ca, leaf.certificate))).status).toEqual(REVOKED)
  })

  test('what is kept is bounded in octets, and what was not asked for lately goes first', async () => {
    const { responder, leaf, ca, pki, record } = world()
    const { respond, load, tally } = responder({ limits: { ...DEFAULT_LIMITS, cacheBytes: 20_000 } })
    const others = Array.from({ length: 30 }, (_, i) => pki.service(`s${i}`).certificate)
    for (const { serialHex } of others) record(serialHex, { status: 'good' })
    for (const other of others) {
      await respond(ask(ca, leaf.certificate))
      await respond(ask(ca, other))
      expect(load().octets).toBeLessThanOrEqual(20_000)
    }
    expect(load().answers).toBeLessThan(15)
    expect(tally.causes).toMatchObject({ new: 31, repeated: 29 })
  })

  test('a request with a signature or an extension finds what the shortest one left, and leaves nothing else', async () => {
    const { responder, leaf, ca } = world()
    const { respond, load, tally } = responder()
    const first = await respond(ask(ca, leaf.certificate))
    const signed = handRequest([handCertId(ca, leaf.certificate.serialHex)], { signedBy: leaf })
    expect(await respond(signed)).toBe(first)
    expect(load().answers).toBe(1)
    expect(tally.causes).toMatchObject({ new: 1, repeated: 1 })
  })

  test('the last answers of a CA that is over never end', async () => {
    const { responder, verify, leaf, ca, clock } = world()
    const { respond } = responder({ policyOf: () => ({ ...DEFAULT_POLICY, isFinal: true }) })
    const answer = await respond(ask(ca, leaf.certificate))
    expect(verify(answer).nextUpdate).toEqual(new Date('9999-12-31T23:59:59Z'))
    clock.advance(86_400 * 6)
    expect(verify(answer).status.status).toBe('good')
  })
})

describe('ocsp-B archive cutoff', () => {
  test('is producedAt less the retention of the policy, and absent without one', async () => {
    const { responder, leaf, ca } = world()
    const cutoff = Buffer.from('20191128120000Z')
    const policyOf = () => ({ ...DEFAULT_POLICY, retentionSeconds: 7 * 365 * 86_400 })
    const withCutoff = await responder({ policyOf }).respond(ask(ca, leaf.certificate))
    const without = await responder().respond(ask(ca, leaf.certificate))
    expect(Buffer.from(withCutoff.der).includes(cutoff)).toBe(true)
    expect(Buffer.from(without.der).includes(Buffer.from('06092b0601050507300106', 'hex'))).toBe(false)
  })
})

describe('ocsp-B error DER', () => {
  const statusOf = async (
    changes: (world_: ReturnType<typeof world>) => Parameters<ReturnType<typeof world>['responder']>[0],
  ) => {
    const made = world()
    const failures: OcspRefusal[] = []
    const { respond } = made.responder({ onFailure: (refusal) => failures.push(refusal), ...changes(made) })
    const answer = await respond(ask(made.ca, made.leaf.certificate))
    expect(answer.caching).toBeUndefined()
    return { octets: answer.der.toHex(), failures: failures.map(({ code }) => code) }
  }

  test('01 malformedRequest: what is no request', async () => {
    const { responder } = world()
    for (const request of [new Uint8Array(), new Uint8Array([0x30]), new Uint8Array(20_000), Buffer.from('GET /')]) {
      expect((await responder().respond(request)).der.toHex()).toBe('30030a0101')
    }
  })

  test('02 internalError: the source or the key fails, and the reason is told inside only', async () => {
    const failing = await statusOf(({ source }) => ({
      source: { ...source, status: () => Promise.reject(new Error('disk')) },
    }))
    expect(failing).toEqual({ octets: '30030a0102', failures: ['source_failed'] })
    const unsigned = await statusOf(({ ca, keys }) => {
      keys.set(CA_ID, [
        mintResponderKey(ca, STARTED, undefined, (signer) => ({
          ...signer,
          sign: () => Promise.reject(new Error('pin')),
        })),
      ])
      return {}
    })
    expect(unsigned).toEqual({ octets: '30030a0102', failures: ['signer_failed'] })
    const broken = await statusOf(({ source }) => ({
      source: {
        ...source,
        standing: () => {
          throw new Error('gone')
        },
      },
    }))
    expect(broken).toEqual({ octets: '30030a0102', failures: ['source_failed'] })
  })

  test('03 tryLater: the clock is wrong', async () => {
    expect((await statusOf(() => ({ isClockGood: () => false }))).octets).toBe('30030a0103')
    const behind = await statusOf(({ clock }) => {
      clock.advance(-301)
      return {}
    })
    expect(behind.octets).toBe('30030a0103')
  })

  test('03 tryLater: the clock went back behind what was signed', async () => {
    const { responder, leaf, ca, clock, standing, pki, record } = world()
    const { respond } = responder()
    clock.advance(7200)
    standing.asOfSeconds = seconds(clock.now())
    expect((await respond(ask(ca, leaf.certificate))).outcome).toBe('good')
    standing.asOfSeconds = seconds(STARTED)
    clock.set(STARTED)
    const other = pki.service('covina').certificate
    record(other.serialHex, { status: 'good' })
    for (const of of [leaf.certificate, other]) expect((await respond(ask(ca, of))).outcome).toBe('tryLater')
  })

  test('03 tryLater: no responder key, or none in force', async () => {
    expect((await statusOf(() => ({ keyOf: () => undefined }))).octets).toBe('30030a0103')
    const expired = await statusOf(({ ca }) => {
      const old = mintResponderKey(ca, later(-8 * 86_400))
      return { keyOf: () => old }
    })
    expect(expired.octets).toBe('30030a0103')
  })

  test('03 tryLater: the queue is full, or the signature too late', async () => {
    const { responder, ca, pki, record, keys } = world()
    const hung = mintResponderKey(ca, STARTED, undefined, (signer) => ({
      ...signer,
      sign: (_bytes, options) =>
        new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    }))
    const limits = { ...DEFAULT_LIMITS, concurrentSignings: 2, waitingSignings: 3, deadlineMs: 200 }
    keys.set(CA_ID, [hung])
    const { respond, tally, load } = responder({ limits })
    const certificates = Array.from({ length: 8 }, (_, i) => pki.service(`s${i}`).certificate)
    for (const { serialHex } of certificates) record(serialHex, { status: 'good' })
    const answers = certificates.map((certificate) => Promise.resolve(respond(ask(ca, certificate))))
    await Promise.all(answers.slice(5)) // those that are turned away do not wait
    expect(load()).toMatchObject({ signing: 2, waiting: 3 })
    expect((await Promise.all(answers)).map(({ outcome }) => outcome)).toEqual(Array(8).fill('tryLater'))
    expect(tally.refusals).toMatchObject({ queue_full: 3, deadline_passed: 5 })
    await expect.poll(load).toMatchObject({ signing: 0, waiting: 0 })
  })

  describe('05 sigRequired: where the policy says who may ask', () => {
    const asked = (made: ReturnType<typeof world>, signedBy?: TestCredential): Uint8Array =>
      handRequest([handCertId(made.ca, made.leaf.certificate.serialHex)], signedBy === undefined ? {} : { signedBy })
    const respondTo = (made: ReturnType<typeof world>) => {
      const requestors = { anchors: [made.pki.root.certificate], eku: OID.clientAuth }
      return made.responder({ policyOf: () => ({ ...DEFAULT_POLICY, requestors }) })
    }

    test('a request without signature is told', async () => {
      const made = world()
      expect((await respondTo(made).respond(asked(made))).der.toHex()).toBe('30030a0105')
    })

    test('one of somebody who may ask is answered, and the answer kept by nobody', async () => {
      const made = world()
      const { respond, load } = respondTo(made)
      const answer = await respond(asked(made, made.pki.service('auditor')))
      expect(made.verify(answer).status.status).toBe('good')
      expect([answer.caching, load().answers]).toEqual([undefined, 0])
      expect((await respond(asked(made))).outcome).toBe('sigRequired')
    })

    test('one of somebody else is unauthorized, and so is one that was changed', async () => {
      const made = world()
      const { respond } = respondTo(made)
      const stranger = issueLeaf(made.pki.servicesCaUnder(made.pki.foreignRoot()), STARTED, { commonName: 'a' })
      expect((await respond(asked(made, stranger))).der.toHex()).toBe('30030a0106')
      const changed = asked(made, made.pki.service('auditor'))
      const at = Buffer.from(changed).indexOf(Buffer.from(made.leaf.certificate.serialHex, 'hex'))
      changed[at + 5] = (changed[at + 5] ?? 0) ^ 1
      expect((await respond(changed)).outcome).toBe('unauthorized')
    })
  })

  test('06 unauthorized: an issuer of others', async () => {
    expect((await statusOf(({ source }) => ({ source: { ...source, issuers: () => [] } }))).octets).toBe('30030a0106')
  })
})

describe('ocsp-B metrics', () => {
  test('requests, sizes, outcomes by issuer, refusals and causes are counted', async () => {
    const { responder, leaf, ca, pki, clock } = world()
    const answered: string[] = []
    const { respond, tally } = responder({ onAnswer: (...fact) => answered.push(fact.join(' ')) })
    const request = ask(ca, leaf.certificate)
    await respond(request)
    clock.advance(40)
    await respond(request)
    await respond(new Uint8Array(5))
    await respond(ask(pki.controlCa, leaf.certificate))
    expect(tally).toMatchObject({ requests: 4, ageSeconds: 40, causes: { new: 1, repeated: 1 } })
    expect(tally.requestOctets).toBe(request.length * 3 + 5)
    expect(tally.refusals).toMatchObject({ request_malformed: 1, issuer_unknown: 1 })
    expect(tally.outcomes.get(CA_ID)).toMatchObject({ good: 2 })
    expect(tally.outcomes.get('')).toMatchObject({ malformedRequest: 1, unauthorized: 1 })
    expect(answered).toEqual(Array(2).fill(`${CA_ID} ${leaf.certificate.serialHex} good`))
  })
})

test('an answer says nothing of why a certificate is unknown, and the instant of a revocation is that of the record', async () => {
  const { responder, verify, leaf, ca, record } = world()
  record(leaf.certificate.serialHex, REVOKED)
  expect(verify(await responder().respond(ask(ca, leaf.certificate))).status).toMatchObject({ at: REVOKED_AT })
})
