import { oid } from './der/oid.ts'
import { encodeDer, sequence } from './der/writer.ts'
import { X509Error } from './errors.ts'
import { OID } from './oid.ts'

export type CurveName = 'P-256' | 'P-384' | 'P-521'

export interface Curve {
  readonly name: CurveName
  readonly octets: number
  readonly algorithmDer: Uint8Array
  readonly p: bigint
  readonly b: bigint
}

/**
 * Refuses octets that are no public key on `curve`: full validation but for the order, which is prime on these curves,
 * so that every point on them has it.
 *
 * @throws {X509Error} `key_point_infinity`, `key_point_form`, `key_point_out_of_range`, `key_point_off_curve`.
 *
 * Source: NIST SP 800-56A Rev. 3 §5.6.2.3.3; SEC 1 §3.2.2.1.
 */
export function checkPoint(point: Uint8Array, curve: Curve): void {
  // "If M̄ consists of a single octet 00, output P = O", the point at infinity: SEC 1 §2.3.4
  if (point.length === 1 && point[0] === 0)
    throw new X509Error('key_point_infinity', 'the point is the one at infinity')
  // "implementations of this specification MUST support the uncompressed form and MAY support the compressed form":
  // RFC 5480 §2.2. One form is enough, and then a key has one encoding.
  if (point.length !== 1 + 2 * curve.octets || point[0] !== 4) {
    throw new X509Error('key_point_form', 'the point is not in uncompressed form')
  }
  const x = BigInt(`0x${point.subarray(1, 1 + curve.octets).toHex()}`)
  const y = BigInt(`0x${point.subarray(1 + curve.octets).toHex()}`)
  if (x >= curve.p || y >= curve.p) throw new X509Error('key_point_out_of_range', 'a coordinate is not in the field')
  if ((y * y - (x * x * x - 3n * x + curve.b)) % curve.p !== 0n) {
    throw new X509Error('key_point_off_curve', 'the point is not on its curve')
  }
}

/** SEC 2; a = −3 and the cofactor is 1 for all three. */
export const CURVES: readonly Curve[] = [
  {
    name: 'P-256',
    octets: 32,
    algorithmDer: encodeDer(sequence(oid(OID.ecPublicKey), oid(OID.p256))),
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  {
    name: 'P-384',
    octets: 48,
    algorithmDer: encodeDer(sequence(oid(OID.ecPublicKey), oid(OID.p384))),
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  {
    name: 'P-521',
    octets: 66,
    algorithmDer: encodeDer(sequence(oid(OID.ecPublicKey), oid(OID.p521))),
    p: 2n ** 521n - 1n,
    b: 0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
]
