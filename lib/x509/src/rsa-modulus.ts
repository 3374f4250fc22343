import { X509Error } from './errors.ts'

/**
 * Refuses a modulus that is known to be weak: even, with a prime factor below 752, made by the ROCA generator, or of two
 * primes so close that Fermat's method finds them. Costs about 0.2 ms at 4096 bits.
 *
 * Does **not** prove anything: a modulus can pass and still be worthless.
 *
 * @throws {X509Error} `key_rsa_modulus`, `key_rsa_small_factor`, `key_rsa_roca`, `key_rsa_close_primes`.
 *
 * Source: FIPS 186-5 §A.1.1; CA/Browser Forum Baseline Requirements §6.1.1.3.
 */
export function checkModulus(n: bigint): void {
  if ((n & 1n) === 0n) throw new X509Error('key_rsa_modulus', 'an RSA modulus is even')
  const rest = n % SMALL_PRIMES_PRODUCT
  if (SMALL_PRIMES.some((prime) => rest % BigInt(prime) === 0n)) {
    throw new X509Error('key_rsa_small_factor', 'an RSA modulus has a factor below 752')
  }
  if (isRocaModulus(n)) throw new X509Error('key_rsa_roca', 'an RSA modulus has the fingerprint of the ROCA generator')
  if (hasClosePrimes(n)) throw new X509Error('key_rsa_close_primes', 'the primes of an RSA modulus are too close')
}

/**
 * Whether the modulus looks like the product of two primes `k·M + (65537^a mod M)`, `M` being a product of the first
 * primes: then its remainder by each of them is a power of 65537. Any other modulus passes for one in about 2^27.
 *
 * Source: Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, §3.3 (CVE-2017-15361).
 */
export function isRocaModulus(n: bigint): boolean {
  const rest = n % ROCA_PRODUCT
  return ROCA_POWERS.every(({ prime, powers }) => powers.has(Number(rest % BigInt(prime))))
}

/** Fermat's factorisation: with n = a² − b², p and q are a ± b; with close primes `a` is just above √n. */
function hasClosePrimes(n: bigint): boolean {
  let a = squareRoot(n)
  if (a * a < n) a += 1n
  let rest = a * a - n
  for (let round = 0; round < FERMAT_ROUNDS; round++) {
    if (isSquare(rest)) return true
    rest += 2n * a + 1n
    a += 1n
  }
  return false
}

function isSquare(n: bigint): boolean {
  // Cheap remainders sort out 99 of 100 numbers that are no squares.
  if (!SQUARES_BY_64.has(Number(n & 63n))) return false
  const rest = Number(n % BigInt(63 * 65 * 11))
  if (!SQUARES_BY_63.has(rest % 63) || !SQUARES_BY_65.has(rest % 65) || !SQUARES_BY_11.has(rest % 11)) return false
  const root = squareRoot(n)
  return root * root === n
}

/** The integer square root: Newton's method from above. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n
  let root = 1n << BigInt((n.toString(16).length * 4 + 1) >> 1)
  for (;;) {
    const next = (root + n / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

function primesBelow(limit: number): number[] {
  const primes: number[] = []
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

function powersOf65537(prime: number): ReadonlySet<number> {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power)
  return powers
}

function squaresBy(modulus: number): ReadonlySet<number> {
  return new Set(Array.from({ length: modulus }, (_, i) => (i * i) % modulus))
}

function product(primes: readonly number[]): bigint {
  return primes.reduce((all, prime) => all * BigInt(prime), 1n)
}

const SMALL_PRIMES = primesBelow(752).slice(1)
const SMALL_PRIMES_PRODUCT = product(SMALL_PRIMES)

/** The primes up to 167 belong to the smallest keys' `M`, and so to that of all. Where 65537 reaches every remainder, nothing is told. */
const ROCA_POWERS = primesBelow(168)
  .slice(1)
  .map((prime) => ({ prime, powers: powersOf65537(prime) }))
  .filter(({ prime, powers }) => powers.size < prime - 1)
const ROCA_PRODUCT = product(ROCA_POWERS.map(({ prime }) => prime))

/** At least 100 are asked for by BR §6.1.1.3. */
const FERMAT_ROUNDS = 110
const SQUARES_BY_64 = squaresBy(64)
const SQUARES_BY_63 = squaresBy(63)
const SQUARES_BY_65 = squaresBy(65)
const SQUARES_BY_11 = squaresBy(11)
