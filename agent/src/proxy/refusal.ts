import { DENIALS, type DenyCode } from '@vcc/policy'
import { X509_FAILURES, type X509Failure } from '@vcc/x509'

/** A call, a connection or a request that was not let through: what both sides are told. */
export interface Refusal {
  readonly code: RefusalCode
  /** The rule that refused: a rule of the matrix, or the part of the data plane. */
  readonly rule: string
  /** For the log of this side only: never on the wire. */
  readonly detail?: string
}

export type RefusalCode = OwnCode | DenyCode | X509Failure
type OwnCode = keyof typeof OWN

/**
 * What goes on the wire for the codes that are ours. `caller` is the status when the refusing agent stands beside
 * the caller, `callee` beside the callee.
 */
const OWN = {
  // Identity of the peer
  session_resumed: { caller: 502, callee: 403, title: 'The peer resumed a TLS session' },
  certificate_missing: { caller: 502, callee: 403, title: 'The peer showed no certificate' },
  peer_unauthorized: { caller: 502, callee: 403, title: 'The TLS library does not accept the certificate' },
  peer_denied: { caller: 502, callee: 403, title: 'Signed state denies the certificate, its key or its service' },
  spiffe_id_invalid: { caller: 502, callee: 403, title: 'The certificate does not name a service' },
  trust_domain_foreign: { caller: 502, callee: 403, title: 'The certificate is of another trust domain' },
  issuer_not_in_table: { caller: 502, callee: 403, title: 'The issuer may not vouch for services' },
  issuer_purpose_not_vouched: { caller: 502, callee: 403, title: 'The issuer may not vouch for services' },
  issuer_org_not_vouched: { caller: 502, callee: 403, title: 'The issuer may not vouch for this organisation' },
  issuer_class_not_vouched: { caller: 502, callee: 403, title: 'The issuer may not vouch for this class' },
  class_unknown: { caller: 502, callee: 403, title: 'The class of the certificate is not known here' },
  instance_invalid: { caller: 502, callee: 403, title: 'The certificate does not name an instance' },
  peer_not_expected: { caller: 502, callee: 403, title: 'The peer is another service than the one called' },
  protocol_not_spoken: { caller: 502, callee: 403, title: 'The peer is not an agent' },
  // This agent
  not_ready: { caller: 503, callee: 503, title: 'The agent has no state yet' },
  state_expired: { caller: 503, callee: 503, title: 'The stored state may not be enforced any longer' },
  own_certificate_expired: { caller: 503, callee: 503, title: "The agent's own certificate has expired" },
  draining: { caller: 503, callee: 503, title: 'The agent is shutting down' },
  connection_limit: { caller: 503, callee: 503, title: 'Too many connections' },
  connection_too_old: { caller: 503, callee: 503, title: 'The connection has reached its maximum age' },
  // The way to the service
  upstream_unknown: { caller: 502, callee: 502, title: 'The state names no address for the service' },
  upstream_unreachable: { caller: 502, callee: 502, title: 'No agent of the service can be reached' },
  upstream_timeout: { caller: 504, callee: 504, title: 'The service did not answer in time' },
  upstream_failed: { caller: 502, callee: 502, title: 'The connection to the service failed' },
  upstream_busy: { caller: 503, callee: 503, title: 'Too many requests wait for the service' },
  upstream_answer_invalid: { caller: 502, callee: 502, title: 'The agent of the service gave no proper answer' },
  upstream_not_trusted: { caller: 502, callee: 502, title: 'The external service is not the one registered' },
  service_unreachable: { caller: 503, callee: 503, title: 'The local service does not answer' },
  service_failed: { caller: 502, callee: 502, title: 'The local service broke off' },
  service_timeout: { caller: 504, callee: 504, title: 'The local service did not answer in time' },
  // HTTP
  request_malformed: { caller: 400, callee: 400, title: 'The request is not proper HTTP/1.1' },
  request_timeout: { caller: 408, callee: 408, title: 'The request did not arrive in time' },
  request_head_too_large: { caller: 431, callee: 431, title: 'The head of the request is too large' },
  host_ambiguous: { caller: 400, callee: 400, title: 'The request has not exactly one Host' },
  host_invalid: { caller: 400, callee: 400, title: 'The Host of the request is not a host' },
  framing_ambiguous: { caller: 400, callee: 400, title: 'The length of the request is ambiguous' },
  path_not_canonical: { caller: 400, callee: 400, title: 'The path is not canonical' },
  upgrade_refused: { caller: 501, callee: 501, title: 'Changing the protocol is not declared for the service' },
  expectation_refused: { caller: 417, callee: 417, title: 'The expectation is not supported' },
} as const satisfies Record<string, WireForm>

interface WireForm {
  readonly caller: number
  readonly callee: number
  readonly title: string
}

const CERTIFICATE: WireForm = { caller: 502, callee: 403, title: 'The certificate is not acceptable' }
const BY_NEWER_AGENT: WireForm = { caller: 403, callee: 403, title: 'The agent of the service refused the call' }

/** How a code is told over HTTP. A code nobody here knows came from an agent newer than this one. */
export function wireForm(code: string): WireForm {
  if (Object.hasOwn(OWN, code)) return OWN[code as OwnCode] // a key of the table
  if (Object.hasOwn(DENIALS, code)) return { caller: 403, callee: 403, title: 'The matrix does not allow the call' }
  return Object.hasOwn(X509_FAILURES, code) ? CERTIFICATE : BY_NEWER_AGENT
}

/** The codes that are ours, for the generated error table. */
export const PROXY_REFUSALS: Readonly<Record<OwnCode, WireForm>> = OWN

/** A refusal on its way out of a function that dials. `side` says whose agent refused. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly refusal: Refusal | ForeignRefusal
  readonly side: 'caller' | 'callee'
  readonly connection: string

  constructor(
    refusal: Refusal | ForeignRefusal,
    at: { readonly side: 'caller' | 'callee'; readonly connection: string },
    options?: ErrorOptions,
  ) {
    super(refusal.code, options)
    this.refusal = refusal
    this.side = at.side
    this.connection = at.connection
  }
}

/** What the other agent said; its code may be one we do not know. */
export interface ForeignRefusal {
  readonly code: string
  readonly rule: string
  readonly detail?: string
}
