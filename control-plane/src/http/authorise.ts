import type { RouteAccess } from '@vcc/api'
import { addressPrefix } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { AppDeps } from './app.ts'
import type { Caller } from './caller.ts'

export interface Asked {
  readonly name: string
  readonly access: RouteAccess
  /** Of the connection. */
  readonly address: string
  readonly requestId: string
}

/**
 * @throws {DomainError} `client_certificate_required`, `client_certificate_refused`, `not_allowed`, and
 *   `too_many_requests` for anonymous callers of one network, and for a known one that goes on asking for what it may not.
 */
export async function authorise(caller: Caller, asked: Asked, deps: AppDeps): Promise<void> {
  const network = addressPrefix(asked.address) ?? asked.address
  if (caller.kind === 'anonymous' && !deps.admitAddress(network)) throw tooMany()
  const refusal = refusalOf(asked.access, caller)
  if (refusal === undefined) return
  if (caller.kind !== 'anonymous' && !deps.admitDenied(keyOf(caller))) throw tooMany()
  await deps.events.denied({ route: asked.name, caller, code: refusal.code, requestId: asked.requestId })
  throw refusal
}

function refusalOf(access: RouteAccess, caller: Caller): DomainError | undefined {
  if (access === 'open') return undefined
  if (caller.kind === 'anonymous') {
    return caller.refused === undefined
      ? new DomainError('client_certificate_required', 'this route answers holders of a client certificate only', {
          hint: 'agents: vcc-agent join; people: vcc-pki configure --client-cert FILE',
        })
      : new DomainError('client_certificate_refused', `the client certificate is not accepted: ${caller.refused}`)
  }
  if (access === 'agent') {
    return caller.kind === 'agent' ? undefined : new DomainError('not_allowed', 'this route answers agents only')
  }
  if (caller.kind === 'admin' && caller.permissions.has(access)) return undefined
  return new DomainError('not_allowed', `this needs the permission ${access}`)
}

function keyOf(caller: Exclude<Caller, { kind: 'anonymous' }>): string {
  return caller.kind === 'agent' ? caller.instance : caller.ref
}

function tooMany(): DomainError {
  return new DomainError('too_many_requests', 'there were too many requests of this kind', { hint: 'wait a second' })
}
