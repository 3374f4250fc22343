import { X509Error } from '../errors.ts'
import { OID } from '../oid.ts'
import type { Budget } from './budget.ts'
import { addLevel, authorityPolicies, initialGraph, mapPolicies, type PolicyGraph } from './policy-graph.ts'
import type { Path, PathCertificate } from './resolve.ts'

/** The policy inputs of RFC 5280 §6.1.1 (c), (e), (f), (g). Each is off when absent. */
export interface PolicyInputs {
  /** user-initial-policy-set; any policy when absent. */
  readonly acceptable?: readonly string[]
  readonly requireExplicitPolicy?: boolean
  readonly inhibitPolicyMapping?: boolean
  readonly inhibitAnyPolicy?: boolean
}

/** What policy processing looks at. */
type PolicyBearer = Pick<PathCertificate, 'extensions' | 'isSelfIssued'>

/**
 * Processes the policies of a path; the anchor's own are not looked at.
 *
 * @returns The user-constrained policy set: the policies the path is valid for, `anyPolicy` among them where nothing limits
 *   them; empty when there is none and none is required.
 * @throws {X509Error} `policy_not_valid`, `policy_mapping_invalid`, `policy_budget_exceeded`.
 *
 * Source: RFC 5280 §6.1.2 to §6.1.5 as updated by RFC 9618 §5.
 */
export function processPolicies(path: Path<PolicyBearer>, inputs: PolicyInputs, budget: Budget): ReadonlySet<string> {
  const certificates = [...path.issuers.toReversed(), path.leaf]
  const skips = initialSkips(inputs, certificates.length + 1)
  let graph: PolicyGraph | undefined = initialGraph()
  for (const certificate of certificates) {
    const isLast = certificate === path.leaf
    // §6.1.3 (d): "inhibit_anyPolicy is greater than 0, or i<n and the certificate is self-issued"
    const isAnyAllowed = skips.anyPolicy > 0 || (!isLast && certificate.isSelfIssued)
    const asserted = certificate.extensions.certificatePolicies?.map(({ oid }) => oid)
    if (graph !== undefined) graph = addLevel(graph, asserted, isAnyAllowed, budget)
    // §6.1.3 (f): "Verify that either explicit_policy is greater than 0 or the valid_policy_graph is not equal to NULL"
    if (graph === undefined && skips.explicit === 0) refuse()
    if (!isLast) graph = prepareForNext(graph, certificate, skips, budget)
  }
  // §6.1.5 (a), (b)
  skips.explicit = Math.max(0, skips.explicit - 1)
  if (path.leaf.extensions.policyConstraints?.requireExplicitPolicy === 0) skips.explicit = 0
  const valid = userConstrained(graph, inputs.acceptable)
  // §6.1.5 (g): "If either (1) the value of explicit_policy is greater than zero, or (2) the user_constrained_policy_set is
  // not empty, then path processing has succeeded"
  if (skips.explicit === 0 && valid.size === 0) refuse()
  return valid
}

/** How many certificates may still follow before each rule applies. */
interface Skips {
  explicit: number
  mapping: number
  anyPolicy: number
}

/** §6.1.2 (d), (e), (f). */
function initialSkips(inputs: PolicyInputs, none: number): Skips {
  return {
    explicit: inputs.requireExplicitPolicy === true ? 0 : none,
    mapping: inputs.inhibitPolicyMapping === true ? 0 : none,
    anyPolicy: inputs.inhibitAnyPolicy === true ? 0 : none,
  }
}

/** §6.1.4 (a), (b), (h), (i), (j). */
function prepareForNext(
  graph: PolicyGraph | undefined,
  { extensions, isSelfIssued }: PolicyBearer,
  skips: Skips,
  budget: Budget,
): PolicyGraph | undefined {
  const { policyMappings: mappings = [], policyConstraints, inhibitAnyPolicy } = extensions
  // (a) "verify that the special value anyPolicy does not appear as an issuerDomainPolicy or a subjectDomainPolicy"
  if (mappings.some((row) => row.issuerDomainPolicy === OID.anyPolicy || row.subjectDomainPolicy === OID.anyPolicy)) {
    throw new X509Error('policy_mapping_invalid', 'a CA maps a policy to or from anyPolicy')
  }
  const mapped =
    graph === undefined || mappings.length === 0 ? graph : mapPolicies(graph, mappings, skips.mapping > 0, budget)
  if (!isSelfIssued) {
    skips.explicit = Math.max(0, skips.explicit - 1)
    skips.mapping = Math.max(0, skips.mapping - 1)
    skips.anyPolicy = Math.max(0, skips.anyPolicy - 1)
  }
  skips.explicit = Math.min(skips.explicit, policyConstraints?.requireExplicitPolicy ?? skips.explicit)
  skips.mapping = Math.min(skips.mapping, policyConstraints?.inhibitPolicyMapping ?? skips.mapping)
  skips.anyPolicy = Math.min(skips.anyPolicy, inhibitAnyPolicy ?? skips.anyPolicy)
  return mapped
}

function userConstrained(
  graph: PolicyGraph | undefined,
  acceptable: readonly string[] | undefined,
): ReadonlySet<string> {
  if (graph === undefined) return new Set()
  const granted = authorityPolicies(graph)
  if (acceptable === undefined || acceptable.includes(OID.anyPolicy)) return granted
  return new Set(granted.has(OID.anyPolicy) ? acceptable : acceptable.filter((policy) => granted.has(policy)))
}

function refuse(): never {
  throw new X509Error('policy_not_valid', 'no acceptable policy is valid along the path')
}
