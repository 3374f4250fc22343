import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as pkijs from 'pkijs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodePem } from '../pem.ts'
import { type Minted, mintCa, mintLeaf } from '../testing/mint.ts'
import { answer, mintResponder, single } from '../testing/ocsp.ts'
import { type CertIdHash, encodeCertId } from './cert-id.ts'
import type { OcspSingle } from './encode-response.ts'
import { decodeOcspRequest, encodeOcspRequest } from './request.ts'
import type { OcspStatus } from './status.ts'
import { verifyOcspResponse } from './verify-response.ts'

const run = promisify(execFile)

// openssl judges an answer by the machine's clock, so everything here is of the present.
const NOW = new Date(Math.floor(Date.now() / 1000) * 1000)
const after = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1000)
const VALID = { notBefore: after(-3600), notAfter: after(86_400) }
const ca = mintCa({ ...VALID, slots: { extKeyUsage: undefined } })
const leaf = mintLeaf({ issuer: ca, ...VALID })
const other = mintLeaf({ issuer: ca, ...VALID })
const responder = mintResponder(ca, VALID)
const nonce = new Uint8Array(32).fill(5)

let folder: string
const at = (name: string): string => join(folder, name)
const part = (of: Minted, changes: Partial<OcspSingle> = {}): OcspSingle =>
  single(of, ca, { thisUpdate: after(-60), nextUpdate: after(3600), ...changes })
const answerNow = (singles: readonly OcspSingle[], more: { nonce?: Uint8Array; by?: Minted } = {}): Uint8Array =>
  answer(more.by ?? responder, singles, { producedAt: NOW, ...(more.nonce === undefined ? {} : { nonce: more.nonce }) })

async function save(name: string, bytes: Uint8Array | string): Promise<string> {
  await writeFile(at(name), bytes)
  return at(name)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vcc-ocsp-'))
  for (const [name, { der, key }] of Object.entries({ ca, leaf, other, responder })) {
    await save(`${name}.pem`, encodePem('CERTIFICATE', der))
    await save(`${name}.key`, key.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What `openssl ocsp` says, good or bad, on whichever stream. */
async function openssl(...options: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run('openssl', ['ocsp', ...options], { timeout: 20_000 })
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return stdout + stderr
  }
}

const about = (hash: CertIdHash, ...certificates: string[]): string[] => [
  '-issuer',
  at('ca.pem'),
  `-${hash}`,
  ...certificates.flatMap((name) => ['-cert', at(`${name}.pem`)]),
]
const verdict = async (response: Uint8Array, hash: CertIdHash = 'sha256', ...more: string[]): Promise<string> =>
  openssl('-respin', await save('response.der', response), ...about(hash, 'leaf'), '-CAfile', at('ca.pem'), ...more)

describe('openssl', () => {
  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
    'reads our request by %s, and we read its',
    async (hash) => {
      const certIdDer = encodeCertId(ca.certificate, leaf.certificate.serialHex, hash)
      const ours = await save('ours.der', encodeOcspRequest([certIdDer], nonce))
      const text = await openssl('-reqin', ours, '-req_text', '-noverify')
      expect(text).toContain(`Hash Algorithm: ${hash}`)
      expect(text).toContain(`Serial Number: ${leaf.certificate.serialHex.toUpperCase()}`)
      expect(text).toContain(`0420${'05'.repeat(32)}`)

      const theirs = at('theirs.der')
      await openssl(...about(hash, 'leaf', 'other'), '-nonce', '-reqout', theirs)
      const { certIds, nonce: drawn } = decodeOcspRequest(await readFile(theirs))
      expect(certIds.map((each) => [each.hash, each.serialHex])).toEqual([
        [hash, leaf.certificate.serialHex],
        [hash, other.certificate.serialHex],
      ])
      expect(drawn).toHaveLength(16)
      const [first] = certIds
      expect(first.issuerKeyHash).toEqual(decodeOcspRequest(encodeOcspRequest([certIdDer])).certIds[0].issuerKeyHash)
    },
  )

  test.each<[string, OcspStatus, RegExp]>([
    ['good', { status: 'good' }, /leaf\.pem: good/],
    ['unknown', { status: 'unknown' }, /leaf\.pem: unknown/],
    [
      'revoked',
      { status: 'revoked', at: after(-600), reason: 'superseded' },
      /leaf\.pem: revoked[^]*Reason: superseded/,
    ],
    [
      'revoked without reason',
      { status: 'revoked', at: after(-600), reason: 'unspecified' },
      /leaf\.pem: revoked(?![^]*Reason)/,
    ],
    [
      'revoked and suspected for longer',
      { status: 'revoked', at: after(-600), reason: 'keyCompromise', invalidityDate: after(-900) },
      /leaf\.pem: revoked[^]*Reason: keyCompromise/,
    ],
  ])('verifies our answer: %s', async (_name, status, seen) => {
    const text = await verdict(answerNow([part(leaf, { status })]))
    expect(text).toContain('Response verify OK')
    expect(text).toMatch(seen)
  })

  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)('finds its certificate by %s', async (hash) => {
    const certIdDer = encodeCertId(ca.certificate, leaf.certificate.serialHex, hash)
    expect(await verdict(answerNow([part(other), part(leaf, { certIdDer })]), hash)).toMatch(/leaf\.pem: good/)
  })

  test('prints everything we can say', async () => {
    const status = { status: 'revoked', at: after(-600), reason: 'keyCompromise', invalidityDate: after(-900) } as const
    const der = answerNow([part(leaf, { status, archiveCutoff: after(-86_400) }), part(other)], { nonce })
    const text = await openssl('-respin', await save('all.der', der), '-resp_text', '-noverify')
    expect(text).toMatch(/Responder Id: [0-9A-F]{40}/)
    expect(text).toContain('OCSP Archive Cutoff')
    expect(text).toContain('Invalidity Date')
    expect(text).toContain('OCSP Nonce')
    expect(text).toContain('OCSP No Check')
    expect(text).not.toMatch(/error|<Not Supported>|<Parse Error>/i)
  })

  test('matches the nonce of its request with ours', async () => {
    const theirs = at('asked.der')
    await openssl(...about('sha256', 'leaf'), '-nonce', '-reqout', theirs)
    const { nonce: drawn } = decodeOcspRequest(await readFile(theirs))
    // Without -cert, or it makes a request of its own; -no_nonce means: none beside the one in the file.
    const matched = async (response: Uint8Array): Promise<string> =>
      openssl('-respin', await save('nonce.der', response), '-reqin', theirs, '-no_nonce', '-CAfile', at('ca.pem'))
    const same = drawn === undefined ? {} : { nonce: drawn }
    expect(await matched(answerNow([part(leaf)], same))).toMatch(/^Response verify OK$/m)
    expect(await matched(answerNow([part(leaf)], { nonce }))).toContain('Nonce Verify error')
  })

  test('refuses what we refuse: a service as responder, a responder of another CA', async () => {
    const stranger = mintResponder(mintCa({ ...VALID, name: ca.certificate.subject }), VALID)
    for (const by of [leaf, stranger]) {
      expect(await verdict(answerNow([part(leaf)], { by }))).toContain('Response Verify Failure')
    }
  })

  test('answers our request, and we verify its answer', async () => {
    const serial = (of: Minted): string => of.certificate.serialHex.toUpperCase()
    const end = `${VALID.notAfter.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`
    const revokedAt = `${after(-600).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`
    const index = await save(
      'index.txt',
      `V\t${end}\t\t${serial(leaf)}\tunknown\t/CN=leaf\nR\t${end}\t${revokedAt},keyCompromise\t${serial(other)}\tunknown\t/CN=other\n`,
    )
    const stranger = mintLeaf({ issuer: ca, ...VALID })
    const expected = new Map<Minted, OcspStatus>([
      [leaf, { status: 'good' }],
      [other, { status: 'revoked', at: after(-600), reason: 'keyCompromise' }],
      [stranger, { status: 'unknown' }],
    ])
    const certIds = [...expected.keys()].map((of) => encodeCertId(ca.certificate, of.certificate.serialHex))
    const request = await save('to-openssl.der', encodeOcspRequest(certIds, nonce))
    const signer = ['-rsigner', at('responder.pem'), '-rkey', at('responder.key'), '-resp_key_id', '-rmd', 'sha256']
    const files = ['-index', index, '-CA', at('ca.pem'), '-reqin', request, '-respout', at('from-openssl.der')]
    await openssl(...files, ...signer, '-nmin', '10')
    const response = await readFile(at('from-openssl.der'))
    for (const [of, status] of expected) {
      const seen = verifyOcspResponse(response, {
        certificate: of.certificate,
        issuer: ca.certificate,
        at: new Date(),
        skewSeconds: 60,
        nonce,
      })
      expect(seen.status).toEqual(status)
    }
  })
})

describe('pkijs', () => {
  test('reads our request and writes it back', () => {
    const certIdDer = encodeCertId(ca.certificate, leaf.certificate.serialHex)
    const der = encodeOcspRequest([certIdDer], nonce)
    const seen = pkijs.OCSPRequest.fromBER(new Uint8Array(der))
    expect(seen.tbsRequest.requestList).toHaveLength(1)
    expect(new Uint8Array(seen.toSchema(true).toBER())).toEqual(der)
  })

  test('verifies our answer under the CA', async () => {
    const seen = pkijs.OCSPResponse.fromBER(new Uint8Array(answerNow([part(leaf)])))
    const basic = pkijs.BasicOCSPResponse.fromBER(
      seen.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array(),
    )
    const trusted = pkijs.Certificate.fromBER(new Uint8Array(ca.der))
    expect(await basic.verify({ trustedCerts: [trusted] })).toBe(true)
    const status = await basic.getCertificateStatus(pkijs.Certificate.fromBER(new Uint8Array(leaf.der)), trusted)
    expect(status).toEqual({ isForCertificate: true, status: 0 })
    const [single] = basic.tbsResponseData.responses
    expect([single?.thisUpdate, single?.nextUpdate]).toEqual([after(-60), after(3600)])
  })
})
