// Long because it is one table: every row of the database, as the migrations make it.
/**
 * Rows as they are stored.
 *
 * `…_at`, `…_until` and `last_seen` are epoch seconds. `*_der` and other bytes are `Uint8Array`. Types
 * ending in `Json` are RFC 8785 canonical JSON text. Hashes and serials are lower-case hex. Flags are 0 or 1.
 * A column without a default is given at insert; `…| null` says that absence is an ordinary state.
 */
import type { ColumnType, GeneratedAlways } from 'kysely'

/** RFC 8785 canonical JSON. */
export type Json = string
export type EpochSeconds = number
export type Flag = 0 | 1

/** Assigned by the database at insert, in order, and never changed. */
type RowId = GeneratedAlways<number>
/** May be left out at insert. */
type Optional<T> = ColumnType<T, T | undefined, T>
/** Set once, at insert. */
type Fixed<T> = ColumnType<T, T, never>
/** Read from the record by the database itself. */
type Derived<T> = ColumnType<T, never, never>

export interface Schema {
  installation: InstallationTable
  organizations: OrganizationsTable
  certificate_authorities: CertificateAuthoritiesTable
  certificates: CertificatesTable
  revocations: RevocationsTable
  crls: CrlsTable
  blocked_keys: BlockedKeysTable
  denials: DenialsTable
  issuance_intents: IssuanceIntentsTable
  join_tokens: JoinTokensTable
  idempotency_keys: IdempotencyKeysTable
  vcc_services: VccServicesTable
  agents: AgentsTable
  policies: PoliciesTable
  state_documents: StateDocumentsTable
  actor_keys: ActorKeysTable
  actors: ActorsTable
  audit_entries: AuditEntriesTable
  audit_details: AuditDetailsTable
}

/** The single row of what `init` decided; `id` is 1. */
export interface InstallationTable {
  id: Fixed<1>
  trust_domain: Fixed<string>
  domain: Fixed<string>
  home_org: Fixed<string>
  oid_arc: Fixed<string>
  status_url: string
  /** Changes at init and restore only. */
  epoch: number
  profile: 'one-person'
  /** Class name → OID. */
  classes: Json
  outage_budget_seconds: number
  /** Compact JWS, `typ: vcc-trust+jws`. */
  trust_statement: string
  created_at: Fixed<EpochSeconds>
}

export interface OrganizationsTable {
  id: RowId
  org_id: Fixed<string>
  org_name: string
  created_at: Fixed<EpochSeconds>
}

export interface CertificateAuthoritiesTable {
  id: RowId
  /** Hex of the first 16 octets of SHA-256(SPKI). */
  ca_id: Fixed<string>
  name: string
  kind: Fixed<'root' | 'issuing'>
  /** Profile its certificate was issued under, `mesh-root` or `services-ca`. */
  profile: Fixed<string>
  /** Null for a root. */
  parent_ca_id: Fixed<string | null>
  /** Null for a CA of the installation itself. */
  organization_id: Fixed<string | null>
  /** Organisations and class OIDs it may vouch for: `{organizations: string[], classes: string[]}`. */
  grants: Json
  certificate_der: Fixed<Uint8Array>
  /** Of the key store. */
  key_id: string
  state: 'active' | 'disabled' | 'revoked'
  /** Into how many CRLs its certificates are spread from now on; each keeps the shard it was issued with. */
  crl_shards: Optional<number>
  created_at: Fixed<EpochSeconds>
}

/** Certificates signed by one of our CAs, and orphans, which may exist although nobody has seen them. */
export interface CertificatesTable {
  /** Grows with time of issuance: the key of paging. */
  id: RowId
  /** Time-ordered (`randomUUIDv7`), so that its index grows at one end. */
  cert_id: Fixed<string>
  issuing_ca_id: Fixed<string>
  serial_number: Fixed<string>
  /** Null for certificates of the installation itself (CAs, control plane, broker, state signer). */
  organization_id: Fixed<string | null>
  service_id: Fixed<string | null>
  instance_id: Fixed<string | null>
  subject_dn: Fixed<string>
  /** Array of names. */
  dns_names: Fixed<Json>
  /** The one URI SAN. */
  uri: Fixed<string | null>
  class: Fixed<string | null>
  template: Fixed<string | null>
  profile: Fixed<string>
  purpose: Fixed<string>
  /** How it came about. */
  cause: Fixed<'init' | 'start' | 'join' | 'renewal' | 're-enrolment' | 'request'>
  spki_sha256: Fixed<string>
  /** Null for an orphan. `certificate_pem` is made from it. */
  der: Fixed<Uint8Array | null>
  crl_shard: Fixed<number>
  auto_renewal: Flag
  not_before: Fixed<EpochSeconds>
  expires_at: Fixed<EpochSeconds>
  created_at: Fixed<EpochSeconds>
  state: Fixed<'issued' | 'orphaned'>
  revoked_at: EpochSeconds | null
  revocation_reason: string | null
  /** Since when the key is suspected, where that is earlier. */
  invalidity_at: Optional<EpochSeconds | null>
  /** `cert_id` of the certificate that took its place. */
  replaced_by: string | null
}

/** What happened to certificates, in order; append-only. `id` is the generation of status. */
export interface RevocationsTable {
  id: RowId
  issuing_ca_id: Fixed<string>
  serial_number: Fixed<string>
  crl_shard: Fixed<number>
  reason: Fixed<string>
  /** Stays what it was when a revocation is made worse. */
  revoked_at: Fixed<EpochSeconds>
  invalidity_at: Fixed<EpochSeconds | null>
  recorded_at: Fixed<EpochSeconds>
  incident: Fixed<string | null>
  /** Actor ref, or component of the system. */
  recorded_by: Fixed<string>
}

/** The CRLs that are served: one complete and one delta per scope (CA and shard). */
export interface CrlsTable {
  id: RowId
  issuing_ca_id: Fixed<string>
  shard: Fixed<number>
  kind: Fixed<'full' | 'delta'>
  /** One sequence for both kinds of a scope. */
  number: number
  /** Of a delta: the complete CRL it adds to. */
  base_number: number | null
  this_update: EpochSeconds
  next_update: EpochSeconds
  /** The last row of `revocations` it knows. */
  journal_id: number
  entries: number
  der: Uint8Array
  sha256: string
}

/** Keys known to be compromised: never certified again. */
export interface BlockedKeysTable {
  id: RowId
  spki_sha256: Fixed<string>
  blocked_at: Fixed<EpochSeconds>
  blocked_by: Fixed<string>
}

/** What an operator shut out of the mesh, until it is released. */
export interface DenialsTable {
  id: RowId
  denial_id: Fixed<string>
  organization_id: Fixed<string>
  kind: Fixed<'serial' | 'spki' | 'identity' | 'issuer'>
  value: Fixed<string>
  /** Of a serial: SHA-256 of its issuer's SPKI. */
  issuer: Fixed<string | null>
  /** When the target can no longer be presented; null: until released. */
  until: Fixed<EpochSeconds | null>
  note: Fixed<string>
  created_by: Fixed<string>
  created_at: Fixed<EpochSeconds>
  released_by: string | null
  released_at: EpochSeconds | null
}

/** On record before anything is signed; resolved once, by compare-and-swap from `open`. */
export interface IssuanceIntentsTable {
  id: RowId
  intent_id: Fixed<string>
  issuing_ca_id: Fixed<string>
  serial_number: Fixed<string>
  organization_id: Fixed<string | null>
  service_id: Fixed<string | null>
  instance_id: Fixed<string | null>
  profile: Fixed<string>
  spki_sha256: Fixed<string>
  tbs_der: Fixed<Uint8Array>
  /** What the certificate's row needs beside the TBS. */
  certificate: Fixed<Json>
  /** SPIFFE ID or actor ref. */
  requested_by: Fixed<string>
  join_token_id: Fixed<string | null>
  /** Serial the renewing instance presented. */
  predecessor_serial: Fixed<string | null>
  owner: string
  lease_until: EpochSeconds
  state: Optional<'open' | 'completed' | 'orphaned'>
  created_at: Fixed<EpochSeconds>
  resolved_at: EpochSeconds | null
}

export interface JoinTokensTable {
  id: RowId
  token_id: Fixed<string>
  /** The token itself is shown once and never stored. */
  token_sha256: Fixed<string>
  organization_id: Fixed<string>
  service_id: Fixed<string>
  created_by: Fixed<string>
  created_at: Fixed<EpochSeconds>
  expires_at: Fixed<EpochSeconds>
  /** Bound at first use: the same key may repeat, any other is refused. */
  bound_spki_sha256: string | null
  bound_instance_id: string | null
  bound_at: EpochSeconds | null
  used_serial: string | null
  revoked_at: EpochSeconds | null
}

export interface IdempotencyKeysTable {
  id: RowId
  /** Who the key belongs to: an instance, an actor, a token. */
  scope: Fixed<string>
  idempotency_key: Fixed<string>
  /** Of the canonical request; another request under the same key is refused. */
  request_sha256: string
  /** The last one that was opened under the key. */
  intent_id: string
  cert_id: string | null
  created_at: Fixed<EpochSeconds>
  expires_at: EpochSeconds
}

export interface VccServicesTable {
  id: RowId
  service_id: Fixed<string>
  organization_id: Fixed<string>
  /** Canonical: `-`, never `_`. */
  service_name: Fixed<string>
  service_type: string
  kind: 'mesh' | 'external'
  mode: 'http' | 'tcp'
  endpoint_url: string | null
  health_endpoint: string | null
  /** CIDRs its instances may advertise addresses in. */
  allowed_networks: Optional<Json>
  /** For `kind: external`: addresses and TLS trust. */
  external_trust: Json | null
  status: 'active' | 'inactive' | 'discovered' | 'pending_cert'
  last_seen: EpochSeconds | null
  created_at: Fixed<EpochSeconds>
  deregistered_at: EpochSeconds | null
}

/** One row per instance of a service, from join on. */
export interface AgentsTable {
  id: RowId
  instance_id: Fixed<string>
  service_id: Fixed<string>
  organization_id: Fixed<string>
  state: 'active' | 'retired'
  /** `[{host, port}]` it advertises. */
  addresses: Optional<Json>
  latest_issuing_ca_id: string | null
  latest_serial: string | null
  latest_spki_sha256: string | null
  previous_serial: string | null
  /** State formats it reads: array of numbers. */
  state_formats: Optional<Json>
  agent_version: string | null
  last_report: Json | null
  /** Of the listener, as its own handshake saw it. */
  served_serial: string | null
  acknowledged_epoch: number | null
  acknowledged_fleet_generation: number | null
  acknowledged_fleet_hash: string | null
  acknowledged_agent_generation: number | null
  acknowledged_agent_hash: string | null
  /** A certificate whose notBefore + 300 s lies before it is renewed at once. */
  issued_after: EpochSeconds | null
  joined_at: Fixed<EpochSeconds>
  last_seen: EpochSeconds | null
}

/** Append-only: the policy in force is the highest version of its organisation. */
export interface PoliciesTable {
  id: RowId
  organization_id: Fixed<string>
  version: Fixed<number>
  yaml: Fixed<string>
  applied_by: Fixed<string>
  applied_at: Fixed<EpochSeconds>
  /** The version this one brings back. */
  rolled_back_to: Fixed<number | null>
}

/** The latest document of each addressee. */
export interface StateDocumentsTable {
  id: RowId
  kind: Fixed<'fleet' | 'agent'>
  /** '' for the fleet document. */
  instance_id: Fixed<string>
  organization_id: Fixed<string | null>
  epoch: number
  generation: number
  content_hash: string
  content: Json
  jws: string
  issued_at: EpochSeconds
  accept_until: EpochSeconds
  enforce_until: EpochSeconds
}

/** One key per person; deleting the row makes all that it sealed unreadable. */
export interface ActorKeysTable {
  id: RowId
  account: Fixed<string>
  data_key: Fixed<Uint8Array>
  created_at: Fixed<EpochSeconds>
}

export interface ActorsTable {
  id: RowId
  actor_ref: Fixed<string>
  account_id: Fixed<number>
  year: Fixed<number>
  nonce: Fixed<Uint8Array>
  sealed: Fixed<Uint8Array>
}

/** The chain. Only `seq` and `record` are stored; the rest is read from the record and cannot differ from it. */
export interface AuditEntriesTable {
  seq: Fixed<number>
  record: Fixed<Json>
  segment: Derived<string>
  ts: Derived<string>
  event: Derived<string>
  outcome: Derived<string | null>
  request_id: Derived<string | null>
  target_type: Derived<string>
  target_id: Derived<string>
  tenant: Derived<string | null>
  hash: Derived<string>
}

/** What an entry commits to and may outlive. */
export interface AuditDetailsTable {
  seq: Fixed<number>
  salt: Fixed<Uint8Array>
  details: Fixed<Json>
}
