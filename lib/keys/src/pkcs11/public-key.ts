import { createPublicKey, type webcrypto } from 'node:crypto'
import { type PublicKey, publicKeyOf } from '@vcc/x509'
import { KeyError } from '../error.ts'
import type { TokenKey } from './message.ts'

/**
 * The public key that a token's attributes describe, checked like any other that comes from outside.
 *
 * CKA_EC_POINT is a DER OCTET STRING around the point (PKCS#11 v2.40 mechanisms §2.3.3); some modules leave the wrapping
 * out, and both are taken.
 *
 * @throws {KeyError} `hsm_key_refused`
 */
export function tokenPublicKey({ keyId, material }: Pick<TokenKey, 'keyId' | 'material'>): PublicKey {
  try {
    const key: webcrypto.JsonWebKey =
      material.type === 'rsa'
        ? { kty: 'RSA', n: base64url(material.modulus), e: base64url(material.exponent) }
        : ecKey(material.params, Buffer.from(material.point, 'hex'))
    return publicKeyOf(createPublicKey({ format: 'jwk', key }))
  } catch (cause) {
    throw new KeyError('hsm_key_refused', `key ${keyId}: its public half in the token is not one we use`, { cause })
  }
}

function ecKey(paramsHex: string, attribute: Buffer): webcrypto.JsonWebKey {
  const curve = CURVES.find(({ params }) => params === paramsHex)
  if (curve === undefined) throw new TypeError('a curve other than P-256 and P-384')
  const length = 1 + 2 * curve.octets
  const isWrapped = attribute.length === length + 2 && attribute[0] === 0x04 && attribute[1] === length
  const point = isWrapped ? attribute.subarray(2) : attribute
  if (point.length !== length || point[0] !== 0x04) throw new TypeError('not a point in uncompressed form')
  const [x, y] = [point.subarray(1, 1 + curve.octets), point.subarray(1 + curve.octets)]
  return { kty: 'EC', crv: curve.name, x: x.toString('base64url'), y: y.toString('base64url') }
}

function base64url(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url')
}

/** By the DER of their OID (RFC 5480 §2.1.1.1). */
const CURVES = [
  { name: 'P-256', octets: 32, params: '06082a8648ce3d030107' },
  { name: 'P-384', octets: 48, params: '06052b81040022' },
] as const
