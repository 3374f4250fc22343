import { createHash } from 'node:crypto'
import type { RevocationReason as ApiReason } from '@vcc/api'
import { withDeadline } from '@vcc/runtime'
import { type CrlEntry, type CrlFields, encodeSigned, encodeTbsCrl, verifySignature } from '@vcc/x509'
import { type AuditDeps, appendAudit } from '../audit/append.ts'
import type { Authority } from '../authority/authority.ts'
import type { UnitAccess } from '../database/access.ts'
import type { Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import { CRL_REASONS } from '../revocation/reason.ts'
import { crlUrl, deltaUrl, type Scope } from './scope.ts'
import {
  type CrlKind,
  type CrlMark,
  type CrlRow,
  changedIn,
  MAX_ENTRIES,
  type RevokedEntry,
  replaceCrl,
  revokedIn,
  type ScopeState,
  scopeState,
} from './store.ts'

export interface CrlDeps {
  readonly database: UnitAccess
  readonly audit: AuditDeps
  readonly installation: { readonly statusUrl: string; readonly outageBudgetMs: number }
  readonly intervals: CrlIntervals
  readonly now: () => Date
}

/** How often CRLs are made anew without any change. Validity is this and the outage budget. */
export interface CrlIntervals {
  readonly fullSeconds: number
  readonly deltaSeconds: number
}

/**
 * Issues the complete CRL of a scope, and with it the delta from the one before: same number, same instant, so that who
 * holds the old complete one learns the same (RFC 5280 §5.2.4).
 *
 * Numbers grow by compare-and-swap: of two jobs, and of two processes, one wins, and what the other signed is thrown
 * away. Answers undefined then.
 *
 * @throws {DomainError} `signer_unavailable`, `crl_too_large`
 */
export async function issueFull(authority: Authority, shard: number, deps: CrlDeps): Promise<CrlMark | undefined> {
  const scope = { caId: authority.caId, shard }
  const { state, entries, changes } = await deps.database.read(function* () {
    const state = yield* scopeState(scope)
    const entries = yield* revokedIn(scope, endedSince(authority, state, deps))
    return { state, entries, changes: yield* changedIn(scope, state.full?.journal_id ?? state.journalId) }
  })
  const number = nextNumber(state, deps)
  const full = await signed(authority, scope, { kind: 'full', number, base: undefined, entries, state }, deps)
  const base = state.full?.number ?? number
  const delta = await signed(authority, scope, { kind: 'delta', number, base, entries: changes, state }, deps)
  return publish([full, delta], state, deps)
}

/** Issues the delta of a scope to its complete CRL. @throws what {@link issueFull} throws */
export async function issueDelta(authority: Authority, shard: number, deps: CrlDeps): Promise<CrlMark | undefined> {
  const scope = { caId: authority.caId, shard }
  const { state, changes } = await deps.database.read(function* () {
    const state = yield* scopeState(scope)
    return { state, changes: yield* changedIn(scope, state.full?.journal_id ?? 0) }
  })
  if (state.full === undefined) return issueFull(authority, shard, deps)
  const part = {
    kind: 'delta',
    number: nextNumber(state, deps),
    base: state.full.number,
    entries: changes,
    state,
  } as const
  return publish([await signed(authority, scope, part, deps)], state, deps)
}

/** "one number sequence per scope": max(previous + 1, seconds), so that even a lost database does not repeat one. */
function nextNumber({ full, delta }: ScopeState, deps: CrlDeps): number {
  return Math.max((full?.number ?? 0) + 1, (delta?.number ?? 0) + 1, epochSeconds(deps.now()))
}

/**
 * "An entry MUST NOT be removed from the CRL until it appears on one regularly scheduled CRL issued beyond the revoked
 * certificate's validity period": RFC 5280 §3.3. What proves a time or signs code is judged long after its end, so it
 * stays for ever.
 */
function endedSince(authority: Authority, { full }: ScopeState, deps: CrlDeps): number | undefined {
  if (KEEPS_EXPIRED.has(authority.profile)) return undefined
  return full?.this_update ?? epochSeconds(deps.now())
}

const KEEPS_EXPIRED: ReadonlySet<string> = new Set(['code-signing-ca', 'tsa-ca'])

interface Part {
  readonly kind: CrlKind
  readonly number: number
  readonly base: number | undefined
  readonly entries: readonly RevokedEntry[]
  readonly state: ScopeState
}

async function signed(authority: Authority, scope: Scope, part: Part, deps: CrlDeps): Promise<CrlRow> {
  const { certificate, signer } = authority
  const { installation, intervals } = deps
  if (part.entries.length > MAX_ENTRIES) {
    throw new DomainError('crl_too_large', `more than ${MAX_ENTRIES} entries on one CRL of ${authority.name}`, {
      hint: 'what it issues from now on can go into more shards: vcc-pki authorities shards',
    })
  }
  const at = epochSeconds(deps.now())
  const interval = part.kind === 'full' ? intervals.fullSeconds : intervals.deltaSeconds
  const end = epochSeconds(certificate.notAfter)
  const nextUpdate = Math.max(at + 1, Math.min(at + interval + installation.outageBudgetMs / 1000, end))
  const fields: CrlFields = {
    issuer: certificate,
    algorithm: signer.algorithm,
    thisUpdate: instant(at),
    nextUpdate: instant(nextUpdate),
    number: part.number,
    // A root has one CRL, of all it issued. Its own certificate names no CRL, so a scope by URL would leave it out, and who
    // checks every certificate of a path (`openssl verify -crl_check_all`) would find none for it.
    distributionPoint: authority.kind === 'root' ? undefined : crlUrl(scope, installation.statusUrl),
    entries: part.entries.map(entryOf),
    ...(part.base === undefined ? { freshest: deltaUrl(scope, installation.statusUrl) } : { baseNumber: part.base }),
    ...(KEEPS_EXPIRED.has(authority.profile) ? { expiredSince: certificate.notBefore } : {}),
  }
  const der = await sign(encodeTbsCrl(fields), authority)
  return {
    issuing_ca_id: scope.caId,
    shard: scope.shard,
    kind: part.kind,
    number: part.number,
    base_number: part.base ?? null,
    this_update: at,
    next_update: nextUpdate,
    journal_id: part.state.journalId,
    entries: part.entries.length,
    der,
    sha256: createHash('sha256').update(der).digest('hex'),
  }
}

async function sign(tbs: Uint8Array, { signer }: Authority): Promise<Uint8Array> {
  let signature: Uint8Array
  try {
    signature = await withDeadline((signal) => signer.sign(tbs, { signal }), SIGNER_DEADLINE_MS, 'signer')
  } catch (cause) {
    throw new DomainError('signer_unavailable', 'the key that signs the CRL does not answer', { cause })
  }
  if (!verifySignature(signer.algorithm, signer.publicKey, tbs, signature)) {
    throw new DomainError('signer_unavailable', 'the key gave a signature that does not verify')
  }
  return encodeSigned(tbs, signer.algorithm, signature)
}

async function publish(rows: readonly CrlRow[], state: ScopeState, deps: CrlDeps): Promise<CrlMark | undefined> {
  const [main] = rows
  const lost = new Error('another job was faster')
  try {
    await deps.database.runUnit(function* (): Unit<void> {
      for (const row of rows) {
        if (!(yield* replaceCrl(row, state[row.kind]))) throw lost
        yield* auditIssued(row, deps)
      }
    })
    return main
  } catch (error) {
    if (error === lost) return undefined
    throw error
  }
}

function* auditIssued(row: CrlRow, deps: CrlDeps): Unit<void> {
  yield* appendAudit(
    {
      event: 'CA-03',
      outcome: 'success',
      actor: { type: 'system', ref: 'crl' },
      target: { type: 'ca', id: row.issuing_ca_id },
      afterHash: row.sha256,
      details: {
        kind: row.kind,
        shard: row.shard,
        number: row.number,
        base: row.base_number,
        entries: row.entries,
        next_update: row.next_update,
      },
    },
    deps.audit,
  )
}

function entryOf(row: RevokedEntry): CrlEntry {
  return {
    serialHex: row.serial_number,
    revocationDate: instant(row.revoked_at),
    reason: CRL_REASONS[row.revocation_reason as ApiReason] ?? 'unspecified', // written by revocation/store.ts
    ...(row.invalidity_at === null ? {} : { invalidityDate: instant(row.invalidity_at) }),
  }
}

function instant(seconds: number): Date {
  return new Date(seconds * 1000)
}

const SIGNER_DEADLINE_MS = 30_000
