import { type Static, Type } from 'typebox'
import { CaId, CertId, CLOSED, InstanceId, Instant, SerialHex, ServiceName, Sha256Hex } from './fields.ts'

/**
 * CRLReason (RFC 5280 §5.3.1). Without `certificateHold`, which would have to be lifted again: to shut somebody out for
 * a while is a denial, which has a release.
 */
export const RevocationReason = Type.Enum([
  'unspecified',
  'key_compromise',
  'ca_compromise',
  'affiliation_changed',
  'superseded',
  'cessation_of_operation',
  'privilege_withdrawn',
])
export type RevocationReason = Static<typeof RevocationReason>

/** Names an incident in the operator's own system; everything that was revoked for it can be found by it. */
export const Incident = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' })

const WaitSeconds = Type.Optional(Type.Integer({ minimum: 0, maximum: 60 }))

const Revocation = {
  reason: RevocationReason,
  /** Since when the key is known or suspected to be compromised, where that is earlier than the revocation. */
  invalidity_date: Type.Optional(Instant),
  incident: Type.Optional(Incident),
  /** How long to wait for the agents' acknowledgements. */
  wait_seconds: WaitSeconds,
}

export const RevokeRequest = Type.Object(Revocation, CLOSED)
export type RevokeRequest = Static<typeof RevokeRequest>

export const RevocationFilter = Type.Object(
  {
    service: Type.Optional(ServiceName),
    instance: Type.Optional(InstanceId),
    issuing_ca_id: Type.Optional(CaId),
    purpose: Type.Optional(Type.String({ maxLength: 40 })),
    spki_sha256: Type.Optional(Sha256Hex),
    issued_before: Type.Optional(Instant),
    issued_after: Type.Optional(Instant),
  },
  { ...CLOSED, minProperties: 1 },
)
export type RevocationFilter = Static<typeof RevocationFilter>

/** Exactly one of the three selects: a list, a filter over what is still valid, or what an incident revoked before. */
export const BulkRevokeRequest = Type.Object(
  {
    ...Revocation,
    select: Type.Union([
      Type.Object({ cert_ids: Type.Array(CertId, { minItems: 1, maxItems: 1000 }) }, CLOSED),
      Type.Object({ filter: RevocationFilter }, CLOSED),
      Type.Object({ incident: Incident }, CLOSED),
    ]),
    /** Says what would be revoked, and revokes nothing. */
    dry_run: Type.Boolean(),
  },
  CLOSED,
)
export type BulkRevokeRequest = Static<typeof BulkRevokeRequest>

const RevokedCertificate = Type.Object(
  {
    cert_id: CertId,
    serial_number: SerialHex,
    service_name: Type.Union([Type.String(), Type.Null()]),
    instance_id: Type.Union([InstanceId, Type.Null()]),
    purpose: Type.String(),
    expires_at: Instant,
    /** Null in a dry run, where it would be now. */
    revoked_at: Type.Union([Instant, Type.Null()]),
  },
  CLOSED,
)
export type RevokedCertificate = Static<typeof RevokedCertificate>

/**
 * "Enforced on n of m": the agents that acknowledged the state in which it stands. Those that are shut out by it do not
 * count: what they say proves nothing.
 */
export const Enforcement = Type.Object(
  {
    enforced_on: Type.Integer(),
    of: Type.Integer(),
    not_reached: Type.Array(
      Type.Object(
        {
          instance_id: InstanceId,
          service: Type.String(),
          connected: Type.Boolean(),
          /** When it stops working on what it has; null where it never reported any. */
          enforce_until: Type.Union([Instant, Type.Null()]),
        },
        CLOSED,
      ),
    ),
  },
  CLOSED,
)
export type Enforcement = Static<typeof Enforcement>

export const RevocationAnswer = Type.Object(
  {
    dry_run: Type.Boolean(),
    /** At most 500 of them; `count` says how many there are. */
    revoked: Type.Array(RevokedCertificate),
    count: Type.Integer(),
    /** Were revoked before, and stay as they are. */
    already: Type.Array(CertId),
    /** SHA-256 of public keys that nobody gets a certificate for any more. */
    blocked_keys: Type.Array(Sha256Hex),
    enforcement: Type.Union([Enforcement, Type.Null()]),
  },
  CLOSED,
)
export type RevocationAnswer = Static<typeof RevocationAnswer>

const DenialId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })
const Note = Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f]+$' })

/** What is shut out: an identity whatever certificate it shows, a key, one certificate, or all that a CA signed. */
export const DenialTarget = Type.Union([
  Type.Object({ kind: Type.Literal('identity'), service: Type.String({ minLength: 1, maxLength: 300 }) }, CLOSED),
  Type.Object({ kind: Type.Literal('key'), spki_sha256: Sha256Hex }, CLOSED),
  Type.Object({ kind: Type.Literal('serial'), cert_id: CertId }, CLOSED),
  Type.Object({ kind: Type.Literal('issuer'), ca_id: CaId }, CLOSED),
])
export type DenialTarget = Static<typeof DenialTarget>

export const DenyRequest = Type.Object({ target: DenialTarget, note: Note, wait_seconds: WaitSeconds }, CLOSED)
export type DenyRequest = Static<typeof DenyRequest>

export const Denial = Type.Object(
  {
    denial_id: DenialId,
    kind: Type.Enum(['identity', 'key', 'serial', 'issuer']),
    /** SPIFFE ID, SHA-256 of an SPKI, or serial. */
    value: Type.String(),
    /** Of a serial: SHA-256 of the SPKI of its issuer. */
    issuer: Type.Union([Sha256Hex, Type.Null()]),
    note: Type.String(),
    created_by: Type.String(),
    created_at: Instant,
    released_by: Type.Union([Type.String(), Type.Null()]),
    released_at: Type.Union([Instant, Type.Null()]),
  },
  CLOSED,
)
export type Denial = Static<typeof Denial>

export const DenialQuery = Type.Object({ released: Type.Optional(Type.Boolean()) }, CLOSED)
export const DenialList = Type.Object({ items: Type.Array(Denial) }, CLOSED)
export const DenialParams = Type.Object({ denial_id: DenialId }, CLOSED)
export const ReleaseRequest = Type.Object({ wait_seconds: WaitSeconds }, CLOSED)

export const DenialAnswer = Type.Object({ denial: Denial, enforcement: Enforcement }, CLOSED)
export type DenialAnswer = Static<typeof DenialAnswer>
