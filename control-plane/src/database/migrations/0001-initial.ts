import type { Migration } from './migration.ts'

// Longer than a file of ours should be: one migration is read as a whole or not at all.
//
// Integer row ids with UNIQUE beside them, never WITHOUT ROWID: a random serial as primary key costs
// four times the writes. Each further index with random values is paid for at every issuance.

export const initial: Migration = {
  version: 1,
  name: 'initial',
  statements: `
create table installation (
  id integer primary key check (id = 1),
  trust_domain text not null,
  domain text not null,
  home_org text not null,
  oid_arc text not null,
  status_url text not null,
  epoch integer not null check (epoch > 0),
  profile text not null check (profile in ('one-person')),
  classes text not null check (json_valid(classes)),
  outage_budget_seconds integer not null check (outage_budget_seconds between 1 and 432000),
  trust_statement text not null,
  created_at integer not null
) strict;

create table organizations (
  id integer primary key,
  org_id text not null unique,
  org_name text not null,
  created_at integer not null
) strict;

create table certificate_authorities (
  id integer primary key,
  ca_id text not null unique check (length(ca_id) = 32),
  name text not null unique,
  kind text not null check (kind in ('root', 'issuing')),
  profile text not null,
  parent_ca_id text references certificate_authorities (ca_id),
  organization_id text references organizations (org_id),
  grants text not null check (json_valid(grants)),
  certificate_der blob not null,
  key_id text not null,
  state text not null check (state in ('active', 'disabled', 'revoked')),
  created_at integer not null,
  check ((kind = 'root') = (parent_ca_id is null))
) strict;

create table certificates (
  id integer primary key,
  cert_id text not null unique,
  issuing_ca_id text not null references certificate_authorities (ca_id),
  serial_number text not null,
  organization_id text references organizations (org_id),
  service_id text references vcc_services (service_id),
  instance_id text,
  subject_dn text not null,
  dns_names text not null check (json_valid(dns_names)),
  uri text,
  class text,
  template text,
  profile text not null,
  purpose text not null,
  cause text not null check (cause in ('init', 'start', 'join', 'renewal', 're-enrolment', 'request')),
  spki_sha256 text not null,
  der blob,
  crl_shard integer not null check (crl_shard >= 0),
  auto_renewal integer not null check (auto_renewal in (0, 1)),
  not_before integer not null,
  expires_at integer not null,
  created_at integer not null,
  state text not null check (state in ('issued', 'orphaned')),
  revoked_at integer,
  revocation_reason text,
  replaced_by text,
  unique (issuing_ca_id, serial_number),
  check ((state = 'orphaned') = (der is null)),
  check ((revoked_at is null) = (revocation_reason is null)),
  check (state = 'issued' or revoked_at is not null)
) strict;
create index certificates_by_organization on certificates (organization_id, id);
create index certificates_by_service on certificates (service_id, id);
create index certificates_by_instance on certificates (instance_id, id) where instance_id is not null;
create index certificates_by_key on certificates (spki_sha256);

create table issuance_intents (
  id integer primary key,
  intent_id text not null unique,
  issuing_ca_id text not null references certificate_authorities (ca_id),
  serial_number text not null,
  organization_id text references organizations (org_id),
  service_id text references vcc_services (service_id),
  instance_id text,
  profile text not null,
  spki_sha256 text not null,
  tbs_der blob not null,
  certificate text not null check (json_valid(certificate)),
  requested_by text not null,
  join_token_id text references join_tokens (token_id),
  predecessor_serial text,
  owner text not null,
  lease_until integer not null,
  state text not null default 'open' check (state in ('open', 'completed', 'orphaned')),
  created_at integer not null,
  resolved_at integer,
  unique (issuing_ca_id, serial_number),
  check ((state = 'open') = (resolved_at is null))
) strict;
create index issuance_intents_open on issuance_intents (lease_until) where state = 'open';

create table join_tokens (
  id integer primary key,
  token_id text not null unique,
  token_sha256 text not null unique,
  organization_id text not null references organizations (org_id),
  service_id text not null references vcc_services (service_id),
  created_by text not null,
  created_at integer not null,
  expires_at integer not null,
  bound_spki_sha256 text,
  bound_instance_id text,
  bound_at integer,
  used_serial text,
  revoked_at integer,
  check ((bound_spki_sha256 is null) = (bound_at is null)),
  check ((bound_spki_sha256 is null) = (bound_instance_id is null))
) strict;
create index join_tokens_by_organization on join_tokens (organization_id, id);

create table idempotency_keys (
  id integer primary key,
  scope text not null,
  idempotency_key text not null,
  request_sha256 text not null,
  -- Bound in the commit that opens the intent, before its row is there.
  intent_id text not null,
  cert_id text references certificates (cert_id),
  created_at integer not null,
  expires_at integer not null,
  unique (scope, idempotency_key)
) strict;
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);

create table vcc_services (
  id integer primary key,
  service_id text not null unique,
  organization_id text not null references organizations (org_id),
  service_name text not null check (service_name not like '%\\_%' escape '\\'),
  service_type text not null,
  kind text not null check (kind in ('mesh', 'external')),
  mode text not null check (mode in ('http', 'tcp')),
  endpoint_url text,
  health_endpoint text,
  allowed_networks text not null default '[]' check (json_valid(allowed_networks)),
  external_trust text check (json_valid(external_trust)),
  status text not null check (status in ('active', 'inactive', 'discovered', 'pending_cert')),
  last_seen integer,
  created_at integer not null,
  deregistered_at integer,
  check ((kind = 'external') = (external_trust is not null))
) strict;
create unique index vcc_services_registered on vcc_services (organization_id, service_name) where deregistered_at is null;

create table agents (
  id integer primary key,
  instance_id text not null unique check (length(instance_id) = 16),
  service_id text not null references vcc_services (service_id),
  organization_id text not null references organizations (org_id),
  state text not null check (state in ('active', 'retired')),
  addresses text not null default '[]' check (json_valid(addresses)),
  latest_issuing_ca_id text references certificate_authorities (ca_id),
  latest_serial text,
  latest_spki_sha256 text,
  previous_serial text,
  state_formats text not null default '[]' check (json_valid(state_formats)),
  agent_version text,
  last_report text check (json_valid(last_report)),
  served_serial text,
  acknowledged_epoch integer,
  acknowledged_fleet_generation integer,
  acknowledged_fleet_hash text,
  acknowledged_agent_generation integer,
  acknowledged_agent_hash text,
  issued_after integer,
  joined_at integer not null,
  last_seen integer
) strict;
create index agents_by_service on agents (service_id, id);
create index agents_by_organization on agents (organization_id, id);

create table policies (
  id integer primary key,
  organization_id text not null references organizations (org_id),
  version integer not null check (version > 0),
  yaml text not null,
  applied_by text not null,
  applied_at integer not null,
  rolled_back_to integer,
  unique (organization_id, version),
  foreign key (organization_id, rolled_back_to) references policies (organization_id, version)
) strict;
create trigger policies_keep before update on policies begin select raise(abort, 'policies is append-only'); end;
create trigger policies_stay before delete on policies begin select raise(abort, 'policies is append-only'); end;

create table state_documents (
  id integer primary key,
  kind text not null check (kind in ('fleet', 'agent')),
  instance_id text not null,
  organization_id text references organizations (org_id),
  epoch integer not null,
  generation integer not null check (generation > 0),
  content_hash text not null,
  content text not null check (json_valid(content)),
  jws text not null,
  issued_at integer not null,
  accept_until integer not null,
  enforce_until integer not null,
  unique (kind, instance_id),
  check ((kind = 'fleet') = (instance_id = ''))
) strict;
create trigger state_documents_forward before update on state_documents
  when new.epoch < old.epoch or (new.epoch = old.epoch and new.generation < old.generation)
  begin select raise(abort, 'a state document never goes back'); end;

create table actor_keys (
  id integer primary key,
  account text not null unique,
  data_key blob not null check (length(data_key) = 32),
  created_at integer not null
) strict;

create table actors (
  id integer primary key,
  actor_ref text not null unique check (length(actor_ref) = 32),
  account_id integer not null references actor_keys (id) on delete cascade,
  year integer not null,
  nonce blob not null check (length(nonce) = 12),
  sealed blob not null,
  unique (account_id, year)
) strict;

create table audit_entries (
  seq integer primary key,
  record text not null,
  segment text generated always as (json_extract(record, '$.segment')) virtual,
  ts text generated always as (json_extract(record, '$.ts')) virtual,
  event text generated always as (json_extract(record, '$.event')) virtual,
  outcome text generated always as (json_extract(record, '$.outcome')) virtual,
  request_id text generated always as (json_extract(record, '$.request_id')) virtual,
  target_type text generated always as (json_extract(record, '$.target.type')) virtual,
  target_id text generated always as (json_extract(record, '$.target.id')) virtual,
  tenant text generated always as (json_extract(record, '$.target.tenant')) virtual,
  hash text generated always as (json_extract(record, '$.hash')) virtual
) strict;
create index audit_entries_by_target on audit_entries (target_type, target_id, seq);
create index audit_entries_by_request on audit_entries (request_id, seq) where request_id is not null;
create trigger audit_entries_keep before update on audit_entries
  begin select raise(abort, 'audit_entries is append-only'); end;
create trigger audit_entries_stay before delete on audit_entries
  begin select raise(abort, 'audit_entries is append-only'); end;

create table audit_details (
  seq integer primary key references audit_entries (seq),
  salt blob not null check (length(salt) = 32),
  details text not null check (json_valid(details))
) strict;
create trigger audit_details_keep before update on audit_details
  begin select raise(abort, 'audit_details are deleted or kept, never changed'); end;
`,
}
