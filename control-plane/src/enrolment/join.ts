import { STATE_FORMATS } from '@vcc/mesh'
import type { VerifiedCsr } from '@vcc/x509'
import type { Authorities } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import { DomainError } from '../errors.ts'
import { type IssueDeps, type Issued, issue } from '../issuance/issue.ts'
import { type Address, addressesWithin } from '../registry/addresses.ts'
import { serviceById } from '../registry/store.ts'
import { readsStateFormat } from '../state/format.ts'
import { assertClassStands, drawInstanceId, type IdentityDeps, identityOrder } from './identity.ts'
import { bindToken, registerInstance, tokenByHash } from './store.ts'
import { tokenHash } from './tokens.ts'

export interface JoinRequest {
  readonly token: string
  readonly csr: VerifiedCsr
  readonly addresses: readonly Address[]
  readonly stateFormats: readonly number[]
  readonly agentVersion: string
  readonly requestId: string
}

export interface Joined {
  readonly instance: string
  readonly organization: string
  readonly service: string
  readonly issued: Issued
}

export type EnrolDeps = IdentityDeps & IssueDeps & { readonly database: UnitAccess; readonly authorities: Authorities }

/**
 * First certificate of an instance, for a join token. The token is bound to the CSR's key at first use: the same key
 * may repeat until the token expires and gets the same certificate; any other key is refused.
 *
 * @throws {DomainError} `token_unknown`, `token_expired`, `token_bound`, `addresses_refused`, `format_not_supported`,
 *   `no_policy`, `service_not_in_matrix`, and what {@link issue} throws.
 */
export async function join(request: JoinRequest, deps: EnrolDeps): Promise<Joined> {
  const hash = tokenHash(request.token)
  const { token, service } = await deps.database.read(function* () {
    const row = yield* tokenByHash(hash)
    return { token: row, service: row && (yield* serviceById(row.service_id)) }
  })
  if (token === undefined || service === undefined) {
    throw new DomainError('token_unknown', 'this join token is not known', {
      hint: 'ask for a new one: vcc-pki tokens create SERVICE',
    })
  }
  if (!addressesWithin(request.addresses, JSON.parse(service.allowed_networks) as string[])) {
    throw new DomainError('addresses_refused', 'an advertised address is outside the networks of this service', {
      hint: `allowed are ${service.allowed_networks}`,
    })
  }
  if (!readsStateFormat(request.stateFormats)) {
    throw new DomainError('format_not_supported', 'this agent reads no state format that the control plane writes', {
      hint: `it would have to read one of ${STATE_FORMATS.join(', ')}; agent and control plane may be two minor versions apart`,
    })
  }
  const instance = token.bound_instance_id ?? drawInstanceId()
  const binding = { hash, instance, spki: request.csr.publicKey.spkiSha256Hex }
  const order = identityOrder(
    {
      service,
      instance,
      csr: request.csr,
      cause: 'join',
      requestId: request.requestId,
      requester: { type: 'service', ref: `token:${token.token_id}` },
    },
    deps,
  )
  const issued = await issue(
    {
      ...order,
      references: { joinTokenId: token.token_id },
      bind: () => bindToken(binding, deps),
      *settle(certificate) {
        assertClassStands(service, order.record.className, deps)
        yield* registerInstance(request, service, binding, certificate, deps)
      },
    },
    deps,
  )
  return { instance, organization: service.organization_id, service: service.service_name, issued }
}
