import {
  type CompiledPolicy,
  compile,
  indexPolicy,
  type Matrix,
  type Notice,
  type PolicyIndex,
  parseMatrix,
  registeredOnly,
  type WorkloadId,
  workloadId,
} from '@vcc/policy'
import type { ReadAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import { type ServiceRow, servicesOf } from '../registry/store.ts'
import { latestPolicy } from './store.ts'

/** The matrix that decides now, resolved against the registry. */
export interface PolicyInForce {
  readonly version: number
  readonly yaml: string
  /** What the matrix says: what another one is compared with. */
  readonly compiled: CompiledPolicy
  /** What is decided by: a service that is not registered is nobody's caller and nobody's target. */
  readonly registered: CompiledPolicy
  /** Of `registered`. */
  readonly index: PolicyIndex
  readonly notices: readonly Notice[]
}

export interface PolicyReader {
  /** As it was read last. */
  readonly inForce: () => PolicyInForce | undefined
  readonly read: () => Promise<void>
}

/** Keeps the compiled policy at hand; whoever changes matrix or registry has it read anew. */
export async function policyReader(installation: Installation, database: ReadAccess): Promise<PolicyReader> {
  let current = await readPolicyInForce(installation, database)
  return {
    inForce: () => current,
    async read() {
      current = await readPolicyInForce(installation, database)
    },
  }
}

/** Reads and compiles what is in force; after each change of the matrix, or of the services. */
export function readPolicyInForce(
  installation: Installation,
  database: ReadAccess,
): Promise<PolicyInForce | undefined> {
  return database.read(() => policyInForce(installation))
}

/** The same, as part of a unit that changes either. */
export function* policyInForce(installation: Installation): Unit<PolicyInForce | undefined> {
  const organization = installation.homeOrganization
  const policy = yield* latestPolicy(organization)
  if (policy === undefined) return undefined
  const services = yield* servicesOf(organization)
  const parsed = parseMatrix(policy.yaml, { organization, known: services.map((one) => one.service_name) })
  if (!parsed.ok) throw new DomainError('policy_invalid', `policy ${policy.version} in the database no longer parses`)
  const compiled = compileFor(parsed.matrix, policy.version, services, installation)
  const { version, yaml } = policy
  const registered = registeredOnly(compiled, idsOf(services, installation))
  return { version, yaml, compiled, registered, index: indexPolicy(registered), notices: parsed.notices }
}

function idsOf(services: readonly ServiceRow[], { trustDomain }: Installation): ReadonlySet<WorkloadId> {
  return new Set(services.map((one) => workloadId(trustDomain, one.organization_id, one.service_name)))
}

export function compileFor(
  matrix: Matrix,
  version: number,
  services: readonly ServiceRow[],
  installation: Installation,
): CompiledPolicy {
  return compile({
    trustDomain: installation.trustDomain,
    version,
    matrices: [matrix],
    externals: services
      .filter((service) => service.kind === 'external')
      .map((service) => ({ organization: service.organization_id, service: service.service_name })),
  })
}
