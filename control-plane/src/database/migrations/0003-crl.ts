import type { Migration } from './migration.ts'

// One row per scope and kind: what is served now. Both kinds of a scope share one sequence of numbers, which never goes
// back; what was served before is on record in the audit chain.

export const crl: Migration = {
  version: 3,
  name: 'crl',
  statements: `
alter table certificate_authorities add column crl_shards integer not null default 1 check (crl_shards between 1 and 1024);
create index certificates_revoked on certificates (issuing_ca_id, crl_shard, expires_at) where revoked_at is not null;

create table crls (
  id integer primary key,
  issuing_ca_id text not null references certificate_authorities (ca_id),
  shard integer not null check (shard >= 0),
  kind text not null check (kind in ('full', 'delta')),
  number integer not null check (number > 0),
  base_number integer,
  this_update integer not null,
  next_update integer not null,
  journal_id integer not null,
  entries integer not null,
  der blob not null,
  sha256 text not null,
  unique (issuing_ca_id, shard, kind),
  check ((kind = 'delta') = (base_number is not null))
) strict;
create trigger crls_forward before update on crls when new.number <= old.number or new.this_update < old.this_update
  begin select raise(abort, 'a CRL never goes back'); end;
`,
}
