import { assembleCertificate, buildTbs, DEFAULT_OID_ARC, encodeName, issuerOf } from '@vcc/x509'
import { credential, secondsAfter, type TestCredential, testSerialHex } from './credential.ts'
import { testSigner } from './key.ts'

/** A delegated OCSP responder of this CA, in force from five minutes before `from`; for a week, or so many seconds. */
export function ocspResponder(ca: TestCredential, from: Date, seconds = 7 * 86_400): TestCredential {
  const signer = testSigner('ocsp')
  const tbs = buildTbs({
    profile: 'ocsp-responder',
    serialHex: testSerialHex(),
    issuer: issuerOf(ca.certificate),
    subject: encodeName([{ type: 'CN', value: 'OCSP responder' }]),
    publicKey: signer.publicKey,
    notBefore: secondsAfter(from, -300),
    notAfter: secondsAfter(from, seconds),
    oidArc: DEFAULT_OID_ARC,
    crlUrl: 'http://status.vcc.internal:8080/crl/0',
  })
  return credential(assembleCertificate(tbs, ca.signer.algorithm, ca.signer.signNow(tbs.der)), signer, ca.chainDer)
}
