import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { ReadAccess, UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import { insertToken, listTokens, type TokenRow, withdrawToken } from './store.ts'

export interface NewToken {
  readonly tokenId: string
  /** Shown once: 256 random bits. The database keeps its SHA-256. */
  readonly token: string
  readonly expiresAt: Date
}

export interface TokenDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly now: () => Date
}

interface Context {
  readonly organization: string
  readonly actor: string
  readonly requestId: string
}

export const DEFAULT_TOKEN_LIFETIME_SECONDS = 3600

/** A single-use join token for one service. */
export async function createToken(
  what: { serviceId: string; lifetimeSeconds: number },
  context: Context,
  deps: TokenDeps,
): Promise<NewToken> {
  const tokenId = randomUUID()
  const token = `vccj_${randomBytes(32).toString('base64url')}`
  const createdAt = epochSeconds(deps.now())
  const expiresAt = createdAt + what.lifetimeSeconds
  await deps.database.runUnit(function* (): Unit<void> {
    yield* insertToken({
      token_id: tokenId,
      token_sha256: tokenHash(token),
      organization_id: context.organization,
      service_id: what.serviceId,
      created_by: context.actor,
      created_at: createdAt,
      expires_at: expiresAt,
    })
    yield* auditToken(tokenId, context, deps)
  })
  return { tokenId, token, expiresAt: new Date(expiresAt * 1000) }
}

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** @throws {DomainError} `token_unknown`; one that was used stays bound, and is not withdrawn. */
export async function withdraw(tokenId: string, context: Context, deps: TokenDeps): Promise<void> {
  await deps.database.runUnit(function* (): Unit<void> {
    const wasOpen = yield* withdrawToken(tokenId, context.organization, epochSeconds(deps.now()))
    if (!wasOpen) throw new DomainError('token_unknown', 'there is no such unused join token')
    yield* auditToken(tokenId, context, deps)
  })
}

export async function tokens(organization: string, deps: { database: ReadAccess }): Promise<readonly TokenRow[]> {
  return deps.database.read(() => listTokens(organization))
}

function* auditToken(tokenId: string, context: Context, deps: TokenDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'IAM-08',
      outcome: 'success',
      actor: { type: 'human', ref: context.actor },
      target: { type: 'credential', id: tokenId, tenant: context.organization },
      requestId: context.requestId,
    },
    deps.audit,
  )
}
