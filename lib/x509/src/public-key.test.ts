import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { oid } from './der/oid.ts'
import { bitString, type Der, encodeDer, integer, NULL, sequence } from './der/writer.ts'
import type { X509Failure } from './errors.ts'
import { OID } from './oid.ts'
import { decodePublicKey, publicKeyOf } from './public-key.ts'
import { hex, refusalOf } from './testing/refusal.ts'

const P256_P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const good = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
const point = new Uint8Array(good.subarray(-65))

function ecKey(curve: string, bits: Uint8Array, ...more: Der[]): Uint8Array {
  return encodeDer(sequence(sequence(oid(OID.ecPublicKey), oid(curve)), bitString(bits), ...more))
}

function rsaKey(modulus: bigint, exponent: Uint8Array = hex('010001'), parameters: Der | undefined = NULL): Uint8Array {
  const digits = modulus.toString(16)
  const octets = Uint8Array.fromHex(digits.length % 2 === 0 ? digits : `0${digits}`)
  const key = encodeDer(sequence(integer(octets), integer(exponent)))
  return encodeDer(sequence(sequence(oid(OID.rsaEncryption), parameters), bitString(key)))
}

/** An odd number of this many bits without a factor below 752: what the checks can see of a modulus. */
function modulusOf(bits: number): bigint {
  let n = (1n << BigInt(bits - 1)) + 1n
  while (SMALL.some((prime) => n % prime === 0n)) n += 2n
  return n
}
const SMALL = Array.from({ length: 750 }, (_, i) => BigInt(i + 2))

function changed(octets: Uint8Array, at: number, to: number): Uint8Array {
  const copy = new Uint8Array(octets)
  copy[at] = to
  return copy
}

function spkiOf(type: 'ed25519' | 'secp256k1' | 'P-224' | 'explicit'): Uint8Array {
  if (type === 'ed25519') return generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })
  if (type === 'explicit') {
    return generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }).publicKey.export({
      type: 'spki',
      format: 'der',
    })
  }
  return generateKeyPairSync('ec', { namedCurve: type }).publicKey.export({ type: 'spki', format: 'der' })
}

const otherX = ((BigInt(`0x${point.subarray(1, 33).toHex()}`) + 1n) % P256_P).toString(16).padStart(64, '0')

const REFUSED: readonly { name: string; spki: Uint8Array; fails: X509Failure }[] = [
  {
    name: 'a point beside the curve',
    spki: ecKey(OID.p256, changed(point, 64, (point[64] ?? 0) ^ 1)),
    fails: 'key_point_off_curve',
  },
  {
    name: 'a point with another x',
    spki: ecKey(OID.p256, hex(`04${otherX}${point.subarray(33).toHex()}`)),
    fails: 'key_point_off_curve',
  },
  { name: 'the origin', spki: ecKey(OID.p256, hex(`04${'00'.repeat(64)}`)), fails: 'key_point_off_curve' },
  { name: 'the point at infinity', spki: ecKey(OID.p256, hex('00')), fails: 'key_point_infinity' },
  {
    name: 'a compressed point',
    spki: ecKey(OID.p256, hex(`02${point.subarray(1, 33).toHex()}`)),
    fails: 'key_point_form',
  },
  { name: 'a hybrid point', spki: ecKey(OID.p256, changed(point, 0, 6)), fails: 'key_point_form' },
  { name: 'a point of another curve', spki: ecKey(OID.p384, point), fails: 'key_point_form' },
  { name: 'no point', spki: ecKey(OID.p256, new Uint8Array()), fails: 'key_point_form' },
  {
    name: 'a coordinate that is p',
    spki: ecKey(OID.p256, hex(`04${P256_P.toString(16)}${point.subarray(33).toHex()}`)),
    fails: 'key_point_out_of_range',
  },
  {
    name: 'a y that is p',
    spki: ecKey(OID.p521, hex(`04${'01'.repeat(66)}${(2n ** 521n - 1n).toString(16).padStart(132, '0')}`)),
    fails: 'key_point_out_of_range',
  },
  { name: 'secp256k1', spki: spkiOf('secp256k1'), fails: 'key_curve_refused' },
  { name: 'P-224', spki: spkiOf('P-224'), fails: 'key_curve_refused' },
  { name: 'explicit parameters of P-256', spki: spkiOf('explicit'), fails: 'key_curve_refused' },
  { name: 'Ed25519', spki: spkiOf('ed25519'), fails: 'key_algorithm_refused' },
  {
    name: 'an RSA key for PSS alone',
    spki: encodeDer(sequence(sequence(oid(OID.rsaPss)), bitString(hex('3000')))),
    fails: 'key_algorithm_refused',
  },
  {
    name: 'RSA without NULL',
    spki: encodeDer(sequence(sequence(oid(OID.rsaEncryption)), bitString(hex('3000')))),
    fails: 'key_algorithm_refused',
  },
  { name: 'RSA of 2048 bits', spki: rsaKey(modulusOf(2048)), fails: 'key_rsa_size' },
  { name: 'RSA of 3064 bits', spki: rsaKey(modulusOf(3064)), fails: 'key_rsa_size' },
  { name: 'RSA of 3073 bits', spki: rsaKey(modulusOf(3073)), fails: 'key_rsa_size' },
  { name: 'RSA of 8200 bits', spki: rsaKey(modulusOf(8200)), fails: 'key_rsa_size' },
  { name: 'RSA of 0', spki: rsaKey(0n), fails: 'key_rsa_size' },
  { name: 'e = 3', spki: rsaKey(modulusOf(3072), hex('03')), fails: 'key_rsa_exponent' },
  { name: 'e = 1', spki: rsaKey(modulusOf(3072), hex('01')), fails: 'key_rsa_exponent' },
  { name: 'e = 65538', spki: rsaKey(modulusOf(3072), hex('010002')), fails: 'key_rsa_exponent' },
  { name: 'e of 2048 bits', spki: rsaKey(modulusOf(3072), hex(`01${'00'.repeat(255)}01`)), fails: 'key_rsa_exponent' },
  { name: 'an even modulus', spki: rsaKey(modulusOf(3072) + 1n), fails: 'key_rsa_modulus' },
  { name: 'a modulus with the factor 3', spki: rsaKey(3n * ((1n << 3070n) + 1n)), fails: 'key_rsa_small_factor' },
  { name: 'a modulus with the factor 751', spki: rsaKey(751n * ((1n << 3062n) + 1n)), fails: 'key_rsa_small_factor' },
  {
    name: 'an octet after the key',
    spki: encodeDer(sequence(new Uint8Array(good.subarray(2)), NULL)),
    fails: 'der_trailing_bytes',
  },
  { name: 'octets after the structure', spki: new Uint8Array([...good, 0]), fails: 'der_trailing_bytes' },
  { name: '2049 octets', spki: new Uint8Array(2049), fails: 'der_too_large' },
]

describe('ca-26 keys that are refused', () => {
  test.each(REFUSED)('$name', ({ spki, fails }) => {
    expect(refusalOf(() => decodePublicKey(spki))).toBe(fails)
  })

  test('node:crypto imports some of these, which is why the check is ours', () => {
    const imported = REFUSED.filter(({ spki }) => {
      try {
        createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
        return true
      } catch {
        return false
      }
    }).map(({ name }) => name)
    expect(imported).toEqual(
      expect.arrayContaining(['e = 1', 'e = 3', 'an even modulus', 'RSA of 2048 bits', 'a compressed point']),
    )
  })
})

describe('keys that are taken', () => {
  test.each(['P-256', 'P-384', 'P-521'])('%s', (curve) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
    const key = publicKeyOf(publicKey)
    expect(key.kind).toEqual({ type: 'ec', curve })
    expect(key.keyObject.equals(publicKey)).toBe(true)
  })

  test.each([3072, 4096, 8192])('a modulus of %i bits', (bits) => {
    expect(decodePublicKey(rsaKey(modulusOf(bits))).kind).toEqual({ type: 'rsa', bits })
  })

  test('identifiers are SHA-256 over the SPKI, and 20 octets of it over the key bits', () => {
    const key = decodePublicKey(good)
    expect(key.spkiSha256Hex).toBe(createHash('sha256').update(good).digest('hex'))
    expect(key.subjectKeyId.toHex()).toBe(createHash('sha256').update(point).digest('hex').slice(0, 40))
  })

  test('a key object is made once, when it is asked for', () => {
    const key = decodePublicKey(good)
    expect(key.keyObject).toBe(key.keyObject)
  })

  test('a key that only the library refuses is key_invalid', () => {
    // Nothing that passes the checks is known to be refused by OpenSSL, so the octets are broken afterwards.
    const key = decodePublicKey(good)
    const broken: Uint8Array = key.spkiDer
    broken[10] = 0
    expect({ fails: refusalOf(() => key.keyObject) }).toEqual({ fails: 'key_invalid' })
  })
})
