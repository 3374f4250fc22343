import type { AgentContent, FleetContent, Upstream } from '@vcc/mesh'
import { isoSeconds, sortedFleetContent } from '@vcc/mesh'
import { type CompiledPolicy, parseCompiled, parseWorkloadId, samePolicy, workloadId } from '@vcc/policy'
import type { Authority } from '../authority/authority.ts'
import { GRANTS_CLASSES } from '../authority/hierarchy.ts'
import type { Installation } from '../installation/installation.ts'
import type { InstanceRow } from '../registry/instances-store.ts'
import type { ServiceRow } from '../registry/store.ts'
import type { ShutOut } from '../revocation/fleet.ts'

/** Where agents find this control plane. */
export interface Endpoints {
  readonly api: readonly string[]
  readonly broker: readonly string[]
}

/** What every agent needs, in the one order it is signed in. Only CAs that may vouch for services are in the issuer table. */
export function fleetContent(
  installation: Installation,
  authorities: readonly Authority[],
  shutOut: ShutOut,
): FleetContent {
  return sortedFleetContent({
    trust: installation.trustStatement,
    issuers: authorities
      .filter((one) => GRANTS_CLASSES.has(one.profile) && !one.revoked)
      .map((one) => ({
        spkiSha256: one.certificate.publicKey.spkiSha256Hex,
        certificate: Buffer.from(one.certificate.der).toString('base64'),
        organizations: [...one.grants.organizations],
        classes: [...one.grants.classes],
        purposes: ['service' as const],
      })),
    ...shutOut,
  })
}

export interface AgentInputs {
  readonly installation: Installation
  readonly endpoints: Endpoints
  readonly sliceOf: (id: ReturnType<typeof workloadId>) => CompiledPolicy
  /** By SPIFFE ID. */
  readonly services: ReadonlyMap<string, ServiceRow>
  /** Active ones, by service id. */
  readonly instances: ReadonlyMap<string, readonly InstanceRow[]>
}

/** What one instance needs. `before` keeps the policy it holds while its slice means the same. */
export function agentContent(
  instance: InstanceRow,
  service: ServiceRow,
  inputs: AgentInputs,
  before: AgentContent | undefined,
): AgentContent {
  const { installation } = inputs
  const id = workloadId(installation.trustDomain, service.organization_id, service.service_name)
  const slice = inputs.sliceOf(id)
  const held = before && parseCompiled(before.policy)
  return {
    service: id,
    mode: service.mode,
    policy: held !== undefined && samePolicy(held, slice) ? held : slice,
    upstreams: slice.edges.filter((edge) => edge.source === id).flatMap((edge) => upstream(edge.target, inputs)),
    certificateIssuedAfter: instance.issued_after === null ? null : isoSeconds(new Date(instance.issued_after * 1000)),
    classOids: { ...installation.classes },
    broker: [...inputs.endpoints.broker],
    api: [...inputs.endpoints.api],
  }
}

function upstream(target: string, inputs: AgentInputs): Upstream[] {
  const service = inputs.services.get(target)
  if (service === undefined) return []
  const { organization, service: name } = parseWorkloadId(target)
  const isHome = organization === inputs.installation.homeOrganization
  const about = { id: target, name: isHome ? name : `${organization}/${name}`, mode: service.mode, kind: service.kind }
  if (service.kind === 'mesh') return [{ ...about, addresses: meshAddresses(service, inputs) }]
  const external = JSON.parse(service.external_trust ?? 'null') as ExternalAddress | null // written by the registry
  if (external === null) return []
  const { host, port, tls } = external
  return [{ ...about, addresses: [{ instance: null, host, port }], external: { tls } }]
}

export interface ExternalAddress {
  readonly host: string
  readonly port: number
  readonly tls: NonNullable<Upstream['external']>['tls']
}

function meshAddresses(service: ServiceRow, inputs: AgentInputs): Upstream['addresses'] {
  const all = (inputs.instances.get(service.service_id) ?? []).flatMap((instance) => {
    const addresses = JSON.parse(instance.addresses) as { host: string; port: number }[] // written by the registry
    return addresses.map(({ host, port }) => ({ instance: instance.instance_id, host, port }))
  })
  return all.slice(0, MAX_ADDRESSES)
}

/** As many as a document takes of one upstream: more of them must not keep its callers from their state. */
const MAX_ADDRESSES = 256
