import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeAlgorithm } from './algorithm.ts'
import { oid } from './der/oid.ts'
import { bitString, encodeDer, integer, NULL, sequence } from './der/writer.ts'
import type { X509Failure } from './errors.ts'
import type { ForeignAlgorithm } from './foreign-key.ts'
import { decodeForeignKey, foreignAlgorithmOf, verifyForeignSignature } from './foreign-key.ts'
import { OID } from './oid.ts'
import { decodePublicKey } from './public-key.ts'
import { pssSpki } from './testing/edit.ts'
import { hex, refusalOf } from './testing/refusal.ts'

const DATA = new TextEncoder().encode('data')
const spkiOf = (key: { export(options: { type: 'spki'; format: 'der' }): Uint8Array }): Uint8Array =>
  key.export({ type: 'spki', format: 'der' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const edwards = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING }

const SIGNATURES = {
  'rsa-pkcs1-sha256': sign('sha256', DATA, rsa.privateKey),
  'rsa-pss-sha256': sign('sha256', DATA, { key: rsa.privateKey, ...pss, saltLength: 32 }),
  'rsa-pss-sha384': sign('sha384', DATA, { key: rsa.privateKey, ...pss, saltLength: 48 }),
  'ecdsa-sha256': sign('sha256', DATA, p256.privateKey),
  ed25519: sign(null, DATA, edwards.privateKey),
} as const satisfies Partial<Record<ForeignAlgorithm, Uint8Array>>
const KEYS = {
  'RSA of 2048 bits': spkiOf(rsa.publicKey),
  'RSA for PSS with SHA-256': pssSpki(spkiOf(rsa.publicKey)),
  'P-256': spkiOf(p256.publicKey),
  Ed25519: spkiOf(edwards.publicKey),
}

test.each<[keyof typeof KEYS, readonly (keyof typeof SIGNATURES)[]]>([
  ['RSA of 2048 bits', ['rsa-pkcs1-sha256', 'rsa-pss-sha256', 'rsa-pss-sha384']],
  ['RSA for PSS with SHA-256', ['rsa-pss-sha256']],
  ['P-256', ['ecdsa-sha256']],
  ['Ed25519', ['ed25519']],
])('%s verifies %j and nothing else', (name, verified) => {
  const key = decodeForeignKey(KEYS[name])
  const seen = (Object.keys(SIGNATURES) as (keyof typeof SIGNATURES)[]).filter((algorithm) =>
    verifyForeignSignature(algorithm, key, DATA, SIGNATURES[algorithm]),
  )
  expect(seen).toEqual(verified)
  for (const algorithm of verified) {
    expect(verifyForeignSignature(algorithm, key, hex('00'), SIGNATURES[algorithm])).toBe(false)
  }
})

const rsaSpki = (modulus: bigint, exponent: Uint8Array): Uint8Array =>
  encodeDer(
    sequence(
      sequence(oid(OID.rsaEncryption), NULL),
      bitString(encodeDer(sequence(integer(hex(modulus.toString(16))), integer(exponent)))),
    ),
  )
const modulus = BigInt(`0x${Buffer.from(rsa.publicKey.export({ format: 'jwk' }).n ?? '', 'base64url').toString('hex')}`)
const ed25519Spki = (algorithm: Uint8Array, octets: number): Uint8Array =>
  encodeDer(sequence(algorithm, bitString(new Uint8Array(octets).fill(1))))

describe('keys of others', () => {
  test.each<{ name: string; spki: Uint8Array; fails?: X509Failure }>([
    { name: 'the exponent 3', spki: rsaSpki(modulus, hex('03')) },
    { name: 'the exponent 1', spki: rsaSpki(modulus, hex('01')), fails: 'key_rsa_exponent' },
    { name: 'an even exponent', spki: rsaSpki(modulus, hex('010000')), fails: 'key_rsa_exponent' },
    { name: 'an exponent of 34 octets', spki: rsaSpki(modulus, new Uint8Array(34).fill(1)), fails: 'key_rsa_exponent' },
    { name: '2047 bits', spki: rsaSpki(2n ** 2047n - 1n, hex('010001')), fails: 'key_rsa_size' },
    { name: 'an Ed25519 key of 31 octets', spki: ed25519Spki(hex('3005 06032b6570'), 31), fails: 'key_point_form' },
    {
      name: 'an Ed25519 key with parameters',
      spki: ed25519Spki(hex('3007 06032b6570 0500'), 32),
      fails: 'key_algorithm_refused',
    },
    {
      name: 'an RSA key for PSS with no parameters',
      spki: encodeDer(sequence(sequence(oid(OID.rsaPss)), bitString(hex('00')))),
      fails: 'key_algorithm_refused',
    },
    { name: 'X25519', spki: spkiOf(generateKeyPairSync('x25519').publicKey), fails: 'key_algorithm_refused' },
  ])('$name', ({ spki, fails }) => {
    expect(refusalOf(() => decodeForeignKey(spki))).toBe(fails)
  })

  test.each(['RSA of 2048 bits', 'RSA for PSS with SHA-256', 'Ed25519'] as const)('%s is no key of ours', (name) => {
    expect(refusalOf(() => decodePublicKey(KEYS[name]))).toMatch(/^key_(?:rsa_size|algorithm_refused)$/)
  })
})

test('algorithms are known by their one encoding', () => {
  expect(foreignAlgorithmOf(hex('3005 06032b6570'))).toBe('ed25519')
  expect(foreignAlgorithmOf(hex('3007 06032b6570 0500'))).toBe('unsupported')
  expect(foreignAlgorithmOf(encodeAlgorithm('ecdsa-sha384'))).toBe('ecdsa-sha384')
})
