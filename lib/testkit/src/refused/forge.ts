import { der, encodeName, encodeSigned, encodeTbsFields, extension, type Name, OID, type X509Failure } from '@vcc/x509'
import { testSerialHex } from '../credential.ts'
import { type TestSigner, testSigner } from '../key.ts'

/** A certificate that says whatever a test wants, readable or not. */
export interface Forged {
  readonly der: Uint8Array
  readonly signer: TestSigner
  readonly name: Name
}

export interface ForgeSpec {
  readonly name?: string | Name
  /** Itself when absent. */
  readonly issuer?: Pick<Forged, 'signer' | 'name'>
  readonly signer?: TestSigner
  readonly serialHex?: string
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** By name, in the order they are written; `undefined` leaves one out. */
  readonly slots?: Readonly<Record<string, Uint8Array | undefined>>
}

/** A table of failure codes, each with something that ends with it. */
export function casesOf<C extends X509Failure>(
  cases: Readonly<Record<C, () => unknown>>,
): Readonly<Record<C, () => unknown>> {
  return cases
}

/** The instant around which everything forged is valid. */
export const AT = new Date('2026-06-01T12:00:00Z')
export const FROM = new Date('2026-01-01T00:00:00Z')
export const UNTIL = new Date('2026-12-31T23:59:59Z')

/** A CA as RFC 5280 §4 wants it, but for what `spec` says. */
export function forgeCa(spec: ForgeSpec = {}): Forged {
  const name = spec.issuer === undefined ? 'Root' : 'CA'
  return forge({ name, ...spec }, [
    ['basicConstraints', extension.encodeBasicConstraints({ isCa: true })],
    ['keyUsage', extension.encodeKeyUsage(['keyCertSign', 'cRLSign'])],
  ])
}

/** The TLS server `server.example.com` of the public web, but for what `spec` says. */
export function forgeLeaf(spec: ForgeSpec & { readonly issuer: Pick<Forged, 'signer' | 'name'> }): Forged {
  return forge({ name: 'server.example.com', ...spec }, [
    ['keyUsage', extension.encodeKeyUsage(['digitalSignature'])],
    ['extKeyUsage', extension.encodeExtKeyUsage([OID.serverAuth, OID.clientAuth], false)],
    ['altNames', dnsNames('server.example.com')],
  ])
}

export function dnsNames(...names: string[]): Uint8Array {
  return extension.encodeSubjectAltName(
    names.map((value) => ({ type: 'dns', value })),
    false,
  )
}

export function commonName(value: string): Name {
  return encodeName([{ type: 'CN', value }])
}

/** An extension from the hex of its value. */
export function rawExtension(oid: string, critical: boolean, valueHex: string): Uint8Array {
  return extension.encodeExtension(oid, critical, hex(valueHex))
}

export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(' ', ''))
}

export const { constructed, encodeDer, integer, primitive, sequence } = der

function forge(spec: ForgeSpec, slots: readonly (readonly [string, Uint8Array])[]): Forged {
  const signer = spec.signer ?? testSigner('issuing')
  const name = typeof spec.name === 'object' ? spec.name : commonName(spec.name ?? 'nobody')
  const issuer = spec.issuer ?? { signer, name }
  const extensions = {
    ...Object.fromEntries(slots),
    subjectKeyId: extension.encodeSubjectKeyId(signer.publicKey.subjectKeyId),
    authorityKeyId: extension.encodeAuthorityKeyId(issuer.signer.publicKey.subjectKeyId),
    ...spec.slots,
  }
  const { algorithm } = issuer.signer
  const tbsDer = encodeTbsFields({
    serial: hex(spec.serialHex ?? testSerialHex()),
    algorithm,
    issuer: issuer.name,
    subject: name,
    notBefore: spec.notBefore ?? FROM,
    notAfter: spec.notAfter ?? UNTIL,
    spkiDer: signer.publicKey.spkiDer,
    extensions: Object.values(extensions).filter((slot) => slot !== undefined),
  })
  return { der: encodeSigned(tbsDer, algorithm, issuer.signer.signNow(tbsDer)), signer, name }
}
