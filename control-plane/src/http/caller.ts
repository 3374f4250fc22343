import type { Permission } from '@vcc/api'
import type { WorkloadId } from '@vcc/policy'

/** No client certificate, or none that is asked for: open routes only. */
export interface AnonymousCaller {
  readonly kind: 'anonymous'
  /** Why a certificate that was shown is not accepted. */
  readonly refused: string | undefined
}

/** The agent of one instance, proved by a certificate of an issuer that may vouch for services. */
export interface AgentCaller {
  readonly kind: 'agent'
  readonly instance: string
  readonly id: WorkloadId
  readonly organization: string
  readonly service: string
  readonly serialHex: string
}

/** A person with a certificate of the Admin CA. `ref` is a pseudonym; the directory is encrypted. */
export interface AdminCaller {
  readonly kind: 'admin'
  readonly ref: string
  readonly serialHex: string
  readonly permissions: ReadonlySet<Permission>
}

export type Caller = AnonymousCaller | AgentCaller | AdminCaller
