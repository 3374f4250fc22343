import { compactVerify } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { canonicalJson } from './canonical.ts'
import { derToRaw, rawToDer } from './ecdsa.ts'
import { newKey, newPki, type Pki, type TestKey } from './fixture.ts'
import { decodeJws, type JwsSigner, jwsSigner, signJws, verifyJws } from './jws.ts'

const B64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64url')
const code = (expected: string) => expect.objectContaining({ name: 'MeshError', code: expected })
const TYP = 'vcc-state+jws'
let pki: Pki
let good: string
let parts: { header: string; payload: string; signature: string }
let x5c: readonly string[]

beforeAll(async () => {
  pki = await newPki()
  x5c = pki.stateSigner.x5c
  good = await signJws(pki.stateSigner, TYP, { b: 1, a: 'ä' })
  const [header = '', payload = '', signature = ''] = good.split('.')
  parts = { header, payload, signature }
})

const withHeader = (header: unknown) => `${B64(canonicalJson(header))}.${parts.payload}.${parts.signature}`
const withRawHeader = (header: string) => `${B64(header)}.${parts.payload}.${parts.signature}`

test('header and payload are canonical JSON, the signature is r and s', () => {
  const decoded = decodeJws(good, TYP)
  expect(Buffer.from(parts.header, 'base64url').toString()).toBe(canonicalJson({ alg: 'ES256', typ: TYP, x5c }))
  expect(Buffer.from(decoded.payload).toString()).toBe('{"a":"ä","b":1}')
  expect(decoded.signature).toHaveLength(64)
  expect(decoded.x5cDer.map((der) => Buffer.from(der).toString('base64'))).toEqual(x5c)
  expect(verifyJws(decoded, pki.active.certificate.publicKey)).toBe(true)
})

const refusals: readonly { name: string; jws: () => string; fails: string }[] = [
  { name: 'empty text', jws: () => '', fails: 'jws_malformed' },
  { name: 'two parts', jws: () => `${parts.header}.${parts.payload}`, fails: 'jws_malformed' },
  { name: 'four parts', jws: () => `${good}.`, fails: 'jws_malformed' },
  { name: 'five parts, as in a JWE', jws: () => `${good}.a.b`, fails: 'jws_malformed' },
  {
    name: 'JSON serialization',
    jws: () => JSON.stringify({ payload: parts.payload, signatures: [] }),
    fails: 'jws_malformed',
  },
  { name: 'empty signature', jws: () => `${parts.header}.${parts.payload}.`, fails: 'jws_malformed' },
  { name: 'detached payload', jws: () => `${parts.header}..${parts.signature}`, fails: 'jws_malformed' },
  {
    name: 'padded base64url',
    jws: () => `${parts.header}.${parts.payload}=.${parts.signature}`,
    fails: 'jws_malformed',
  },
  { name: 'standard base64 alphabet', jws: () => `${parts.header}.+/8.${parts.signature}`, fails: 'jws_malformed' },
  {
    name: 'stray low bits',
    jws: () => `${parts.header}.${B64('a').slice(0, 1)}R.${parts.signature}`,
    fails: 'jws_malformed',
  },
  {
    name: 'white space inside',
    jws: () => `${parts.header}.${parts.payload}.${parts.signature}\n`,
    fails: 'jws_malformed',
  },
  { name: 'characters beyond ASCII', jws: () => `${parts.header}.ｅ.${parts.signature}`, fails: 'jws_malformed' },
  { name: 'larger than the type allows', jws: () => good + 'A'.repeat(4 * 1024 * 1024), fails: 'jws_too_large' },
  {
    name: 'header too large',
    jws: () => `${'A'.repeat(97 * 1024)}.${parts.payload}.${parts.signature}`,
    fails: 'jws_too_large',
  },
  {
    name: 'signature too large',
    jws: () => `${parts.header}.${parts.payload}.${'A'.repeat(2048)}`,
    fails: 'jws_too_large',
  },
  { name: 'header is an array', jws: () => withHeader([]), fails: 'jws_header_refused' },
  { name: 'header is null', jws: () => withHeader(null), fails: 'jws_header_refused' },
  { name: 'header is not JSON', jws: () => withRawHeader('{'), fails: 'jws_header_refused' },
  {
    name: 'header is not UTF-8',
    jws: () => `${B64(Uint8Array.of(0xff))}.${parts.payload}.${parts.signature}`,
    fails: 'jws_header_refused',
  },
  {
    name: 'header with a byte order mark',
    jws: () => withRawHeader(`\ufeff${canonicalJson({ alg: 'ES256', typ: TYP, x5c })}`),
    fails: 'jws_header_refused',
  },
  {
    name: 'header with alg twice',
    jws: () => withRawHeader(`{"alg":"none","alg":"ES256","typ":"${TYP}"}`),
    fails: 'jws_header_refused',
  },
  {
    name: 'header in another order',
    jws: () => withRawHeader(JSON.stringify({ typ: TYP, alg: 'ES256', x5c })),
    fails: 'jws_header_refused',
  },
  {
    name: 'crit',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, crit: ['b64'], b64: false }),
    fails: 'jws_header_refused',
  },
  { name: 'b64', jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, b64: true }), fails: 'jws_header_refused' },
  { name: 'jwk', jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, jwk: {} }), fails: 'jws_header_refused' },
  {
    name: 'jku',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, jku: 'https://evil.example' }),
    fails: 'jws_header_refused',
  },
  {
    name: 'x5u',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, x5u: 'https://evil.example' }),
    fails: 'jws_header_refused',
  },
  { name: 'kid', jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c, kid: '1' }), fails: 'jws_header_refused' },
  {
    name: '__proto__',
    jws: () => withRawHeader(`{"__proto__":{},"alg":"ES256","typ":"${TYP}","x5c":[]}`),
    fails: 'jws_header_refused',
  },
  { name: 'no alg', jws: () => withHeader({ typ: TYP, x5c }), fails: 'jws_algorithm_refused' },
  ...['none', 'None', 'HS256', 'RS256', 'PS256', 'ES512', 'EdDSA', 'es256', 'toString', ''].map((alg) => ({
    name: `alg ${JSON.stringify(alg)}`,
    jws: () => withHeader({ alg, typ: TYP, x5c }),
    fails: 'jws_algorithm_refused',
  })),
  { name: 'alg is a list', jws: () => withHeader({ alg: ['ES256'], typ: TYP, x5c }), fails: 'jws_algorithm_refused' },
  { name: 'no typ', jws: () => withHeader({ alg: 'ES256', x5c }), fails: 'jws_type_refused' },
  ...[
    'JWT',
    'vcc-refresh+jws',
    'vcc-reply+jws',
    'vcc-trust+jws',
    'vcc-delta+jws',
    'vcc-up+jws',
    'VCC-STATE+JWS',
    `application/${TYP}`,
  ].map((typ) => ({
    name: `typ ${typ}`,
    jws: () => withHeader({ alg: 'ES256', typ, x5c }),
    fails: 'jws_type_refused',
  })),
  { name: 'no x5c', jws: () => withHeader({ alg: 'ES256', typ: TYP }), fails: 'jws_header_refused' },
  { name: 'empty x5c', jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: [] }), fails: 'jws_header_refused' },
  {
    name: 'four certificates',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: [...x5c, ...x5c] }),
    fails: 'jws_header_refused',
  },
  {
    name: 'x5c is a text',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: x5c[0] }),
    fails: 'jws_header_refused',
  },
  { name: 'x5c of numbers', jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: [1] }), fails: 'jws_header_refused' },
  {
    name: 'x5c in base64url',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: ['_-8'] }),
    fails: 'jws_header_refused',
  },
  {
    name: 'x5c with line breaks',
    jws: () => withHeader({ alg: 'ES256', typ: TYP, x5c: [`${x5c[0]}\n`] }),
    fails: 'jws_header_refused',
  },
]

test.each(refusals)('refused: $name', ({ jws, fails }) => {
  expect(() => decodeJws(jws(), TYP)).toThrow(code(fails))
})

test('a type without certificates refuses x5c', async () => {
  const trust = await signJws(pki.rootSigner, 'vcc-trust+jws', {})
  expect(decodeJws(trust, 'vcc-trust+jws').x5cDer).toEqual([])
  const [, payload, signature] = trust.split('.')
  const forged = `${B64(canonicalJson({ alg: 'ES384', typ: 'vcc-trust+jws', x5c }))}.${payload}.${signature}`
  expect(() => decodeJws(forged, 'vcc-trust+jws')).toThrow(code('jws_header_refused'))
})

describe('verification', () => {
  const verify = (jws: string) => verifyJws(decodeJws(jws, TYP), pki.active.certificate.publicKey)

  test('one changed payload bit', () => {
    expect(verify(`${parts.header}.${B64('{"a":"ä","b":2}')}.${parts.signature}`)).toBe(false)
  })
  test('another key', () => {
    expect(verifyJws(decodeJws(good, TYP), pki.spare.certificate.publicKey)).toBe(false)
  })
  test('r and s zero', () => {
    expect(verify(`${parts.header}.${parts.payload}.${B64(new Uint8Array(64))}`)).toBe(false)
  })
  test('DER instead of r and s', () => {
    const der = rawToDer(Buffer.from(parts.signature, 'base64url'), 32)
    expect(() => verify(`${parts.header}.${parts.payload}.${B64(der)}`)).toThrow(code('jws_malformed'))
  })
  test('an algorithm that is not the key’s', () => {
    for (const alg of ['ES384', 'PS384']) {
      expect(() => verify(withHeader({ alg, typ: TYP, x5c }))).toThrow(code('jws_key_mismatch'))
    }
  })
})

describe('signing', () => {
  test('a key of P-521 has no algorithm', () => {
    const key = { ...newKey(), algorithm: 'ecdsa-sha512' } as const
    expect(() => jwsSigner(key, [])).toThrow(TypeError)
  })
  test('certificates of another key', () => {
    expect(() => jwsSigner(pki.spare.key, [pki.active.certificate.der])).toThrow(TypeError)
  })
  test('a type that needs certificates, without', async () => {
    await expect(signJws(jwsSigner(pki.active.key, []), TYP, {})).rejects.toThrow(TypeError)
  })
  test('a type that refuses certificates, with', async () => {
    await expect(signJws(pki.stateSigner, 'vcc-trust+jws', {})).rejects.toThrow(TypeError)
  })
  test('more than the type allows', async () => {
    await expect(signJws(pki.stateSigner, 'vcc-refresh+jws', { a: 'x'.repeat(40_000) })).rejects.toThrow(
      code('jws_too_large'),
    )
  })
  test('the first end among the certificates is the signer’s', () => {
    expect(pki.stateSigner.notAfter).toEqual(pki.active.certificate.notAfter)
    expect(pki.rootSigner.notAfter).toBeUndefined()
  })
})

describe('a second opinion', () => {
  const keys: readonly [string, () => TestKey][] = [
    ['ES256', () => newKey('P-256')],
    ['ES384', () => newKey('P-384')],
    ['PS384', () => newKey('RSA-3072')],
  ]
  test.each(keys)('jose verifies our %s, in 20 runs', async (alg, make) => {
    const key = make()
    const signer: JwsSigner = jwsSigner(key, [])
    for (let i = 0; i < 20; i++) {
      const jws = await signJws(signer, 'vcc-trust+jws', { i })
      const { payload, protectedHeader } = await compactVerify(jws, key.publicKey.keyObject, { algorithms: [alg] })
      expect(Buffer.from(payload).toString()).toBe(`{"i":${i}}`)
      expect(protectedHeader).toEqual({ alg, typ: 'vcc-trust+jws' })
      expect(verifyJws(decodeJws(jws, 'vcc-trust+jws'), key.publicKey)).toBe(true)
    }
  })
})

describe('r and s', () => {
  test.each([
    ['leading zeros', `${'00'.repeat(31)}01${'00'.repeat(30)}80ff`],
    ['high bits', 'ff'.repeat(64)],
    ['zero', '00'.repeat(64)],
  ])('%s survive DER and back', (_, hex) => {
    const raw = Buffer.from(hex, 'hex')
    expect(Buffer.from(derToRaw(rawToDer(raw, 32), 32)).toString('hex')).toBe(hex)
  })
  test.each([
    ['empty', ''],
    ['trailing octet', '300602010102010100'],
    ['octet string', '300604010102010100'],
    ['one number', '3003020101'],
    ['too long for the curve', `30260221${'01'.repeat(33)}020101`],
    ['empty number', '30050200020101'],
  ])('%s is not a DER signature', (_, hex) => {
    expect(() => derToRaw(Buffer.from(hex, 'hex'), 32)).toThrow(TypeError)
  })
})
