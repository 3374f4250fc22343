import { createHash } from 'node:crypto'
import { encodeOcspError, type OcspErrorStatus, verifyOcspResponse } from '@vcc/x509'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_POLICY } from '../policy.ts'
import { get, http, MOUNTS, post, raw, type Served } from '../testing/http.ts'
import { ask, CA_ID, mintResponderKey, REVOKED, STARTED, seconds, type World, world } from '../testing/world.ts'

const CACHED = 'public, no-transform, must-revalidate'
const ERRORS: readonly OcspErrorStatus[] = [
  'malformedRequest',
  'internalError',
  'tryLater',
  'sigRequired',
  'unauthorized',
]

/** Well-formed: an OCSP error of five octets, or an answer that verifies. */
function check(made: World, body: Uint8Array): string {
  const error = ERRORS.find((status) => Buffer.from(encodeOcspError(status)).equals(body))
  if (error !== undefined) return error
  const { leaf, ca, clock } = made
  const options = { certificate: leaf.certificate, issuer: ca.certificate, at: clock.now() }
  return verifyOcspResponse(body, options).status.status
}

describe.each(Object.keys(MOUNTS) as (keyof typeof MOUNTS)[])('on %s:', (mount) => {
  let made: World
  let served: Served
  let port: number
  beforeAll(async () => {
    made = world()
    served = await MOUNTS[mount]({ responder: made.responder(), now: made.clock.now })
    port = served.port
  })
  afterAll(() => served[Symbol.asyncDispose]())
  const shortest = (): Uint8Array => ask(made.ca, made.leaf.certificate)

  describe('ocsp-B GET+POST', () => {
    test('both give the same answer', async () => {
      const [posted, gotten] = [await post(port, shortest()), await get(port, shortest())]
      for (const { status, headers, body } of [posted, gotten]) {
        expect(status).toBe(200)
        expect(headers).toMatchObject({ 'content-type': 'application/ocsp-response', date: expect.any(String) })
        expect(check(made, body)).toBe('good')
      }
      expect(gotten.body).toEqual(posted.body)
    })

    test('ca-53 a path is never normalised: slashes, pluses and dots in base64 stay', async () => {
      const paths = Array.from({ length: 2000 }, (_, i) => {
        const serialHex = `01${createHash('sha1').update(String(i)).digest('hex').slice(2)}`
        return Buffer.from(ask(made.ca, { serialHex })).toString('base64')
      })
      const difficult = [
        paths.find((path) => path.includes('//')),
        paths.find((path) => path.includes('+') && path.includes('/')),
        paths.find((path) => path.endsWith('=')),
      ]
      for (const path of difficult) {
        expect(path).toBeDefined()
        const asIs = await http(port, 'GET', `/ocsp/${path}`)
        const escaped = await http(port, 'GET', `/ocsp/${encodeURIComponent(path ?? '')}`)
        const spaced = await http(port, 'GET', `/ocsp/${path?.replaceAll('+', '%20')}`)
        const doubled = await http(port, 'GET', `/ocsp//${path}`)
        for (const { status, body } of [asIs, escaped, spaced, doubled]) {
          expect(status).toBe(200)
          expect(body.length).toBeGreaterThan(100) // unknown, and signed: the request was read
        }
      }
    })

    test('the responder says that it is there', async () => {
      for (const path of ['/ocsp', '/ocsp/']) {
        const { status, body, headers } = await http(port, 'GET', path)
        expect([status, body.length, headers['cache-control']]).toEqual([200, 0, 'max-age=43200'])
      }
    })

    test('a connection is kept for several requests, by either method', async () => {
      const body = shortest()
      const head = 'POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-type: application/ocsp-request\r\n'
      const one = Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body])
      const last = Buffer.from(
        `GET /ocsp/${Buffer.from(body).toString('base64')} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      )
      const text = await raw(port, Buffer.concat([one, one, last]))
      expect(text.match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(3)
    })

    test('a body in pieces, and one in chunks', async () => {
      const body = shortest()
      const head = 'POST /ocsp HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/ocsp-request\r\n'
      const chunk = (octets: Uint8Array): Buffer =>
        Buffer.concat([Buffer.from(`${octets.length.toString(16)}\r\n`), octets, Buffer.from('\r\n')])
      const chunked = [chunk(body.subarray(0, 10)), chunk(body.subarray(10, 11)), chunk(body.subarray(11))]
      const text = await raw(
        port,
        Buffer.concat([Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`), ...chunked, Buffer.from('0\r\n\r\n')]),
      )
      expect(text).toMatch(/^HTTP\/1\.1 200 OK/)
      expect(text).toContain('application/ocsp-response')
    })
  })

  describe('ocsp-B limits', () => {
    test('a body above 10 000 octets is 413, announced or not', async () => {
      const announced = await post(port, new Uint8Array(10_001))
      expect([announced.status, announced.headers.connection]).toEqual([413, 'close'])
      const chunked = await http(port, 'POST', '/ocsp', {
        body: new Uint8Array(60_000),
        headers: { 'content-type': 'application/ocsp-request', 'transfer-encoding': 'chunked' },
      })
      expect(chunked.status).toBe(413)
      expect((await post(port, new Uint8Array(10_000))).status).toBe(200)
    })

    test('a path above 8192 characters is 414', async () => {
      expect((await http(port, 'GET', `/ocsp/${'M'.repeat(8192)}`)).status).toBe(414)
      const longest = await http(port, 'GET', `/ocsp/${'M'.repeat(8188)}`)
      expect([longest.status, check(made, longest.body)]).toEqual([200, 'malformedRequest'])
    })

    test('a client that goes away in the middle leaves nothing behind', async () => {
      const head =
        'POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-type: application/ocsp-request\r\ncontent-length: 100\r\n\r\n'
      const gone = raw(port, `${head}half`)
      const text = await Promise.race([gone, new Promise<string>((resolve) => setTimeout(() => resolve('waits'), 100))])
      expect(text).toBe('waits')
      expect((await post(port, shortest())).status).toBe(200)
    })
  })

  describe('ocsp-B headers', () => {
    test('a GET says how long and how it may be kept', async () => {
      const { headers, body } = await get(port, shortest())
      const sha256 = createHash('sha256').update(body).digest('hex').toUpperCase()
      expect(headers).toMatchObject({
        'cache-control': `max-age=60, ${CACHED}`,
        etag: `"${sha256}"`,
        'last-modified': STARTED.toUTCString(),
        expires: new Date(STARTED.getTime() + 3_600_000).toUTCString(),
        'content-length': String(body.length),
        date: expect.any(String),
      })
    })

    test('a POST says nothing of it', async () => {
      const { headers } = await post(port, shortest())
      for (const name of ['cache-control', 'etag', 'expires', 'last-modified']) expect(headers[name]).toBeUndefined()
    })

    test('If-None-Match is answered 304, with the same headers', async () => {
      const first = await get(port, shortest())
      const etag = first.headers.etag ?? ''
      for (const given of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const { status, headers, body } = await get(port, shortest(), { 'if-none-match': given })
        expect([status, body.length, headers['content-type']]).toEqual([304, 0, undefined])
        for (const name of ['etag', 'cache-control', 'last-modified', 'expires']) {
          expect(headers[name]).toBe(first.headers[name])
        }
      }
      for (const given of ['"other"', etag.replaceAll('"', ''), '']) {
        expect((await get(port, shortest(), { 'if-none-match': given })).status).toBe(200)
      }
    })

    test('what must not be kept says no-store, by either method', async () => {
      const requests = {
        'with nonce': ask(made.ca, made.leaf.certificate, 'sha256', new Uint8Array(32)),
        unknown: ask(made.ca, { serialHex: '0badc0ffee' }),
        malformed: new Uint8Array([0x30, 0]),
        unauthorized: ask(made.pki.controlCa, made.leaf.certificate),
      }
      for (const [name, request] of Object.entries(requests)) {
        for (const { status, headers } of [await get(port, request), await post(port, request)]) {
          expect([name, status, headers['cache-control'], headers.etag]).toEqual([name, 200, 'no-store', undefined])
        }
      }
    })
  })

  describe('ocsp-B error HTTP code', () => {
    test('ca-53 an OCSP error is HTTP 200', async () => {
      for (const { status, headers, body } of [
        await post(port, new Uint8Array([1, 2, 3])),
        await get(port, new Uint8Array([1, 2, 3])),
        await http(port, 'GET', '/ocsp/not-base64'),
        await post(port, new Uint8Array()),
      ]) {
        expect([status, headers['content-type'], check(made, body)]).toEqual([
          200,
          'application/ocsp-response',
          'malformedRequest',
        ])
      }
    })

    test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'])('%s is 405', async (method) => {
      for (const path of ['/ocsp', '/ocsp/', '/ocsp/MAAA']) {
        const { status, headers } = await http(port, method, path)
        expect([status, headers.allow]).toEqual([405, 'GET, POST'])
      }
    })

    test.each(['text/plain', 'application/json', 'application/ocsp-response', ''])(
      'a POST of "%s" is 415',
      async (type) => {
        expect((await post(port, shortest(), { 'content-type': type })).status).toBe(415)
      },
    )

    test('a content type may have parameters, and capitals', async () => {
      for (const type of ['application/ocsp-request; charset=binary', 'Application/OCSP-Request']) {
        const { status, body } = await post(port, shortest(), { 'content-type': type })
        expect([status, check(made, body)]).toEqual([200, 'good'])
      }
    })
  })

  describe('whatever the octets, every answer is well-formed:', () => {
    test('mutations of a request by POST', async () => {
      const edit = fc.record({ at: fc.nat(400), remove: fc.nat(6), insert: fc.uint8Array({ maxLength: 6 }) })
      await fc.assert(
        fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
          let octets = [...shortest()]
          for (const { at, remove, insert } of edits) octets = octets.toSpliced(at % octets.length, remove, ...insert)
          const { status, body } = await post(port, new Uint8Array(octets))
          expect(status).toBe(200)
          if (!ERRORS.some((error) => Buffer.from(encodeOcspError(error)).equals(body))) {
            // A serial that was hit by chance is still one: the answer is about another certificate.
            expect(body.subarray(0, 1).toString('hex')).toBe('30')
            expect(body.length).toBeGreaterThan(100)
          }
        }),
        { numRuns: 200 },
      )
    })

    test('paths of all kinds by GET', async () => {
      const characters = fc.constantFrom(...'MAz09+/=%2BF-_~.:@!$&()*,;'.split(''))
      await fc.assert(
        fc.asyncProperty(fc.array(characters, { maxLength: 60 }), async (path) => {
          const { status, body } = await http(port, 'GET', `/ocsp/${path.join('')}`)
          // What is no percent-encoding never reaches a Fastify plugin.
          const isForFastify = mount === 'Fastify' && status === 400
          if (isForFastify) expect(body.toString()).toContain('Bad Request')
          else expect(status).toBe(200)
          if (body.length > 0 && !isForFastify) expect(check(made, body)).toMatch(/malformedRequest|unauthorized/)
        }),
        { numRuns: 200 },
      )
    })

    test('what is no HTTP gets 400 and the end of the connection', async () => {
      for (const octets of ['\0\0\0\0\r\n\r\n', 'POST /ocsp HTTP/1.1\r\ncontent-length: -1\r\n\r\n']) {
        expect(await raw(port, octets)).toMatch(/^HTTP\/1\.1 400 /)
      }
    })
  })
})

describe('ocsp-B headers, where an answer ends soon:', () => {
  test('max-age ends before the answer does', async () => {
    const { responder, clock, ca, leaf, keys, standing } = world()
    // The key's certificate ends in 45 seconds, and so do its answers.
    keys.set(CA_ID, [mintResponderKey(ca, STARTED, 45)])
    await using served = await MOUNTS['node:http']({ responder: responder(), now: clock.now })
    const seen: string[] = []
    for (const at of [0, 20, 43, 44]) {
      clock.set(new Date(STARTED.getTime() + at * 1000))
      standing.asOfSeconds = seconds(clock.now())
      const { headers } = await get(served.port, ask(ca, leaf.certificate))
      seen.push(headers['cache-control'] ?? '')
    }
    expect(seen).toEqual([44, 24, 1, 0].map((maxAge) => `max-age=${maxAge}, ${CACHED}`))
  })

  test('a revocation reaches who asks the origin at once, whatever caches hold', async () => {
    const made = world()
    await using served = await MOUNTS['node:http']({ responder: made.responder(), now: made.clock.now })
    const request = ask(made.ca, made.leaf.certificate)
    const first = await get(served.port, request)
    made.record(made.leaf.certificate.serialHex, REVOKED)
    const second = await get(served.port, request, { 'if-none-match': first.headers.etag ?? '' })
    expect([second.status, check(made, second.body)]).toEqual([200, 'revoked'])
  })
})

test('a plugin leaves the rest of the server alone, and takes the path it is given', async () => {
  const made = world()
  await using served = await MOUNTS.Fastify({ responder: made.responder(), now: made.clock.now, path: '/status/ocsp' })
  expect((await http(served.port, 'GET', '/beside')).body.toString()).toBe('beside')
  expect((await http(served.port, 'GET', '/ocsp')).status).toBe(404)
  const path = `/status/ocsp/${Buffer.from(ask(made.ca, made.leaf.certificate)).toString('base64')}`
  expect(check(made, (await http(served.port, 'GET', path)).body)).toBe('good')
})

test('ocsp-B validity: an answer of a policy with long validity says so in Expires, and still has to be asked for again', async () => {
  const made = world()
  const responder = made.responder({ policyOf: () => ({ ...DEFAULT_POLICY, validitySeconds: 345_600 }) })
  await using served = await MOUNTS['node:http']({ responder, now: made.clock.now })
  const { headers } = await get(served.port, ask(made.ca, made.leaf.certificate))
  expect(headers).toMatchObject({
    expires: new Date(STARTED.getTime() + 345_600_000).toUTCString(),
    'cache-control': `max-age=60, ${CACHED}`,
  })
})
