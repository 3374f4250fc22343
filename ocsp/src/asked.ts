import {
  decodeOcspRequest,
  type OcspRequest,
  type OcspRequestSignature,
  type PathOptions,
  verifyOcspRequestor,
  X509Error,
} from '@vcc/x509'
import { type IssuerIndex, issuerIndex } from './issuer-index.ts'
import type { IssuerPolicy } from './policy.ts'
import { OcspRefusal } from './refusal.ts'
import type { ResponderKey } from './responder-key.ts'
import type { ServedIssuer } from './status-source.ts'

/** A request whose issuer is served here, with the key that answers it. */
export interface Asked {
  readonly certIds: OcspRequest['certIds']
  /** To be repeated; undefined also where the issuer's policy leaves it out. */
  readonly nonce: Uint8Array | undefined
  readonly issuer: ServedIssuer
  /** Of which list it came. */
  readonly issuers: readonly ServedIssuer[]
  readonly policy: IssuerPolicy
  readonly key: ResponderKey
}

export interface AskedDeps {
  readonly issuers: () => readonly ServedIssuer[]
  readonly policyOf: (issuerId: string) => IssuerPolicy
  readonly keyOf: (issuerId: string) => ResponderKey | undefined
  readonly now: () => Date
}

/**
 * Reads requests and finds out whom they ask.
 *
 * Several CertIDs are answered together when they are of one issuer. Of several they are not: an answer has one signature, and
 * a delegated responder speaks for the CA that certified it (RFC 6960 §4.2.2.2).
 *
 * The function it returns throws {OcspRefusal} `request_malformed`, `issuer_unknown`, `issuers_mixed`, `signature_missing`,
 * `requestor_refused`, `responder_key_missing`.
 */
export function askedReader({ issuers, policyOf, keyOf, now }: AskedDeps): (requestDer: Uint8Array) => Asked {
  let index: IssuerIndex = issuerIndex([])
  return (requestDer) => {
    const { certIds, nonce, signature } = decode(requestDer)
    const served = issuers()
    if (index.issuers !== served) index = issuerIndex(served)
    const issuer = index.find(certIds[0])
    if (issuer === undefined) throw new OcspRefusal('issuer_unknown', 'that issuer is not served here')
    if (certIds.some((certId) => index.find(certId)?.id !== issuer.id)) {
      throw new OcspRefusal('issuers_mixed', 'the request is about certificates of several issuers')
    }
    const policy = policyOf(issuer.id)
    if (policy.requestors !== undefined) admit(signature, { ...policy.requestors, at: now() })
    const key = keyOf(issuer.id)
    if (key === undefined) throw new OcspRefusal('responder_key_missing', 'this issuer has no responder key in force')
    return { certIds, nonce: policy.nonce === 'echo' ? nonce : undefined, issuer, issuers: served, policy, key }
  }
}

function decode(requestDer: Uint8Array): OcspRequest {
  try {
    return decodeOcspRequest(requestDer)
  } catch (error) {
    if (error instanceof X509Error) throw new OcspRefusal('request_malformed', error.message)
    throw error
  }
}

function admit(signature: OcspRequestSignature | undefined, options: PathOptions): void {
  if (signature === undefined)
    throw new OcspRefusal('signature_missing', 'this issuer is asked about by signed requests only')
  try {
    verifyOcspRequestor(signature, options)
  } catch (error) {
    if (error instanceof X509Error) throw new OcspRefusal('requestor_refused', error.message)
    throw error
  }
}
