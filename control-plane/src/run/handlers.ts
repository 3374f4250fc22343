import { now } from '@vcc/runtime'
import { authorityRoutes } from '../authority/routes.ts'
import { certificateRoutes } from '../certificates/routes.ts'
import { crlRoutes } from '../crl/routes.ts'
import type { EnrolDeps } from '../enrolment/join.ts'
import type { Handlers } from '../http/handlers.ts'
import { openApiDocument } from '../http/openapi.ts'
import type { Inbox } from '../inbox/inbox.ts'
import { fingerprintOf } from '../init/init.ts'
import { keyRoutes } from '../keys/routes.ts'
import { meshRoutes } from '../mesh/routes.ts'
import { policyRoutes } from '../policies/routes.ts'
import { registryRoutes } from '../registry/routes.ts'
import { revocationRoutes } from '../revocation/routes.ts'
import type { Template } from '../templates/template.ts'
import { VERSION } from '../version.ts'
import type { Core } from './core.ts'
import type { RevocationLists } from './revocation-lists.ts'
import type { StatusService } from './status-service.ts'
import type { Steering } from './steering.ts'

export interface HandlerDeps {
  readonly core: Core
  readonly steering: Steering
  readonly lists: RevocationLists
  readonly status: StatusService
  readonly enrol: EnrolDeps
  readonly inbox: Inbox
  readonly adminTemplate: Template
  readonly brokerConnected: () => boolean
  readonly onRetired: (instances: readonly string[]) => void
}

/** One handler per route of the contract. */
export function handlersOf(deps: HandlerDeps): Handlers {
  const { core, steering, lists, status, enrol, inbox, adminTemplate } = deps
  const { publisher, onChange } = steering
  const shared = { ...core, onChange, policyInForce: steering.policyInForce }
  const openapi = openApiDocument(VERSION)
  return {
    health: () => ({ status: isWell(core) ? 'ok' : 'degraded', version: VERSION }),
    openapi: () => openapi,
    ...meshRoutes({ ...enrol, inbox, publisher, onChange }),
    ...authorityRoutes(shared),
    ...keyRoutes(core),
    ...certificateRoutes({ ...enrol, adminTemplate }),
    ...policyRoutes(shared),
    ...crlRoutes({ ...core, ...lists }),
    ...revocationRoutes({
      ...core,
      onRecorded: status.statusChanged,
      onShutOut: steering.onShutOut,
      onRetired: deps.onRetired,
    }),
    ...registryRoutes({
      ...shared,
      onRetired: deps.onRetired,
      brokerConnected: deps.brokerConnected,
      meshRootFingerprint: fingerprintOf(core.authorities),
      startedAt: now(),
      version: VERSION,
    }),
  }
}

function isWell({ database, keys }: Core): boolean {
  return !database.broken.aborted && keys.hsm?.status().breaker !== 'open'
}
