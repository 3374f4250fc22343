import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeAlgorithm } from './algorithm.ts'
import { assertKeyOnlyCsr, buildCsr, verifyCsr } from './csr.ts'
import { oid } from './der/oid.ts'
import {
  bitString,
  constructed,
  type Der,
  encodeDer,
  integer,
  NULL,
  sequence,
  setOf,
  utf8String,
} from './der/writer.ts'
import type { X509Failure } from './errors.ts'
import { encodeKeyUsage } from './extension/encode.ts'
import { encodeName } from './name.ts'
import { OID } from './oid.ts'
import { decodePem, encodePem } from './pem.ts'
import { testKey } from './testing/mint.ts'
import { hex, refusalOf } from './testing/refusal.ts'

const run = promisify(execFile)
const key = testKey()
const empty = encodeName([]).der

function request(members: {
  version?: Der
  subject?: Uint8Array
  spki?: Uint8Array
  attributes?: Der
  algorithm?: Uint8Array
  signedWith?: ReturnType<typeof testKey>
}): Uint8Array {
  const { version = integer(0), subject = empty, spki = key.publicKey.spkiDer } = members
  const info = encodeDer(sequence(version, subject, spki, members.attributes ?? constructed(0xa0)))
  const signature = (members.signedWith ?? key).signNow(info)
  return encodeDer(sequence(info, members.algorithm ?? encodeAlgorithm('ecdsa-sha256'), bitString(signature)))
}

const attribute = (type: string, ...values: Der[]): Der => sequence(oid(type), setOf(...values))
const asked = sequence(encodeKeyUsage(['digitalSignature']))
const good = request({})

const CASES: readonly { name: string; der: Uint8Array; fails: X509Failure }[] = [
  { name: 'nothing', der: new Uint8Array(), fails: 'der_truncated' },
  { name: 'more than 16 KiB', der: new Uint8Array(16_385), fails: 'der_too_large' },
  { name: 'an octet after the end', der: new Uint8Array([...good, 0]), fails: 'der_trailing_bytes' },
  { name: 'version 1', der: request({ version: integer(1) }), fails: 'csr_version' },
  { name: 'the signature of another key', der: request({ signedWith: testKey() }), fails: 'csr_signature_invalid' },
  { name: 'a signature over other octets', der: flip(good, good.length - 1), fails: 'csr_signature_invalid' },
  {
    name: 'an algorithm of another kind of key',
    der: request({ algorithm: encodeAlgorithm('rsa-pss-sha256') }),
    fails: 'csr_signature_invalid',
  },
  {
    name: 'SHA-1 with ECDSA',
    der: request({ algorithm: hex('300906072a8648ce3d0401') }),
    fails: 'csr_algorithm_refused',
  },
  {
    name: 'MD5 with RSA',
    der: request({ algorithm: hex('300d06092a864886f70d0101040500') }),
    fails: 'csr_algorithm_refused',
  },
  {
    name: 'a key beside its curve',
    der: request({ spki: flip(key.publicKey.spkiDer, key.publicKey.spkiDer.length - 1) }),
    fails: 'key_point_off_curve',
  },
  { name: 'no attributes field', der: request({ attributes: new Uint8Array() }), fails: 'der_truncated' },
  {
    name: 'an attribute twice',
    der: request({ attributes: constructed(0xa0, attribute('1.2.3', NULL), attribute('1.2.3', utf8String('a'))) }),
    fails: 'csr_attribute_duplicate',
  },
  {
    name: 'attributes out of order',
    der: request({ attributes: constructed(0xa0, attribute('1.2.4', NULL), attribute('1.2.3', NULL)) }),
    fails: 'der_set_unordered',
  },
  {
    name: 'an attribute without a value',
    der: request({ attributes: constructed(0xa0, sequence(oid('1.2.3'), constructed(0x31))) }),
    fails: 'der_empty',
  },
  {
    name: 'extensions asked for twice',
    der: request({
      attributes: constructed(0xa0, attribute(OID.extensionRequest, asked, sequence(encodeKeyUsage(['keyAgreement'])))),
    }),
    fails: 'extension_invalid',
  },
  {
    name: 'ca-23 an extension twice',
    der: request({
      attributes: constructed(
        0xa0,
        attribute(
          OID.extensionRequest,
          sequence(encodeKeyUsage(['digitalSignature']), encodeKeyUsage(['keyAgreement'])),
        ),
      ),
    }),
    fails: 'extension_duplicate',
  },
]

function flip(octets: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(octets)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

describe('ca-26 requests that are refused', () => {
  test.each(CASES)('$name', ({ der, fails }) => {
    expect(refusalOf(() => verifyCsr(der))).toBe(fails)
  })

  test('a broken octet anywhere is refused', () => {
    for (let at = 0; at < good.length; at++) expect(refusalOf(() => verifyCsr(flip(good, at)))).toBeDefined()
  })
})

describe('a request for a key alone', () => {
  test('is what buildCsr makes', async () => {
    const csr = verifyCsr(await buildCsr(key))
    expect(() => assertKeyOnlyCsr(csr)).not.toThrow()
    expect(csr.publicKey.spkiDer).toEqual(key.publicKey.spkiDer)
    expect(csr.requestedExtensions.all).toEqual([])
  })

  test.each([
    { name: 'a subject', der: request({ subject: encodeName([{ type: 'CN', value: 'argus' }]).der }) },
    { name: 'extensions', der: request({ attributes: constructed(0xa0, attribute(OID.extensionRequest, asked)) }) },
    {
      name: 'a challenge password',
      der: request({ attributes: constructed(0xa0, attribute('1.2.840.113549.1.9.7', utf8String('x'))) }),
    },
  ])('ca-28 names nothing: $name', ({ der }) => {
    expect({ fails: refusalOf(() => assertKeyOnlyCsr(verifyCsr(der))) }).toEqual({ fails: 'csr_names_refused' })
  })
})

describe('requests of openssl', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vcc-csr-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function openssl(pem: string, ...options: string[]): Promise<Uint8Array> {
    const keyFile = join(folder, 'key.pem')
    const out = join(folder, 'csr.pem')
    await writeFile(keyFile, pem)
    await run('openssl', ['req', '-new', '-key', keyFile, '-out', out, '-subj', '/CN=argus', ...options])
    return decodePem(await readFile(out, 'utf8'), 'CERTIFICATE REQUEST')[0] ?? new Uint8Array()
  }
  const pemOf = (from: ReturnType<typeof testKey>): string => from.privateKey.export({ type: 'pkcs8', format: 'pem' })

  test.each(['P-256', 'P-384', 'P-521'] as const)('%s with SHA-256', async (curve) => {
    const csr = verifyCsr(await openssl(pemOf(testKey(curve)), '-addext', 'subjectAltName=DNS:argus.vcc.internal'))
    expect(csr.publicKey.kind).toEqual({ type: 'ec', curve })
    expect(csr.requestedExtensions.subjectAltName).toEqual([{ type: 'dns', value: 'argus.vcc.internal' }])
  })

  test('SHA-1 is refused', async () => {
    const der = await openssl(pemOf(key), '-sha1')
    expect(refusalOf(() => verifyCsr(der))).toBe('csr_algorithm_refused')
  })

  test('openssl verifies what buildCsr makes', async () => {
    const file = join(folder, 'ours.pem')
    await writeFile(file, encodePem('CERTIFICATE REQUEST', await buildCsr(testKey('P-384'))))
    const { stderr, stdout } = await run('openssl', ['req', '-in', file, '-verify', '-noout', '-text'])
    expect(stderr + stdout).toContain('verify OK')
  })
})
