import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { nodeSignatureOptions, type SignatureAlgorithmName, signingAlgorithmFor, type TbsSigner } from '../algorithm.ts'
import { type Certificate, decodeCertificate } from '../certificate.ts'
import { encodeSigned, encodeTbsFields } from '../encode-certificate.ts'
import * as extension from '../extension/encode.ts'
import { encodeName, type Name } from '../name.ts'
import { OID } from '../oid.ts'
import { publicKeyOf } from '../public-key.ts'

/** A key in memory that signs without waiting. */
export interface TestKey extends TbsSigner {
  readonly privateKey: KeyObject
  signNow(bytes: Uint8Array, algorithm?: SignatureAlgorithmName): Uint8Array
}

export interface Minted {
  readonly der: Uint8Array
  readonly key: TestKey
  readonly certificate: Certificate
}

/** Extension slots in the order they are written; `undefined` leaves one out. */
export type Slots = Record<string, Uint8Array | undefined>

/** What signs a certificate, and under which name. */
export interface Issuing {
  readonly key: TestKey
  readonly certificate: Pick<Certificate, 'subject'>
}

export interface MintSpec<I extends Issuing = Minted> {
  readonly name?: string | Name
  readonly issuer?: I
  readonly issuerName?: Name
  readonly key?: TestKey
  readonly serial?: Uint8Array
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly algorithm?: SignatureAlgorithmName
  readonly slots?: Slots
}

/** The instant around which everything minted here is valid. */
export const AT = new Date('2026-06-01T12:00:00Z')
export const FROM = new Date('2026-01-01T00:00:00Z')
export const UNTIL = new Date('2026-12-31T23:59:59Z')

export function testKey(from: 'P-256' | 'P-384' | 'P-521' | KeyObject = 'P-256'): TestKey {
  const privateKey = typeof from === 'string' ? generateKeyPairSync('ec', { namedCurve: from }).privateKey : from
  const publicKey = publicKeyOf(privateKey)
  const algorithm = signingAlgorithmFor(publicKey.kind)
  const signNow = (bytes: Uint8Array, chosen: SignatureAlgorithmName = algorithm) => {
    const { hash, options } = nodeSignatureOptions(chosen)
    return new Uint8Array(sign(hash, bytes, { key: privateKey, ...options }))
  }
  return { privateKey, publicKey, algorithm, signNow, sign: async (bytes) => signNow(bytes) }
}

/** A CA with `serverAuth` and `clientAuth`, or a root without EKU when it has no issuer. */
export function mintCa(spec: MintSpec = {}): Minted {
  const eku = spec.issuer === undefined ? {} : { extKeyUsage: serverAndClient() }
  return mint({
    name: spec.issuer === undefined ? 'Test Root' : 'Test CA',
    ...spec,
    slots: {
      basicConstraints: extension.encodeBasicConstraints({ isCa: true }),
      keyUsage: extension.encodeKeyUsage(['keyCertSign', 'cRLSign']),
      ...eku,
      ...spec.slots,
    },
  })
}

/** A leaf with `serverAuth`, `clientAuth` and one URI. */
export function mintLeaf(spec: MintSpec & { readonly issuer: Minted }): Minted {
  return mint({
    name: 'abcdefgh01234567',
    ...spec,
    slots: {
      basicConstraints: extension.encodeBasicConstraints({ isCa: false }),
      keyUsage: extension.encodeKeyUsage(['digitalSignature']),
      extKeyUsage: serverAndClient(),
      subjectAltName: uriSan('spiffe://vcc.internal/org/brandenburg/svc/argus'),
      ...spec.slots,
    },
  })
}

/** Writes and signs whatever `spec` says. */
export function mintDer(spec: MintSpec<Issuing>): { der: Uint8Array; key: TestKey } {
  const key = spec.key ?? testKey()
  const signer = spec.issuer?.key ?? key
  const subject = typeof spec.name === 'object' ? spec.name : encodeName([{ type: 'CN', value: spec.name ?? 'test' }])
  const algorithm = spec.algorithm ?? signer.algorithm
  const tbsDer = encodeTbsFields({
    serial: spec.serial ?? new Uint8Array([1, ...crypto.getRandomValues(new Uint8Array(19))]),
    algorithm,
    issuer: spec.issuerName ?? spec.issuer?.certificate.subject ?? subject,
    subject,
    notBefore: spec.notBefore ?? FROM,
    notAfter: spec.notAfter ?? UNTIL,
    spkiDer: key.publicKey.spkiDer,
    extensions: Object.values(spec.slots ?? {}).filter((slot) => slot !== undefined),
  })
  return { der: encodeSigned(tbsDer, algorithm, signer.signNow(tbsDer, algorithm)), key }
}

export function uriSan(...uris: string[]): Uint8Array {
  return extension.encodeSubjectAltName(
    uris.map((value) => ({ type: 'uri', value })),
    false,
  )
}

function mint(spec: MintSpec): Minted {
  const { der, key } = mintDer(spec)
  return { der, key, certificate: decodeCertificate(der) }
}

function serverAndClient(): Uint8Array {
  return extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth], false)
}
