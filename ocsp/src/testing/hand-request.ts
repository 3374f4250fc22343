import type { TestCredential } from '@vcc/testkit'
import { der, issuerHashes, OID, oid } from '@vcc/x509'

/** A CertID by SHA-256 whose algorithm has these parameters, or another OID. */
export function handCertId(
  issuer: TestCredential,
  serialHex: string,
  algorithm: { oid?: string; isNull?: boolean } = {},
): Uint8Array {
  const { nameHash, keyHash } = issuerHashes(issuer.certificate, 'sha256')
  return der.encodeDer(
    der.sequence(
      der.sequence(oid(algorithm.oid ?? OID.sha256), algorithm.isNull === true ? der.NULL : undefined),
      der.octetString(nameHash),
      der.octetString(keyHash),
      der.integer(Uint8Array.fromHex(serialHex)),
    ),
  )
}

/** A request as `encodeOcspRequest` would not write it. */
export function handRequest(
  certIds: readonly Uint8Array[],
  more: { nonce?: Uint8Array; signedBy?: TestCredential } = {},
): Uint8Array {
  const nonce = more.nonce && der.sequence(oid(OID.ocspNonce), der.octetString(der.octetString(more.nonce)))
  const tbs = der.encodeDer(
    der.sequence(
      der.sequence(...certIds.map((certId) => der.sequence(certId))),
      nonce && der.constructed(0xa2, der.sequence(nonce)),
    ),
  )
  return der.encodeDer(der.sequence(tbs, more.signedBy && signatureOf(tbs, more.signedBy)))
}

function signatureOf(tbs: Uint8Array, { signer, chainDer }: TestCredential): der.Der {
  const algorithm = der.sequence(oid(OID.ecdsaWithSha256))
  const chain = der.constructed(0xa0, der.sequence(...chainDer))
  return der.constructed(0xa0, der.sequence(algorithm, der.bitString(signer.signNow(tbs)), chain))
}
