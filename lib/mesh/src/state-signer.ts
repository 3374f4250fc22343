import { type Certificate, decodeCertificate, OID, type VerifiedPath, validateChain, X509Error } from '@vcc/x509'
import { MeshError } from './errors.ts'
import { instantOf } from './instant.ts'
import { type DecodedJws, verifyJws } from './jws.ts'
import type { Term } from './lifetimes.ts'
import { isStateSigner, stateSigningEku, type TrustStatement } from './trust.ts'

/**
 * Step one of two: the signature is that of the key in `x5c[0]`. Until `assertStateSigner` has judged that
 * certificate this proves only that the text is whole.
 *
 * @throws {MeshError} `state_signature_invalid`, `jws_key_mismatch`, `jws_certificate_malformed`
 */
export function assertSignedByLeaf(jws: DecodedJws): void {
  if (!verifyJws(jws, leafOf(jws).publicKey)) {
    throw new MeshError('state_signature_invalid', 'the signature is not by the key of the certificate in x5c')
  }
}

/**
 * Step two: the certificate may sign state. Its chain leads to the mesh root; it and its issuer carry our EKU
 * for state, in the leaf alone and critical; the trust statement names its key; and nothing is enforced past
 * the end of a certificate in the chain.
 *
 * @param at Instant for validity.
 * @throws {MeshError} `state_signer_refused`; its `cause` is the X509Error, if there was one
 */
export function assertStateSigner(
  jws: DecodedJws,
  term: Pick<Term, 'enforceUntil'> | undefined,
  by: { readonly root: Certificate; readonly trust: TrustStatement; readonly at: Date },
): void {
  const eku = stateSigningEku(by.trust)
  const { leaf, chain } = pathOf(jws, by.root, by.at, eku)
  const usages = leaf.extensions.extKeyUsage
  if (usages === undefined || usages.length !== 1 || !leaf.extensions.critical.has(OID.extKeyUsage)) {
    throw refused('its extended key usage is not that for state alone, critical')
  }
  if (chain[1]?.extensions.extKeyUsage?.includes(eku) !== true)
    throw refused('its issuer may not grant the signing of state')
  if (!isStateSigner(by.trust, leaf.publicKey.spkiSha256Hex)) throw refused('the trust statement does not name its key')
  if (term !== undefined && chain.some(({ notAfter }) => instantOf(term.enforceUntil) > notAfter)) {
    throw refused('it would be enforced past the end of its certificate')
  }
}

function pathOf(jws: DecodedJws, root: Certificate, at: Date, eku: string): VerifiedPath {
  try {
    return validateChain(jws.x5cDer, { anchors: [root], at, eku })
  } catch (cause) {
    if (cause instanceof X509Error) throw refused(cause.message, { cause })
    throw cause
  }
}

/** @throws {MeshError} `jws_certificate_malformed` */
export function leafOf(jws: DecodedJws): Certificate {
  const [der] = jws.x5cDer
  if (der === undefined) throw new TypeError(`${jws.typ} carries no certificate`)
  try {
    return decodeCertificate(der)
  } catch (cause) {
    if (cause instanceof X509Error) {
      throw new MeshError('jws_certificate_malformed', 'the certificate in x5c cannot be read', { cause })
    }
    throw cause
  }
}

function refused(why: string, options?: ErrorOptions): MeshError {
  return new MeshError('state_signer_refused', `the certificate may not sign state: ${why}`, options)
}
