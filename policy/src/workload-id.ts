import { PolicyError, quote } from './error.ts'
import { canonicalOrganizationName, canonicalServiceName, RESERVED_SERVICE_NAMES } from './name.ts'

declare const role: unique symbol

/** SPIFFE ID of a service: `spiffe://<trust-domain>/org/<organisation>/svc/<service>`, names canonical. */
export type WorkloadId = string & { readonly [role]: 'workload' }

export interface WorkloadParts {
  readonly id: WorkloadId
  readonly trustDomain: string
  readonly organization: string
  readonly service: string
}

/** Where names without an organisation belong. */
export interface Home {
  readonly trustDomain: string
  readonly organization: string
}

/**
 * The ID of a service. Names are brought into canonical form first (`_` becomes `-`).
 *
 * @throws {PolicyError} `trust_domain_invalid`, `organization_name_invalid`, `service_name_invalid`,
 *   `service_name_reserved`.
 */
export function workloadId(trustDomain: string, organization: string, service: string): WorkloadId {
  if (!TRUST_DOMAIN.test(trustDomain)) {
    throw new PolicyError('trust_domain_invalid', `${quote(trustDomain)} is not a trust domain`)
  }
  const path = `org/${canonicalOrganizationName(organization)}/svc/${canonicalServiceName(service)}`
  return `spiffe://${trustDomain}/${path}` as WorkloadId // minted here and in parseWorkloadId
}

/**
 * Reads the ID of a service, byte for byte: nothing is canonicalised, decoded or trimmed.
 * IDs of the control plane, the broker, nodes and admins are not services and are refused.
 *
 * @throws {PolicyError} `workload_id_invalid`.
 */
export function parseWorkloadId(uri: string): WorkloadParts {
  const [, trustDomain, organization, service] = WORKLOAD.exec(uri) ?? []
  if (trustDomain === undefined || organization === undefined || service === undefined) {
    throw new PolicyError('workload_id_invalid', `${quote(uri)} is not the SPIFFE ID of a service`)
  }
  if (RESERVED_SERVICE_NAMES.includes(service)) {
    throw new PolicyError('workload_id_invalid', `${quote(uri)} names a reserved service`)
  }
  return { id: uri as WorkloadId, trustDomain, organization, service }
}

/**
 * The ID meant by what an operator types: `argus`, `partner/argus` or a full SPIFFE ID.
 *
 * @throws {PolicyError} as `workloadId` and `parseWorkloadId`.
 */
export function resolveWorkload(text: string, home: Home): WorkloadId {
  if (text.startsWith('spiffe://')) return parseWorkloadId(text).id
  const slash = text.indexOf('/')
  if (slash < 0) return workloadId(home.trustDomain, home.organization, text)
  return workloadId(home.trustDomain, text.slice(0, slash), text.slice(slash + 1))
}

/** The name one reads in a sentence about a call: `argus`, or `partner/argus` when `other` is of another organisation. */
export function displayName(id: WorkloadId, other: WorkloadId): string {
  const own = parseWorkloadId(id)
  return own.organization === parseWorkloadId(other).organization ? own.service : `${own.organization}/${own.service}`
}

/** Code unit order, the order of RFC 8785 §3.2.3: the same on every machine, whatever its locale. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

// SPIFFE-ID §2.1: lower-case letters, digits, dots, dashes and underscores.
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const WORKLOAD = /^spiffe:\/\/([a-z0-9._-]{1,255})\/org\/([a-z][a-z0-9-]{0,39})\/svc\/([a-z][a-z0-9-]{0,39})$/
