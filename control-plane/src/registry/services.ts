import { randomUUID } from 'node:crypto'
import type { ServiceRegistration } from '@vcc/api'
import { canonicalJson } from '@vcc/mesh'
import { canonicalServiceName, PolicyError } from '@vcc/policy'
import { decodeCertificate, decodePem, X509Error } from '@vcc/x509'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { UnitAccess } from '../database/access.ts'
import { isUniqueViolation } from '../database/errors.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { Installation } from '../installation/installation.ts'
import { policyInForce } from '../policies/in-force.ts'
import { assertReach } from '../policies/reach.ts'
import type { ExternalAddress } from '../state/content.ts'
import { areNetworks, parseAddress } from './addresses.ts'
import { retireInstance, retireInstancesOf } from './instances-store.ts'
import { insertService, markDeregistered, type ServiceRow, serviceById, serviceByName } from './store.ts'

export interface RegistryDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: Installation
  /** What agents should know has changed. */
  readonly onChange: () => Promise<void>
  /** Their connections end at once. */
  readonly onRetired: (instances: readonly string[]) => void
  readonly now: () => Date
}

interface Context {
  readonly organization: string
  readonly actor: string
  readonly requestId: string
}

/** @throws {DomainError} `service_name_invalid`, `service_invalid`, `service_exists`, `too_many_targets`. */
export async function registerService(
  registration: ServiceRegistration,
  context: Context,
  deps: RegistryDeps,
): Promise<ServiceRow> {
  const kind = registration.kind ?? 'mesh'
  const networks = registration.allowed_networks ?? []
  if (!areNetworks(networks))
    throw new DomainError('service_invalid', 'allowed_networks takes CIDR blocks like 10.0.0.0/8')
  const external = kind === 'external' ? externalAddress(registration) : undefined
  if (kind === 'mesh' && (registration.address !== undefined || registration.trust !== undefined)) {
    throw new DomainError(
      'service_invalid',
      'address and trust belong to kind external; agents report their own addresses',
    )
  }
  const row = {
    service_id: randomUUID(),
    organization_id: context.organization,
    service_name: canonicalName(registration.service_name),
    service_type: registration.service_type ?? (kind === 'external' ? 'database' : 'api'),
    kind,
    mode: registration.mode ?? (kind === 'external' ? 'tcp' : 'http'),
    endpoint_url: registration.endpoint_url ?? null,
    health_endpoint: registration.health_endpoint ?? null,
    allowed_networks: canonicalJson(networks),
    external_trust: external === undefined ? null : canonicalJson(external),
    created_at: epochSeconds(deps.now()),
  }
  const stored = await deps.database
    .runUnit(() => insertRegistered(row, context, deps))
    .catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error
      throw new DomainError('service_exists', `a service ${row.service_name} is registered already`, { cause: error })
    })
  await deps.onChange()
  return stored
}

/** From now on nobody may call it, nor it anybody, and its instances get neither certificates nor state. @throws {DomainError} `service_unknown` */
export async function deregisterService(idOrName: string, context: Context, deps: RegistryDeps): Promise<void> {
  const retired = await deps.database.runUnit(function* (): Unit<readonly string[]> {
    const service = yield* findService(idOrName, context.organization)
    yield* markDeregistered(service.service_id, epochSeconds(deps.now()))
    yield* auditRegistry(service.service_id, 'service', context, deps)
    return yield* retireInstancesOf(service.service_id)
  })
  deps.onRetired(retired)
  await deps.onChange()
}

/** @throws {DomainError} `instance_unknown` */
export async function deregisterInstance(instance: string, context: Context, deps: RegistryDeps): Promise<void> {
  await deps.database.runUnit(function* (): Unit<void> {
    const wasActive = yield* retireInstance(instance, context.organization)
    if (!wasActive) throw new DomainError('instance_unknown', `there is no instance ${instance}`)
    yield* auditRegistry(instance, 'agent', context, deps)
  })
  deps.onRetired([instance])
  await deps.onChange()
}

/** By id, or by name in any of its forms. @throws {DomainError} `service_unknown` */
export function* findService(idOrName: string, organization: string): Unit<ServiceRow> {
  const byId = yield* serviceById(idOrName)
  if (byId?.organization_id === organization) return byId
  const byName = yield* serviceByName(organization, idOrName.replaceAll('_', '-'))
  if (byName === undefined) {
    throw new DomainError('service_unknown', `there is no service ${idOrName}`, {
      hint: 'vcc-pki services list shows them',
    })
  }
  return byName
}

function* insertRegistered(
  row: Parameters<typeof insertService>[0],
  context: Context,
  deps: RegistryDeps,
): Unit<ServiceRow> {
  yield* insertService(row)
  yield* auditRegistry(row.service_id, 'service', context, deps)
  // A matrix that allows all allows this one, too.
  const policy = yield* policyInForce(deps.installation)
  if (policy !== undefined) assertReach(policy.compiled)
  return yield* findService(row.service_id, context.organization)
}

function* auditRegistry(id: string, type: 'service' | 'agent', context: Context, deps: RegistryDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'MSH-08',
      outcome: 'success',
      actor: { type: 'human', ref: context.actor },
      target: { type, id, tenant: context.organization },
      requestId: context.requestId,
    },
    deps.audit,
  )
}

function canonicalName(name: string): string {
  try {
    return canonicalServiceName(name)
  } catch (cause) {
    if (cause instanceof PolicyError) throw new DomainError('service_name_invalid', cause.message, { cause })
    throw cause
  }
}

function externalAddress({ address, trust }: ServiceRegistration): ExternalAddress {
  const parsed = address === undefined ? undefined : parseAddress(address)
  if (parsed === undefined || trust === undefined) {
    throw new DomainError('service_invalid', 'an external service needs address (host:port) and trust', {
      hint: 'trust is a CA with a DNS name, an SPKI pin, or plain on loopback',
    })
  }
  if (trust.kind === 'pin') return { ...parsed, tls: { trust: 'spki', spkiSha256: trust.spkiSha256 } }
  if (trust.kind === 'ca') {
    if (!DNS_NAME.test(trust.dnsName)) throw new DomainError('service_invalid', `${trust.dnsName} is not a DNS name`)
    return { ...parsed, tls: { trust: 'ca', ca: certificatesOf(trust.caPem), dnsName: trust.dnsName } }
  }
  if (parsed.host !== '127.0.0.1' && parsed.host !== '::1') {
    throw new DomainError('service_invalid', 'plain is for loopback addresses only')
  }
  return { ...parsed, tls: { trust: 'plain' } }
}

/** Read as agents will read them: what cannot be, is refused here and not there. */
function certificatesOf(pem: string): string[] {
  try {
    const all = decodePem(pem, 'CERTIFICATE').map(decodeCertificate)
    if (all.length > MAX_CAS) throw new DomainError('service_invalid', `trust takes at most ${MAX_CAS} CAs`)
    return all.map(({ der }) => Buffer.from(der).toString('base64'))
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new DomainError('service_invalid', `the CA of trust cannot be read: ${cause.message}`, { cause })
  }
}

/** As signed state takes them: what it would refuse must not get into the registry. */
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/
const MAX_CAS = 8
