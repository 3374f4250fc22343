import { checkPrimeSync, generateKeyPairSync, generatePrimeSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { publicKeyOf } from './public-key.ts'
import { checkModulus, isRocaModulus } from './rsa-modulus.ts'
import { refusalOf } from './testing/refusal.ts'

interface RocaModuli {
  readonly moduli: readonly { file: string; isRoca: boolean; hex: string }[]
}

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../testdata/roca-moduli.json'), 'utf8'),
) as RocaModuli

/** The first `count` primes. */
function firstPrimes(count: number): bigint[] {
  const primes: bigint[] = []
  for (let n = 2n; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0n)) primes.push(n)
  return primes
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let [square, left] = [base % modulus, exponent]; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

/** A prime `k·M + (65537^a mod M)` with the two highest of its bits set, as the generator made them. */
function rocaPrime(bits: number, primes: number, a: bigint): bigint {
  const m = firstPrimes(primes).reduce((product, prime) => product * prime, 1n)
  const rest = power(65_537n, a, m)
  for (let k = (3n << BigInt(bits - 2)) / m + 1n; ; k++) if (checkPrimeSync(k * m + rest)) return k * m + rest
}

function nextPrime(from: bigint): bigint {
  let n = from | 1n
  while (!checkPrimeSync(n)) n += 2n
  return n
}

describe('ca-26 ROCA', () => {
  test.each(vectors.moduli)('$file: $isRoca', ({ hex, isRoca }) => {
    expect(isRocaModulus(BigInt(`0x${hex}`))).toBe(isRoca)
  })

  // Sizes and numbers of primes in M: table 1 of the paper.
  test.each([
    [3072, 126],
    [4096, 225],
  ])('a modulus of %i bits made by the definition', (bits, primes) => {
    const n = rocaPrime(bits / 2, primes, 123_456_789n) * rocaPrime(bits / 2, primes, 987_654_321n)
    expect({ fails: refusalOf(() => checkModulus(n)), bits: n.toString(2).length }).toEqual({
      fails: 'key_rsa_roca',
      bits,
    })
  })
})

describe('ca-26 close primes', () => {
  let p: bigint
  beforeAll(() => {
    p = generatePrimeSync(1536, { bigint: true })
  })

  test('a square', () => {
    expect({ fails: refusalOf(() => checkModulus(p * p)) }).toEqual({ fails: 'key_rsa_close_primes' })
  })

  test('the next prime', () => {
    expect(refusalOf(() => checkModulus(p * nextPrime(p + 2n)))).toBe('key_rsa_close_primes')
  })

  test('primes that take about ninety rounds', () => {
    // The a of Fermat's method is (p + q)/2, which lies (q − p)²/(8·√n) above √n.
    const distance = 25n << 768n
    const q = nextPrime(p + distance)
    const rounds = ((q - p) * (q - p)) / (8n * p)
    expect(rounds).toBeGreaterThan(70n)
    expect(rounds).toBeLessThan(105n)
    expect(refusalOf(() => checkModulus(p * q))).toBe('key_rsa_close_primes')
  })

  test('primes that differ from the hundredth bit on are not found', () => {
    expect(refusalOf(() => checkModulus(p * nextPrime(p - (1n << 1436n))))).toBeUndefined()
  })
})

test.each([3072, 4096])('a key of %i bits from OpenSSL', (bits) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  expect(publicKeyOf(publicKey).kind).toEqual({ type: 'rsa', bits })
})
