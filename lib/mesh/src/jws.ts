import {
  decodeCertificate,
  type PublicKey,
  type SignatureAlgorithmName,
  type TbsSigner,
  verifySignature,
} from '@vcc/x509'
import { canonicalJson, parseCanonical } from './canonical.ts'
import { derToRaw, rawToDer } from './ecdsa.ts'
import { MeshError } from './errors.ts'
import { earliest } from './instant.ts'

/** Every kind of signed text. A kind has one size limit, and its certificates are required or refused. */
export const JWS_TYPES = {
  'vcc-trust+jws': { maxBytes: 64 * 1024, x5c: false },
  'vcc-state+jws': { maxBytes: 4 * 1024 * 1024, x5c: true },
  'vcc-delta+jws': { maxBytes: 1024 * 1024, x5c: true },
  'vcc-refresh+jws': { maxBytes: 32 * 1024, x5c: true },
  'vcc-up+jws': { maxBytes: 64 * 1024, x5c: true },
  'vcc-reply+jws': { maxBytes: 64 * 1024, x5c: true },
} as const satisfies Record<string, { maxBytes: number; x5c: boolean }>

export type JwsType = keyof typeof JWS_TYPES

/** RFC 7518 §3.1, closed. A key has exactly one algorithm; there is nothing to choose. */
export const JWS_ALGORITHMS = {
  ES256: { signature: 'ecdsa-sha256', curve: 'P-256', width: 32 },
  ES384: { signature: 'ecdsa-sha384', curve: 'P-384', width: 48 },
  PS384: { signature: 'rsa-pss-sha384', curve: undefined, width: undefined },
} as const satisfies Record<
  string,
  { signature: SignatureAlgorithmName; curve?: string | undefined; width?: number | undefined }
>

export type JwsAlgorithm = keyof typeof JWS_ALGORITHMS

/** A key ready to sign, with the certificates that go into `x5c` (leaf first, without the anchor). */
export interface JwsSigner {
  readonly alg: JwsAlgorithm
  readonly publicKey: PublicKey
  readonly x5c: readonly string[]
  /** The earliest notAfter among the certificates; undefined without certificates. */
  readonly notAfter: Date | undefined
  readonly sign: (signingInput: Uint8Array) => Promise<Uint8Array>
}

/**
 * Binds a signer to the certificates it signs with.
 * @throws {TypeError} when the key has no JWS algorithm, or the first certificate is not the key's
 */
export function jwsSigner(
  signer: Pick<TbsSigner, 'algorithm' | 'publicKey' | 'sign'>,
  x5cDer: readonly Uint8Array[],
): JwsSigner {
  const alg = algorithmOf(signer.publicKey)
  if (alg === undefined || JWS_ALGORITHMS[alg].signature !== signer.algorithm) {
    throw new TypeError('this key has no JWS algorithm')
  }
  const { width } = JWS_ALGORITHMS[alg]
  const [leaf, ...others] = x5cDer.map(decodeCertificate)
  if (leaf !== undefined && leaf.publicKey.spkiSha256Hex !== signer.publicKey.spkiSha256Hex) {
    throw new TypeError('the first certificate does not carry the public key of the signer')
  }
  return {
    alg,
    publicKey: signer.publicKey,
    x5c: x5cDer.map((der) => Buffer.from(der).toString('base64')),
    notAfter: leaf && earliest(leaf.notAfter, ...others.map((ca) => ca.notAfter)),
    sign: async (input) => {
      const signature = await signer.sign(input)
      return width === undefined ? signature : derToRaw(signature, width)
    },
  }
}

/**
 * Signs `payload` as a compact JWS. Header and payload are in RFC 8785 form.
 * @throws {TypeError} when the type asks for certificates and the signer has none, or the reverse
 * @throws {MeshError} `jws_too_large`
 */
export async function signJws(signer: JwsSigner, typ: JwsType, payload: unknown): Promise<string> {
  const { maxBytes, x5c } = JWS_TYPES[typ]
  if (x5c !== signer.x5c.length > 0) throw new TypeError(`${typ} ${x5c ? 'needs' : 'refuses'} certificates`)
  const header = x5c ? { alg: signer.alg, typ, x5c: signer.x5c } : { alg: signer.alg, typ }
  const signingInput = `${base64Url(canonicalJson(header))}.${base64Url(canonicalJson(payload))}`
  const jws = `${signingInput}.${base64Url(await signer.sign(Buffer.from(signingInput, 'ascii')))}`
  if (jws.length > maxBytes) throw new MeshError('jws_too_large', `a ${typ} is limited to ${maxBytes} bytes`)
  return jws
}

/** A JWS in parts. Nothing in it is verified yet. */
export interface DecodedJws {
  readonly typ: JwsType
  readonly alg: JwsAlgorithm
  /** Certificates of the header, leaf first; empty where the type has none. */
  readonly x5cDer: readonly Uint8Array[]
  readonly payload: Uint8Array
  readonly signingInput: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Takes a compact JWS apart, strictly: size before anything else, base64url without padding and in its one
 * form, a header in RFC 8785 form of exactly `alg`, `typ` and (where the type says so) `x5c` of one to three
 * certificates. Everything else in a header is refused, `crit`, `b64`, `jwk`, `jku` and `kid` among it.
 * Does **not** verify the signature, look into the certificates, or parse the payload.
 *
 * @throws {MeshError} `jws_too_large`, `jws_malformed`, `jws_header_refused`, `jws_type_refused`, `jws_algorithm_refused`
 *
 * Source: RFC 7515 §5.2, RFC 8725 §3.1 (algorithms), §3.11 (explicit types).
 */
export function decodeJws(text: string, typ: JwsType, maxBytes: number = JWS_TYPES[typ].maxBytes): DecodedJws {
  if (text.length > maxBytes) throw new MeshError('jws_too_large', `a ${typ} is limited to ${maxBytes} bytes`)
  const parts = text.split('.', 4)
  const [header64, payload64, signature64] = parts
  if (parts.length !== 3 || header64 === undefined || payload64 === undefined || signature64 === undefined) {
    throw new MeshError('jws_malformed', 'a compact JWS has three parts')
  }
  if (header64.length > MAX_HEADER_LENGTH || signature64.length > MAX_SIGNATURE_LENGTH) {
    throw new MeshError('jws_too_large', 'header or signature of the JWS is too large')
  }
  const { alg, x5cDer } = readHeader(fromBase64Url(header64), typ)
  return {
    typ,
    alg,
    x5cDer,
    payload: fromBase64Url(payload64),
    signingInput: Buffer.from(text.slice(0, header64.length + 1 + payload64.length), 'ascii'),
    signature: fromBase64Url(signature64),
  }
}

/**
 * Whether the signature is `publicKey`'s. Says nothing about who that is.
 * @throws {MeshError} `jws_key_mismatch` when the algorithm is not the one of this key, `jws_malformed`
 */
export function verifyJws(jws: DecodedJws, publicKey: PublicKey): boolean {
  if (algorithmOf(publicKey) !== jws.alg) {
    throw new MeshError('jws_key_mismatch', `${jws.alg} does not fit the key of the certificate`)
  }
  const { signature: algorithm, width } = JWS_ALGORITHMS[jws.alg]
  const signature = width === undefined ? jws.signature : rawToDer(jws.signature, width)
  return verifySignature(algorithm, publicKey, jws.signingInput, signature)
}

function readHeader(bytes: Uint8Array, typ: JwsType): { alg: JwsAlgorithm; x5cDer: readonly Uint8Array[] } {
  const header = parseCanonical(bytes)?.value
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new MeshError('jws_header_refused', 'the header of the JWS is not a JSON object in canonical form')
  }
  const { alg, typ: found, x5c, ...others } = header as Readonly<Record<string, unknown>> // a JSON object, see above
  if (found !== typ) throw new MeshError('jws_type_refused', `the JWS is not of type ${typ}`)
  if (typeof alg !== 'string' || !Object.hasOwn(JWS_ALGORITHMS, alg)) {
    throw new MeshError('jws_algorithm_refused', 'the JWS is not signed with ES256, ES384 or PS384')
  }
  const [other] = Object.keys(others)
  if (other !== undefined)
    throw new MeshError('jws_header_refused', 'the header of the JWS carries more than alg, typ and x5c')
  return { alg: alg as JwsAlgorithm, x5cDer: JWS_TYPES[typ].x5c ? readX5c(x5c) : refuseX5c(x5c) } // key of the table, see above
}

/** RFC 7515 §4.1.6: base64 (not base64url) of DER, leaf first. */
function readX5c(x5c: unknown): readonly Uint8Array[] {
  if (!Array.isArray(x5c) || x5c.length < 1 || x5c.length > MAX_CERTIFICATES) {
    throw new MeshError('jws_header_refused', `x5c lists one to ${MAX_CERTIFICATES} certificates`)
  }
  return x5c.map((entry: unknown) => {
    const der = typeof entry === 'string' ? Buffer.from(entry, 'base64') : Buffer.alloc(0)
    if (der.length === 0 || der.toString('base64') !== entry) {
      throw new MeshError('jws_header_refused', 'x5c is not strict base64')
    }
    return der
  })
}

function refuseX5c(x5c: unknown): readonly Uint8Array[] {
  if (x5c !== undefined) throw new MeshError('jws_header_refused', 'this type of JWS carries no certificates')
  return []
}

function algorithmOf({ kind }: PublicKey): JwsAlgorithm | undefined {
  if (kind.type === 'rsa') return 'PS384'
  return kind.curve === 'P-256' ? 'ES256' : kind.curve === 'P-384' ? 'ES384' : undefined
}

function base64Url(data: string | Uint8Array): string {
  return (typeof data === 'string' ? Buffer.from(data, 'utf8') : Buffer.from(data)).toString('base64url')
}

/** Node's decoder forgives padding, white space and stray low bits; what it gives must encode to the same text. */
function fromBase64Url(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length === 0 || bytes.toString('base64url') !== text) {
    throw new MeshError('jws_malformed', 'a part of the JWS is not strict base64url')
  }
  return bytes
}

const MAX_HEADER_LENGTH = 96 * 1024
const MAX_SIGNATURE_LENGTH = 1024
const MAX_CERTIFICATES = 3
