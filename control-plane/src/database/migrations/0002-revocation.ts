import type { Migration } from './migration.ts'

// `revocations` is the journal that CRLs, deltas and status feeds follow: its row id is the generation of status. The
// certificate's row holds what is true now; a revocation that is made worse (`key_compromise`) has two rows here.

export const revocation: Migration = {
  version: 2,
  name: 'revocation',
  statements: `
alter table certificates add column invalidity_at integer;

create table revocations (
  id integer primary key,
  issuing_ca_id text not null references certificate_authorities (ca_id),
  serial_number text not null,
  crl_shard integer not null check (crl_shard >= 0),
  reason text not null,
  revoked_at integer not null,
  invalidity_at integer,
  recorded_at integer not null,
  incident text,
  recorded_by text not null
) strict;
create index revocations_by_shard on revocations (issuing_ca_id, crl_shard, id);
create index revocations_by_incident on revocations (incident, id) where incident is not null;
create trigger revocations_keep before update on revocations begin select raise(abort, 'revocations is append-only'); end;
create trigger revocations_stay before delete on revocations begin select raise(abort, 'revocations is append-only'); end;
insert into revocations (issuing_ca_id, serial_number, crl_shard, reason, revoked_at, recorded_at, recorded_by)
  select issuing_ca_id, serial_number, crl_shard, revocation_reason, revoked_at, revoked_at, 'issuance'
  from certificates where revoked_at is not null order by revoked_at, id;

create table blocked_keys (
  id integer primary key,
  spki_sha256 text not null unique check (length(spki_sha256) = 64),
  blocked_at integer not null,
  blocked_by text not null
) strict;

create table denials (
  id integer primary key,
  denial_id text not null unique,
  organization_id text not null references organizations (org_id),
  kind text not null check (kind in ('serial', 'spki', 'identity', 'issuer')),
  value text not null,
  issuer text,
  until integer,
  note text not null,
  created_by text not null,
  created_at integer not null,
  released_by text,
  released_at integer,
  check ((kind = 'serial') = (issuer is not null)),
  check ((released_by is null) = (released_at is null))
) strict;
create unique index denials_standing on denials (kind, value, ifnull(issuer, '')) where released_at is null;
`,
}
