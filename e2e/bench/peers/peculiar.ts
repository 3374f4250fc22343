import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CertificatePolicyExtension,
  cryptoProvider,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

cryptoProvider.set(webcrypto as never)

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** The same certificate by @peculiar/x509: build, sign, serialise; and read with the same extensions looked at. */
export async function peer() {
  const ca = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const leaf = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const make = async () => {
    const certificate = await X509CertificateGenerator.create({
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(19))).toString('hex'),
      issuer: 'CN=VCC Services CA',
      subject: 'CN=abcdefghij012345',
      notBefore: new Date('2026-11-23T00:00:00Z'),
      notAfter: new Date('2026-11-29T23:59:59Z'),
      publicKey: leaf.publicKey,
      signingKey: ca.privateKey,
      signingAlgorithm: P256,
      extensions: [
        new BasicConstraintsExtension(false),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
        new SubjectAlternativeNameExtension([
          { type: 'url', value: 'spiffe://vcc.internal/org/brandenburg/svc/argus' },
          { type: 'dns', value: 'argus.brandenburg.vcc.internal' },
          { type: 'dns', value: 'argus.vcc.internal' },
        ]),
        new CertificatePolicyExtension(['1.3.6.1.4.1.55555.2.1']),
        await SubjectKeyIdentifierExtension.create(leaf.publicKey),
        await AuthorityKeyIdentifierExtension.create(ca.publicKey),
      ],
    })
    return certificate.rawData
  }
  const read = (der: Uint8Array) => {
    const certificate = new X509Certificate(Uint8Array.from(der).buffer)
    return certificate.extensions.map((extension) => extension.type)
  }
  return { make, read }
}
