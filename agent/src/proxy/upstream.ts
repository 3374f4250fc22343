import type { WorkloadId } from '@vcc/policy'
import type { Mode } from './snapshot.ts'

/** A service that the local one calls, as signed state describes it. */
export type Upstream = MeshUpstream | ExternalUpstream

export interface MeshUpstream {
  readonly kind: 'mesh'
  readonly id: WorkloadId
  /** What the agent's configuration calls it. */
  readonly name: string
  readonly mode: Mode
  /** In the order to try. A wrong one costs availability only: identity is checked. */
  readonly addresses: readonly Address[]
}

/** A service without an agent: decided on this side only. */
export interface ExternalUpstream {
  readonly kind: 'external'
  readonly id: WorkloadId
  readonly name: string
  readonly mode: Mode
  readonly addresses: readonly Address[]
  readonly trust: ExternalTrust
}

export interface Address {
  readonly instance: string | null
  readonly host: string
  readonly port: number
}

/** How an external service is recognised. `plain` is refused for addresses that are not loopback. */
export type ExternalTrust =
  | { readonly tls: 'ca'; readonly caPem: string; readonly dnsName: string }
  | { readonly tls: 'pin'; readonly spkiSha256: readonly string[]; readonly dnsName?: string }
  | { readonly tls: 'plain' }
