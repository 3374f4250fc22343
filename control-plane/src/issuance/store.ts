import { createHash, randomUUIDv7 } from 'node:crypto'
import { canonicalJson } from '@vcc/mesh'
import { formatName, type Tbs } from '@vcc/x509'
import type { Insertable } from 'kysely'
import { authorityMaySign } from '../authority/store.ts'
import { shardOf } from '../crl/scope.ts'
import { compiled } from '../database/compiled.ts'
import type { Schema } from '../database/schema.ts'
import { change, many, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import { DomainError } from '../errors.ts'
import { assertNotShutOut, type Certified } from '../revocation/admit.ts'
import { journalRevocation } from '../revocation/store.ts'
import { auditAbandoned, auditAttempt, auditOutcome } from './audit.ts'
import type { CertificateOrder, Existing, IssueDeps } from './issue.ts'

export type Purpose = 'vcc_service' | 'admin' | 'ca' | 'control' | 'broker' | 'state' | 'ocsp'
export type Cause = 'join' | 'renewal' | 're-enrolment' | 'request' | 'init' | 'start'

/** What the certificate's row holds beside what stands in the certificate. */
export interface CertificateRecord {
  readonly organization: string | null
  readonly serviceId: string | null
  readonly instanceId: string | null
  readonly className: string | null
  readonly template: string | null
  readonly purpose: Purpose
  readonly cause: Cause
  readonly autoRenewal: boolean
}

export interface Intent {
  readonly intentId: string
  readonly serialHex: string
  readonly issuingCaId: string
}

/** Longer than the signer's deadline and the last commit together; nobody else touches the intent before. */
const LEASE_SECONDS = 60

/** First commit: intent, audit row `attempt` and binding, or the certificate that the same binding got before. */
export function* openIntent(
  order: CertificateOrder,
  tbs: Tbs,
  serialHex: string,
  deps: IssueDeps,
): Unit<{ intent: Intent } | { existing: Existing }> {
  const intent: Intent = { intentId: randomUUIDv7(), serialHex, issuingCaId: order.issuer.caId }
  const existing = order.bind && (yield* order.bind({ intentId: intent.intentId, serialHex }))
  if (existing !== undefined) return { existing }
  yield* assertNotShutOut(certifiedBy(order))
  const at = epochSeconds(deps.now())
  yield* change(
    insertIntent({
      intent_id: intent.intentId,
      issuing_ca_id: intent.issuingCaId,
      serial_number: serialHex,
      organization_id: order.record.organization,
      service_id: order.record.serviceId,
      instance_id: order.record.instanceId,
      profile: order.profile,
      spki_sha256: order.publicKey.spkiSha256Hex,
      tbs_der: tbs.der,
      certificate: canonicalJson(rowOf(order, serialHex, at)),
      requested_by: order.requester.ref,
      join_token_id: order.references?.joinTokenId ?? null,
      predecessor_serial: order.references?.predecessorSerial ?? null,
      owner: deps.owner,
      lease_until: at + LEASE_SECONDS,
      created_at: at,
      resolved_at: null,
    }),
  )
  yield* auditAttempt(order, intent, tbs, deps)
  return { intent }
}

/** Last commit: compare-and-swap from `open`, everything still allowed, certificate and audit row `outcome`. */
export function* completeIntent(order: CertificateOrder, intent: Intent, der: Uint8Array, deps: IssueDeps): Unit<void> {
  yield* resolve(intent, 'completed', deps)
  const { caId, signer } = order.issuer
  if (!(yield* authorityMaySign(caId, signer.keyId))) {
    throw new DomainError('issuance_lost', 'the CA was withdrawn while it signed')
  }
  yield* assertNotShutOut(certifiedBy(order))
  const certId = randomUUIDv7()
  yield* change(
    insertCertificate({
      ...rowOf(order, intent.serialHex, epochSeconds(deps.now())),
      cert_id: certId,
      der,
      state: 'issued',
      revoked_at: null,
      revocation_reason: null,
      replaced_by: null,
    }),
  )
  if (order.settle) yield* order.settle({ certId, serialHex: intent.serialHex, issuingCaId: caId, der })
  yield* auditOutcome(order, intent, { outcome: 'success', certificateSha256: sha256(der) }, deps)
}

function certifiedBy({ issuer, profile, publicKey, uris = [] }: CertificateOrder): Certified {
  // A responder says what is revoked; a CA that is shut out needs one more than others.
  const issuerSpkiSha256Hex = profile === 'ocsp-responder' ? undefined : issuer.certificate.publicKey.spkiSha256Hex
  return { spkiSha256Hex: publicKey.spkiSha256Hex, uris, issuerSpkiSha256Hex }
}

/** What was signed, or may have been, stays on record: orphaned, and revoked as superseded. */
export function* abandonIntent(order: CertificateOrder, intent: Intent, cause: unknown, deps: IssueDeps): Unit<void> {
  const at = epochSeconds(deps.now())
  const swapped = yield* change(
    query
      .updateTable('issuance_intents')
      .set({ state: 'orphaned', resolved_at: at })
      .where('intent_id', '=', intent.intentId)
      .where('state', '=', 'open'),
  )
  if (swapped === 0) return
  yield* insertOrphan(rowOf(order, intent.serialHex, at), at)
  const reason = cause instanceof DomainError ? cause.code : 'internal'
  yield* auditOutcome(order, intent, { outcome: 'failure', reason }, deps)
}

/** Which intents nobody works on any more: all of other runs at start-up, later those past their lease. */
export type Abandoned = { readonly before: Date } | { readonly notOwner: string }

/** Resolves every one of them. Answers how many became orphans. */
export async function resolveAbandoned(
  which: Abandoned,
  deps: Pick<IssueDeps, 'now' | 'audit' | 'database'>,
): Promise<number> {
  for (let resolved = 0; ; ) {
    const batch = await deps.database.runUnit(() => resolveBatch(which, deps))
    resolved += batch
    if (batch < BATCH) return resolved
  }
}

/** A crash under load leaves as many as there were requests: more than one unit may do. */
const BATCH = 500

function* resolveBatch(which: Abandoned, deps: Pick<IssueDeps, 'now' | 'audit'>): Unit<number> {
  const at = epochSeconds(deps.now())
  const open = query
    .selectFrom('issuance_intents')
    .select(['intent_id', 'certificate'])
    .where('state', '=', 'open')
    .limit(BATCH)
  const rows = yield* many(
    'before' in which
      ? open.where('lease_until', '<', epochSeconds(which.before))
      : open.where('owner', '!=', which.notOwner),
  )
  for (const row of rows) {
    yield* change(
      query
        .updateTable('issuance_intents')
        .set({ state: 'orphaned', resolved_at: at })
        .where('intent_id', '=', row.intent_id)
        .where('state', '=', 'open'),
    )
    const certificate = JSON.parse(row.certificate) as CertificateRow // written by openIntent
    yield* insertOrphan(certificate, at)
    yield* auditAbandoned(row.intent_id, certificate, deps)
  }
  return rows.length
}

function* resolve(intent: Intent, state: 'completed', deps: IssueDeps): Unit<void> {
  const swapped = yield* change(resolveIntent(state, epochSeconds(deps.now()), intent.intentId, deps.owner))
  if (swapped !== 1) throw new DomainError('issuance_lost', 'the issuance was resolved otherwise while it was signed')
}

function* insertOrphan(row: CertificateRow, at: number): Unit<void> {
  yield* change(
    query.insertInto('certificates').values({
      ...row,
      created_at: at,
      cert_id: randomUUIDv7(),
      der: null,
      state: 'orphaned',
      revoked_at: at,
      revocation_reason: 'superseded',
      replaced_by: null,
    }),
  )
  const when = { reason: 'superseded', revokedAt: at, invalidityAt: null, recordedAt: at } as const
  yield* journalRevocation(row, { ...when, incident: null, recordedBy: 'issuance' })
}

export type CertificateRow = ReturnType<typeof rowOf>

function rowOf(order: CertificateOrder, serialHex: string, at: number) {
  const { record } = order
  return {
    issuing_ca_id: order.issuer.caId,
    serial_number: serialHex,
    organization_id: record.organization,
    service_id: record.serviceId,
    instance_id: record.instanceId,
    subject_dn: formatName(order.subject),
    dns_names: canonicalJson(order.dnsNames ?? []),
    uri: order.uris?.[0] ?? null,
    class: record.className,
    template: record.template,
    profile: order.profile as string,
    purpose: record.purpose as string,
    cause: record.cause,
    spki_sha256: order.publicKey.spkiSha256Hex,
    crl_shard: shardOf(serialHex, order.issuer.crlShards),
    auto_renewal: record.autoRenewal ? (1 as const) : (0 as const),
    not_before: epochSeconds(order.notBefore),
    expires_at: epochSeconds(order.notAfter),
    created_at: at,
  }
}

const insertIntent = compiled((row: Insertable<Schema['issuance_intents']>) =>
  query.insertInto('issuance_intents').values(row),
)
const insertCertificate = compiled((row: Insertable<Schema['certificates']>) =>
  query.insertInto('certificates').values(row),
)
const resolveIntent = compiled((state: 'completed', at: number, intentId: string, owner: string) =>
  query
    .updateTable('issuance_intents')
    .set({ state, resolved_at: at })
    .where('intent_id', '=', intentId)
    .where('state', '=', 'open')
    .where('owner', '=', owner),
)

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
