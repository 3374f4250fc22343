import { issueLeaf, ocspResponder, testSigner } from '@vcc/testkit'
import { encodeAlgorithm, extension, OID } from '@vcc/x509'
import { describe, expect, test } from 'vitest'
import { DEFAULT_POLICY } from './policy.ts'
import { currentResponderKey, responderKey, successorDue } from './responder-key.ts'
import { ask, CA_ID, mintResponderKey, REVOKED, STARTED, seconds, world } from './testing/world.ts'

const after = (days: number): Date => new Date(STARTED.getTime() + days * 86_400_000)

describe('ocsp-B delegated signer', () => {
  test('ca-51 answers carry a certificate of the CA for OCSP signing alone, with nocheck', async () => {
    const { responder, verify, leaf, ca } = world()
    const { responder: signer } = verify(await responder().respond(ask(ca, leaf.certificate)))
    expect(signer.issuer.der).toEqual(ca.certificate.subject.der)
    expect(signer.extensions.extKeyUsage).toEqual([OID.ocspSigning])
    expect(signer.extensions.keyUsage).toEqual(new Set(['digitalSignature']))
    expect(signer.extensions.ocspNoCheck).toBe(true)
  })

  test('ca-52 the responder is named by its key', async () => {
    const { responder, leaf, ca, keys } = world()
    const { der } = await responder().respond(ask(ca, leaf.certificate))
    const [key] = keys.get(CA_ID) ?? []
    expect(Buffer.from(der).includes(key?.encoding.responderIdDer ?? 'no key')).toBe(true)
    expect(key?.encoding.responderIdDer.subarray(0, 4).toHex()).toBe('a2160414')
  })

  test('ca-56 an answer is signed as the key of the responder signs, never with SHA-1', async () => {
    const { responder, leaf, ca, keys } = world()
    const p384 = issueLeaf(ca, STARTED, {
      commonName: 'OCSP responder',
      signer: testSigner('ocsp', 'P-384'),
      extKeyUsage: [OID.ocspSigning],
      moreExtensions: [extension.encodeOcspNoCheck()],
    })
    for (const [made, algorithm] of [
      [ocspResponder(ca, STARTED), 'ecdsa-sha256'],
      [p384, 'ecdsa-sha384'],
    ] as const) {
      keys.set(CA_ID, [responderKey(made.certificate, made.signer)])
      const { der } = await responder().respond(ask(ca, leaf.certificate, 'sha1'))
      const signed = Buffer.from(der).indexOf(made.certDer) // what stands before it is the answer's own signature
      expect(Buffer.from(der).subarray(0, signed).includes(encodeAlgorithm(algorithm))).toBe(true)
    }
  })

  test.each<[string, Parameters<typeof issueLeaf>[2]]>([
    ['for more than OCSP signing', { extKeyUsage: [OID.ocspSigning, OID.clientAuth] }],
    ['for nothing in particular', { extKeyUsage: [] }],
    ['without nocheck', { moreExtensions: [] }],
    ['that may not sign', { keyUsage: ['keyEncipherment'] }],
  ])('a certificate %s is not taken', (_name, spec) => {
    const { ca } = world()
    const made = issueLeaf(ca, STARTED, {
      commonName: 'OCSP responder',
      extKeyUsage: [OID.ocspSigning],
      moreExtensions: [extension.encodeOcspNoCheck()],
      ...spec,
    })
    expect(() => responderKey(made.certificate, made.signer)).toThrow(TypeError)
  })

  test('a certificate of another key is not taken', () => {
    const { ca } = world()
    const { certificate } = ocspResponder(ca, STARTED)
    expect(() => responderKey(certificate, testSigner('ocsp'))).toThrow('another key')
  })

  test('the key that stays in force for longest signs, and none outside its validity', () => {
    const { ca } = world()
    const [first, second] = [mintResponderKey(ca, STARTED), mintResponderKey(ca, after(5))]
    const both = [second, first]
    const current = (at: Date) => currentResponderKey(both, at)
    expect(current(STARTED)).toBe(first)
    expect(current(new Date(after(5).getTime() - 300_001))).toBe(first)
    expect(current(new Date(after(5).getTime() - 300_000))).toBe(second)
    expect(current(after(12))).toBe(second)
    expect(current(after(12.01))).toBeUndefined()
    expect(current(after(-0.01))).toBeUndefined()
  })

  test('a successor is due before answers would have to end early', () => {
    const { certificate } = mintResponderKey(world().ca, STARTED)
    expect(successorDue(certificate, 3600)).toEqual(new Date(after(7).getTime() - 3_600_000))
  })

  test('after a rotation kept answers are signed anew, and those given before stay good until they end', async () => {
    const { responder, verify, leaf, ca, keys, clock, standing } = world()
    const { respond, tally } = responder()
    const old = await respond(ask(ca, leaf.certificate))
    clock.advance(600)
    standing.asOfSeconds = seconds(clock.now())
    keys.set(CA_ID, [...(keys.get(CA_ID) ?? []), mintResponderKey(ca, clock.now())])
    const renewed = await respond(ask(ca, leaf.certificate))
    expect(verify(renewed).responder.serialHex).not.toBe(verify(old).responder.serialHex)
    expect(tally.causes).toMatchObject({ new: 1, rekeyed: 1 })
    clock.set(verify(old).nextUpdate)
    expect(verify(old).status.status).toBe('good')
  })

  test('10,000 requests across a rotation, without a gap', async () => {
    const { responder, verify, ca, pki, keys, clock, standing, record } = world()
    const policy = { ...DEFAULT_POLICY, validitySeconds: 7200 }
    const { respond } = responder({ policyOf: () => policy })
    standing.validUntilSeconds = seconds(after(30))
    const certificates = Array.from({ length: 50 }, (_, i) => pki.service(`s${i}`).certificate)
    for (const [i, { serialHex }] of certificates.entries())
      record(serialHex, i % 10 === 9 ? REVOKED : { status: 'good' })
    const responders = new Set<string>()
    let successorMade = false
    // Eight days: the certificate of the first key ends on the seventh.
    for (let i = 0; i < 10_000; i++) {
      clock.set(new Date(STARTED.getTime() + i * 69_000))
      standing.asOfSeconds = seconds(clock.now())
      const current = currentResponderKey(keys.get(CA_ID) ?? [], clock.now())
      // An hour before it is due: time to try again.
      if (!successorMade && current !== undefined && clock.now() >= successorDue(current.certificate, 7200 + 3600)) {
        keys.set(CA_ID, [current, mintResponderKey(ca, clock.now())])
        successorMade = true
      }
      const n = i % certificates.length
      const certificate = certificates[n]
      if (certificate === undefined) continue
      const nonce = i % 4 === 0 ? new Uint8Array(16).fill(i & 0xff) : undefined
      const answer = await respond(ask(ca, certificate, 'sha256', nonce))
      const seen = verify(answer, { certificate, ...(nonce === undefined ? {} : { nonce }) })
      if (seen.status.status !== (n % 10 === 9 ? 'revoked' : 'good')) expect.fail(`request ${i}: ${seen.status.status}`)
      if (seen.nextUpdate > seen.responder.notAfter) expect.fail(`request ${i}: the answer outlives its responder`)
      if (seen.nextUpdate.getTime() - seen.thisUpdate.getTime() !== 7_200_000) expect.fail(`request ${i}: ends early`)
      responders.add(seen.responder.serialHex)
    }
    expect(responders.size).toBe(2)
  }, 180_000)
})

describe('ocsp-B direct CA signing trap', () => {
  test('a CA cannot be made a responder of its own', () => {
    const { ca } = world()
    expect(() => responderKey(ca.certificate, ca.signer)).toThrow(TypeError)
  })
})
