import { generateKeyPairSync } from 'node:crypto'
import { decodePublicKey } from '@vcc/x509'
import { testSigner } from '../key.ts'
import { casesOf, encodeDer, hex, integer, primitive, sequence } from './forge.ts'

const P256_FIELD = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const good = testSigner('api').publicKey
const point = good.keyBits

const onP256 = (bits: Uint8Array): Uint8Array =>
  encodeDer(
    sequence(hex('3013 06072a8648ce3d0201 06082a8648ce3d030107'), primitive(0x03, new Uint8Array([0, ...bits]))),
  )
const rsa = (modulus: bigint, exponent = 65_537): Uint8Array => {
  const key = encodeDer(sequence(integer(octets(modulus)), integer(exponent)))
  return encodeDer(sequence(hex('300d 06092a864886f70d010101 0500'), primitive(0x03, new Uint8Array([0, ...key]))))
}
const spkiOf = (type: 'ed25519'): Uint8Array =>
  generateKeyPairSync(type).publicKey.export({ type: 'spki', format: 'der' })

/** Weak and broken keys. */
export const REFUSED_KEYS = casesOf({
  key_algorithm_refused: () => decodePublicKey(spkiOf('ed25519')),
  key_curve_refused: () =>
    decodePublicKey(
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ type: 'spki', format: 'der' }),
    ),
  key_point_infinity: () => decodePublicKey(onP256(hex('00'))),
  key_point_form: () => decodePublicKey(onP256(new Uint8Array([2, ...point.subarray(1, 33)]))),
  key_point_out_of_range: () =>
    decodePublicKey(onP256(new Uint8Array([4, ...octets(P256_FIELD), ...point.subarray(33)]))),
  key_point_off_curve: () => decodePublicKey(onP256(point.with(64, (point[64] ?? 0) ^ 1))),
  key_rsa_size: () => decodePublicKey(rsa(2n ** 2047n + 1n)),
  key_rsa_exponent: () => decodePublicKey(rsa(2n ** 3071n + 1n, 3)),
  key_rsa_modulus: () => decodePublicKey(rsa(2n ** 3071n)),
  key_rsa_small_factor: () => decodePublicKey(rsa(2n ** 3071n + firstOdd((n) => (2n ** 3071n + n) % 3n === 0n))),
  key_rsa_roca: () => decodePublicKey(rsa(rocaModulus())),
  key_rsa_close_primes: () => decodePublicKey(rsa(closeProduct())),
  key_invalid: () => unimportable().keyObject,
})

function octets(n: bigint): Uint8Array {
  const digits = n.toString(16)
  return hex(digits.padStart(digits.length + (digits.length % 2), '0'))
}

/** 1 is a power of 65537 by every prime, so that this has the fingerprint of the generator; no small factor comes first. */
function rocaModulus(): bigint {
  const product = primesBelow(168).reduce((all, prime) => all * BigInt(prime), 1n)
  for (let n = product * (2n ** 3071n / product + 1n) + 1n; ; n += product) if (!hasSmallFactor(n)) return n
}

/** (a − 1)(a + 1), found by Fermat's method at once. */
function closeProduct(): bigint {
  for (let a = 2n ** 1536n - 2n; ; a -= 2n) if (!hasSmallFactor(a * a - 1n)) return a * a - 1n
}

function hasSmallFactor(n: bigint): boolean {
  return primesBelow(752).some((prime) => n % BigInt(prime) === 0n)
}

function firstOdd(fits: (n: bigint) => boolean): bigint {
  for (let n = 1n; ; n += 2n) if (fits(n)) return n
}

function primesBelow(limit: number): number[] {
  const primes: number[] = []
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

/** No key that passes the checks is known to be refused by OpenSSL, so its octets are broken afterwards. */
function unimportable(): typeof good {
  const key = decodePublicKey(onP256(point))
  key.spkiDer[10] = 0
  return key
}
