import * as extension from '../extension/encode.ts'
import { encodeCertId } from '../ocsp/cert-id.ts'
import type { OcspSingle } from '../ocsp/encode-response.ts'
import { assembleOcspResponse, encodeOcspResponseData, ocspResponder } from '../ocsp/encode-response.ts'
import { OID } from '../oid.ts'
import { AT, type Minted, type MintSpec, mintLeaf } from './mint.ts'

/** A delegated responder of `issuer`, as it should be; `spec` makes it otherwise. */
export function mintResponder(issuer: Minted, spec: MintSpec = {}): Minted {
  return mintLeaf({
    issuer,
    name: 'OCSP responder',
    ...spec,
    slots: {
      extKeyUsage: extension.encodeExtKeyUsage([OID.ocspSigning], false),
      subjectAltName: undefined,
      ocspNoCheck: extension.encodeOcspNoCheck(),
      ...spec.slots,
    },
  })
}

export const THIS_UPDATE = new Date('2026-06-01T11:59:00Z')
export const NEXT_UPDATE = new Date('2026-06-01T12:30:00Z')

/** A part that says `good` of `leaf`, around `AT`. */
export function single(leaf: Minted, issuer: Minted, changes: Partial<OcspSingle> = {}): OcspSingle {
  return {
    certIdDer: encodeCertId(issuer.certificate, leaf.certificate.serialHex),
    status: { status: 'good' },
    thisUpdate: THIS_UPDATE,
    nextUpdate: NEXT_UPDATE,
    ...changes,
  }
}

/** A response with these parts, signed by `responder`. */
export function answer(
  responder: Minted,
  singles: readonly OcspSingle[],
  changes: { producedAt?: Date; nonce?: Uint8Array; signedBy?: Minted } = {},
): Uint8Array {
  const { signedBy = responder, ...fields } = changes
  const prepared = ocspResponder(responder.certificate, responder.key.algorithm)
  const data = encodeOcspResponseData(prepared, { producedAt: AT, singles, ...fields })
  return assembleOcspResponse(prepared, data, signedBy.key.signNow(data))
}
