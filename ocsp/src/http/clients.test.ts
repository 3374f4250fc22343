import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ocspResponder, verifyOcspResponse } from '@vcc/x509'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../answer.ts'
import { responderKey } from '../responder-key.ts'
import { MOUNTS, type Served } from '../testing/http.ts'
import { ask, CA_ID, type World, world } from '../testing/world.ts'

const run = promisify(execFile)

// openssl and curl judge by the machine's clock.
const now = (): Date => new Date()
let made: World
let served: Served
let folder: string
const file = (name: string): string => join(folder, name)
const leaf = () => made.pki.service('argus', { dnsNames: ['localhost'] })
let site: ReturnType<typeof leaf>
let revoked: ReturnType<typeof leaf>

beforeAll(async () => {
  made = world(now())
  site = leaf()
  revoked = leaf()
  made.record(site.certificate.serialHex, { status: 'good' })
  made.record(revoked.certificate.serialHex, { status: 'revoked', at: made.pki.now, reason: 'keyCompromise' })
  served = await MOUNTS.Fastify({ responder: made.responder({ now }), now })
  folder = await mkdtemp(join(tmpdir(), 'vcc-ocsp-clients-'))
  const never = leaf()
  await writeFile(file('ca.pem'), made.ca.certPem)
  await writeFile(file('root.pem'), made.pki.rootPem)
  for (const [name, { certPem }] of Object.entries({ site, revoked, never }))
    await writeFile(file(`${name}.pem`), certPem)
})
afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** Output of a command, good or bad. */
async function say(command: string, ...options: string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, options, { timeout: 20_000 })
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return stdout + stderr
  }
}

describe('ocsp-B GET+POST, asked by openssl:', () => {
  const openssl = (...options: string[]): Promise<string> =>
    say(
      'openssl',
      'ocsp',
      '-issuer',
      file('ca.pem'),
      '-CAfile',
      file('root.pem'),
      '-verify_other',
      file('ca.pem'),
      ...options,
    )

  test.each([['-nonce'], ['-no_nonce']])('good, revoked and unknown, several at once, %s', async (nonce) => {
    const certificates = ['site', 'revoked', 'never'].flatMap((name) => ['-sha256', '-cert', file(`${name}.pem`)])
    const text = await openssl('-url', `http://127.0.0.1:${served.port}/ocsp`, nonce, ...certificates)
    expect(text).toContain('Response verify OK')
    expect(text).toMatch(/site\.pem: good/)
    expect(text).toMatch(/revoked\.pem: revoked[^]*Reason: keyCompromise/)
    expect(text).toMatch(/never\.pem: unknown/)
    expect(text).not.toContain('WARNING: no nonce in response'.repeat(nonce === '-nonce' ? 1 : 2))
  })

  test('by SHA-1, as it does by itself, below the path too', async () => {
    const text = await openssl('-url', `http://127.0.0.1:${served.port}/ocsp/`, '-cert', file('site.pem'))
    expect(text).toMatch(/site\.pem: good[^]*Response verify OK/)
  })

  test('what curl fetches by GET verifies', async () => {
    const request = Buffer.from(ask(made.ca, site.certificate)).toString('base64')
    const url = `http://127.0.0.1:${served.port}/ocsp/${request}`
    const headers = await say('curl', '-sS', '--max-time', '20', '-D', '-', '-o', file('got.der'), url)
    expect(headers).toMatch(/^HTTP\/1\.1 200 OK/)
    const options = { certificate: site.certificate, issuer: made.ca.certificate, at: now(), skewSeconds: 60 }
    expect(verifyOcspResponse(await readFile(file('got.der')), options).status.status).toBe('good')
    const text = await openssl('-respin', file('got.der'), '-no_nonce', '-sha256', '-cert', file('site.pem'))
    expect(text).toMatch(/site\.pem: good[^]*Response verify OK/)
  })
})

describe('ocsp-B stapling trap', () => {
  /** What curl says of a server that staples this. */
  async function curl(of: typeof site, staple: Uint8Array | undefined): Promise<string> {
    const server = createServer({ key: of.keyPem, cert: of.chainPem }, (_request, response) => void response.end('ok'))
    server.on('OCSPRequest', (_certificate, _issuer, callback) =>
      callback(null, staple === undefined ? null : Buffer.from(staple)),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    try {
      const to = ['--resolve', `localhost:${port}:127.0.0.1`, `https://localhost:${port}/`]
      return await say(
        'curl',
        '-sS',
        '--max-time',
        '20',
        '--noproxy',
        '*',
        '--cacert',
        file('root.pem'),
        '--cert-status',
        ...to,
      )
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
  const answerAbout = async (of: typeof site, by = made.responder({ now })): Promise<Answer> =>
    by.respond(ask(made.ca, of.certificate, 'sha1'))

  test('curl --cert-status takes our answer as a staple', async () => {
    expect(await curl(site, (await answerAbout(site)).der)).toBe('ok')
  })

  test('but looks for CertIDs by SHA-1 only, so that is what a staple for strangers has to have', async () => {
    const bySha256 = await made.responder({ now }).respond(ask(made.ca, site.certificate, 'sha256'))
    expect(await curl(site, bySha256.der)).toContain('Could not find certificate ID')
  })

  test('and refuses none, one that says revoked, one about another certificate, and an error', async () => {
    const answers = {
      none: undefined,
      revoked: await answerAbout(revoked),
      other: await answerAbout(site),
      error: await answerAbout(site, made.responder({ now, isClockGood: () => false })),
    }
    expect(await curl(site, undefined)).toContain('No OCSP response received')
    expect(await curl(revoked, answers.revoked.der)).toContain('revocation reason: keyCompromise')
    expect(await curl(revoked, answers.other.der)).toMatch(/could not find|Invalid|status/i)
    expect(await curl(site, answers.error.der)).toContain('trylater')
  })

  test('an answer that a service signed for itself is refused, by us and by curl', async () => {
    const [ours] = made.keys.get(CA_ID) ?? []
    if (ours === undefined) throw new TypeError('there is a key')
    expect(() => responderKey(site.certificate, site.signer)).toThrow(TypeError)
    // What a verifier takes that trusts whatever certificate came along, or that of the peer.
    const encoding = ocspResponder(site.certificate, site.signer.algorithm)
    const forged = { ...ours, signer: site.signer, encoding }
    const { der } = await answerAbout(site, made.responder({ now, keyOf: () => forged }))
    const options = { certificate: site.certificate, issuer: made.ca.certificate, at: now(), skewSeconds: 60 }
    expect(() => verifyOcspResponse(der, options)).toThrow('not for OCSP signing')
    expect(await curl(site, der)).toContain('verification failed')
  })
})
