import type { MeshStatus } from '@vcc/api'
import type { Unit } from '../database/unit.ts'
import { createToken, DEFAULT_TOKEN_LIFETIME_SECONDS, tokens, withdraw } from '../enrolment/tokens.ts'
import { epochSeconds, isoOf } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import type { AdminCaller } from '../http/caller.ts'
import { decodeCursor, encodeCursor } from '../http/cursor.ts'
import type { Handlers, RequestContext } from '../http/handlers.ts'
import type { Installation } from '../installation/installation.ts'
import type { PolicyInForce } from '../policies/in-force.ts'
import { untilNone } from '../wait.ts'
import {
  activeInstances,
  demandRenewal,
  type InstanceRow,
  instanceById,
  latestCertificates,
} from './instances-store.ts'
import { marksOf } from './marks.ts'
import { deregisterInstance, deregisterService, findService, type RegistryDeps, registerService } from './services.ts'
import { type ServiceRow, serviceById, servicePage, servicesOf } from './store.ts'
import { instanceView, isConnected, isInForce, type Standing, serviceHealthView, serviceView } from './view.ts'

export interface RegistryRouteDeps extends RegistryDeps {
  readonly installation: Installation
  readonly policyInForce: () => PolicyInForce | undefined
  readonly brokerConnected: () => boolean
  readonly meshRootFingerprint: string
  readonly startedAt: Date
  readonly version: string
}

type RegistryRoutes =
  | 'serviceList'
  | 'serviceRegister'
  | 'serviceShow'
  | 'serviceDeregister'
  | 'serviceHealth'
  | 'instanceList'
  | 'instanceShow'
  | 'instanceDeregister'
  | 'instanceRotate'
  | 'tokenList'
  | 'tokenCreate'
  | 'tokenWithdraw'
  | 'healthOverview'
  | 'meshStatus'

/** Services, their instances and the tokens by which new ones join. */
export function registryRoutes(deps: RegistryRouteDeps): Pick<Handlers, RegistryRoutes> {
  const organization = deps.installation.homeOrganization
  const by = ({ caller, requestId }: RequestContext<AdminCaller>) => ({ organization, actor: caller.ref, requestId })
  const read = <T>(work: (standing: Standing, instances: readonly InstanceRow[]) => Unit<T>) =>
    deps.database.read(function* () {
      const instances = yield* activeInstances(organization)
      return yield* work(yield* standingOf(deps), instances)
    })

  return {
    serviceList: ({ query: { limit = 50, after, status } }) =>
      read(function* (standing, instances) {
        const rows = yield* servicePage(organization, { status }, decodeCursor(after) ?? 0, limit)
        const items = rows.map((row) => serviceView(row, instancesOf(row, instances), standing))
        return { items, next: encodeCursor(rows, limit) }
      }),
    async serviceRegister({ body }, context) {
      const row = await registerService(body, by(context), deps)
      return read(function* (standing) {
        yield* []
        return serviceView(row, [], standing)
      })
    },
    serviceShow: ({ params }) =>
      read(function* (standing, instances) {
        const row = yield* findService(params.service_id, organization)
        return serviceView(row, instancesOf(row, instances), standing)
      }),
    async serviceDeregister({ params }, context) {
      await deregisterService(params.service_id, by(context), deps)
      return {}
    },
    serviceHealth: ({ params }) =>
      read(function* (standing, instances) {
        const row = yield* findService(params.service_id, organization)
        return serviceHealthView(row, instancesOf(row, instances), standing)
      }),
    instanceList: ({ query: { service } }) =>
      read(function* (standing, instances) {
        const only = service === undefined ? undefined : yield* findService(service, organization)
        const services = yield* servicesOf(organization)
        const rows = only === undefined ? instances : instancesOf(only, instances)
        return { items: rows.map((row) => instanceView(row, serviceOf(row, services), standing)) }
      }),
    instanceShow: ({ params }) =>
      read(function* (standing) {
        const row = yield* instanceById(params.instance_id)
        if (row?.organization_id !== organization) {
          throw new DomainError('instance_unknown', `there is no instance ${params.instance_id}`)
        }
        return instanceView(row, yield* serviceById(row.service_id), standing)
      }),
    async instanceDeregister({ params }, context) {
      await deregisterInstance(params.instance_id, by(context), deps)
      return {}
    },
    instanceRotate: ({ body }, context) => rotate(body, context, deps),
    async tokenList() {
      const rows = await tokens(organization, deps)
      const services = await deps.database.read(() => servicesOf(organization))
      const now = epochSeconds(deps.now())
      return {
        items: rows.map((row) => ({
          token_id: row.token_id,
          service_name: services.find((one) => one.service_id === row.service_id)?.service_name ?? '',
          state: tokenState(row, now),
          instance_id: row.bound_instance_id,
          created_at: isoOf(row.created_at),
          expires_at: isoOf(row.expires_at),
        })),
      }
    },
    async tokenCreate({ body }, context) {
      const service = await deps.database.read(() => findService(body.service_name, organization))
      if (service.kind === 'external')
        throw new DomainError('service_invalid', 'an external service has no agent to join')
      const token = await createToken(
        {
          serviceId: service.service_id,
          lifetimeSeconds: body.lifetime_seconds ?? DEFAULT_TOKEN_LIFETIME_SECONDS,
        },
        by(context),
        deps,
      )
      return {
        token_id: token.tokenId,
        token: token.token,
        service_name: service.service_name,
        organization_id: organization,
        expires_at: isoOf(epochSeconds(token.expiresAt)),
        fingerprint: deps.meshRootFingerprint,
      }
    },
    async tokenWithdraw({ params }, context) {
      await withdraw(params.token_id, by(context), deps)
      return {}
    },
    healthOverview: () =>
      read(function* (standing, instances) {
        const services = (yield* servicesOf(organization)).filter((one) => one.kind === 'mesh')
        const items = services.map((row) => serviceHealthView(row, instancesOf(row, instances), standing))
        const healthy = items.filter((one) => one.healthy).length
        const failing = items.filter((one) => one.instances.some(({ health }) => health === 'failing')).length
        return {
          services: items.length,
          healthy,
          failing,
          unknown: Math.max(0, items.length - healthy - failing),
          items,
        }
      }),
    meshStatus: () =>
      read(function* (standing, instances): Unit<MeshStatus> {
        const services = yield* servicesOf(organization)
        return {
          trust_domain: deps.installation.trustDomain,
          home_organization: organization,
          policy_version: deps.policyInForce()?.version ?? null,
          fleet_generation: `${deps.installation.epoch}.${standing.fleet?.generation ?? 0}`,
          services: services.length,
          instances: instances.length,
          connected: instances.filter((one) => isConnected(one, standing.now)).length,
          in_force: instances.filter((one) => isInForce(one, standing)).length,
          broker: deps.brokerConnected() ? 'connected' : 'disconnected',
          profile: deps.installation.profile,
          started_at: isoOf(epochSeconds(deps.startedAt)),
          version: deps.version,
        }
      }),
  }
}

const ROTATION_WAIT_SECONDS = 10

async function rotate(
  body: { service?: string; all?: boolean; wait_seconds?: number },
  context: RequestContext<AdminCaller>,
  deps: RegistryRouteDeps,
) {
  const organization = deps.installation.homeOrganization
  const { service: name } = body
  if ((name === undefined) === (body.all !== true)) {
    throw new DomainError('request_invalid', 'name a service, or say all: true')
  }
  const service = name === undefined ? undefined : await deps.database.read(() => findService(name, organization))
  const at = epochSeconds(deps.now()) + 1
  const before = await deps.database.read(() => activeInstances(organization))
  const serialBefore = new Map(before.map((one) => [one.instance_id, one.latest_serial]))
  const concerned = await deps.database.runUnit(() => demandRenewal(organization, service?.service_id, at))
  await deps.onChange()
  const notYet = async () => {
    const rows = new Map(
      (await deps.database.read(() => activeInstances(organization))).map((row) => [row.instance_id, row]),
    )
    return concerned.filter((instance) => {
      const row = rows.get(instance)
      return row?.latest_serial === serialBefore.get(instance) || row?.served_serial !== row?.latest_serial
    })
  }
  const limit = { seconds: body.wait_seconds ?? ROTATION_WAIT_SECONDS, signal: context.signal }
  const pending = await untilNone(notYet, limit)
  return {
    issued_after: isoOf(at),
    renewed: concerned.length - pending.length,
    of: concerned.length,
    pending: [...pending],
  }
}

/** What views judge against, read in the unit of the rows that are shown. */
function* standingOf(deps: Pick<RegistryRouteDeps, 'installation' | 'policyInForce' | 'now'>): Unit<Standing> {
  const certificates = yield* latestCertificates(deps.installation.homeOrganization)
  return {
    trustDomain: deps.installation.trustDomain,
    policy: deps.policyInForce()?.index,
    ...(yield* marksOf()),
    expiry: new Map(certificates.map((row) => [row.instance_id, row.expires_at])),
    now: epochSeconds(deps.now()),
  }
}

function instancesOf(service: ServiceRow, instances: readonly InstanceRow[]): readonly InstanceRow[] {
  return instances.filter((one) => one.service_id === service.service_id)
}

function serviceOf(instance: InstanceRow, services: readonly ServiceRow[]): ServiceRow | undefined {
  return services.find((one) => one.service_id === instance.service_id)
}

function tokenState(row: { revoked_at: number | null; used_serial: string | null; expires_at: number }, now: number) {
  if (row.revoked_at !== null) return 'withdrawn'
  if (row.used_serial !== null) return 'bound'
  return row.expires_at <= now ? 'expired' : 'open'
}
