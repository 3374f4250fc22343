import { randomBytes } from 'node:crypto'
import {
  type Certificate,
  decodeCertificate,
  encodeName,
  encodePem,
  encodeSigned,
  encodeTbsFields,
  extension,
  issuerOf,
  type KeyUsage,
  OID,
} from '@vcc/x509'
import { type TestSigner, testSigner } from './key.ts'

/** A certificate with its key and the certificates up to, not including, its root. */
export interface TestCredential {
  readonly certificate: Certificate
  readonly certDer: Uint8Array
  readonly certPem: string
  /** Leaf first, without the root. */
  readonly chainDer: readonly Uint8Array[]
  readonly chainPem: string
  readonly keyPem: string
  readonly signer: TestSigner
}

/** Everything a leaf can say. No rule is held to: what tests need is mostly wrong. */
export interface LeafSpec {
  readonly commonName: string
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  readonly addresses: readonly Uint8Array[]
  readonly emails: readonly string[]
  /** Policy OIDs. */
  readonly policies: readonly string[]
  /** OIDs; none leaves the extension out. */
  readonly extKeyUsage: readonly string[]
  readonly ekuCritical: boolean
  readonly keyUsage: readonly KeyUsage[]
  readonly isCa: boolean
  readonly notBefore: Date
  readonly notAfter: Date
  /** Finished Extension values to stand after the others. */
  readonly moreExtensions: readonly Uint8Array[]
  readonly serialHex: string
  /** Key of the leaf; a fresh P-256 one when absent. */
  readonly signer: TestSigner
}

/** Issues what `spec` says under `ca`, valid from five minutes before `now` for seven days unless it says otherwise. */
export function issueLeaf(ca: TestCredential, now: Date, spec: Partial<LeafSpec>): TestCredential {
  const signer = spec.signer ?? testSigner('api')
  const tbsDer = encodeTbsFields({
    serial: Uint8Array.fromHex(spec.serialHex ?? testSerialHex()),
    algorithm: ca.signer.algorithm,
    issuer: ca.certificate.subject,
    subject: encodeName(spec.commonName === undefined ? [] : [{ type: 'CN', value: spec.commonName }]),
    notBefore: spec.notBefore ?? secondsAfter(now, -300),
    notAfter: spec.notAfter ?? secondsAfter(now, 7 * 86_400),
    spkiDer: signer.publicKey.spkiDer,
    extensions: leafExtensions(ca, signer, spec),
  })
  return credential(encodeSigned(tbsDer, ca.signer.algorithm, ca.signer.signNow(tbsDer)), signer, ca.chainDer)
}

/** @param issuerChain What stands above the certificate in its chain, without the root. */
export function credential(
  certDer: Uint8Array,
  signer: TestSigner,
  issuerChain: readonly Uint8Array[],
): TestCredential {
  const chainDer = [certDer, ...issuerChain]
  return {
    certificate: decodeCertificate(certDer),
    certDer,
    certPem: encodePem('CERTIFICATE', certDer),
    chainDer,
    chainPem: chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
    keyPem: signer.keyPem,
    signer,
  }
}

/** 20 octets, the first one 01 to 7f. */
export function testSerialHex(): string {
  const octets = randomBytes(20)
  octets[0] = ((octets[0] ?? 0) % 0x7f) + 1
  return octets.toString('hex')
}

export function secondsAfter(instant: Date, seconds: number): Date {
  return new Date((Math.floor(instant.getTime() / 1000) + seconds) * 1000)
}

function leafExtensions(ca: TestCredential, signer: TestSigner, spec: Partial<LeafSpec>): Uint8Array[] {
  const names = [
    ...(spec.uris ?? []).map((value) => ({ type: 'uri', value }) as const),
    ...(spec.dnsNames ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(spec.emails ?? []).map((value) => ({ type: 'email', value }) as const),
    ...(spec.addresses ?? []).map((octets) => ({ type: 'ip', octets }) as const),
  ]
  const usages = spec.extKeyUsage ?? [OID.serverAuth, OID.clientAuth]
  const policies = spec.policies ?? []
  return [
    extension.encodeBasicConstraints({ isCa: spec.isCa ?? false }),
    extension.encodeKeyUsage(spec.keyUsage ?? ['digitalSignature']),
    ...(usages.length > 0 ? [extension.encodeExtKeyUsage(usages, spec.ekuCritical ?? false)] : []),
    extension.encodeSubjectKeyId(signer.publicKey.subjectKeyId),
    extension.encodeAuthorityKeyId(issuerOf(ca.certificate).subjectKeyId),
    ...(names.length > 0 ? [extension.encodeSubjectAltName(names, spec.commonName === undefined)] : []),
    ...(policies.length > 0 ? [extension.encodeCertificatePolicies(policies)] : []),
    ...(spec.moreExtensions ?? []),
  ]
}
