import { randomBytes } from 'node:crypto'
import { type Certificate, type TbsSigner, verifySignature } from '@vcc/x509'
import { KeyError } from './error.ts'

/**
 * Proves that the signer's private key is that of the certificate: the public keys are equal, and a signature made now
 * verifies under the certificate's. What is signed is a random challenge that cannot be read as DER.
 *
 * Does not look at names, validity or purpose.
 *
 * @throws {KeyError} `key_certificate_mismatch`; what `sign` throws
 */
export async function assertKeyMatches(
  signer: TbsSigner & { readonly keyId?: string },
  certificate: Pick<Certificate, 'publicKey'>,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const name = signer.keyId === undefined ? 'the key' : `key ${signer.keyId}`
  if (!Buffer.from(signer.publicKey.spkiDer).equals(certificate.publicKey.spkiDer)) {
    throw new KeyError('key_certificate_mismatch', `${name} is not the key of the certificate`)
  }
  const challenge = Buffer.concat([Buffer.from('vcc-key challenge\n'), randomBytes(32)])
  const signature = await signer.sign(challenge, options)
  if (!verifySignature(signer.algorithm, certificate.publicKey, challenge, signature)) {
    throw new KeyError('key_certificate_mismatch', `${name} signs, but not as the key of the certificate`)
  }
}
