import { randomUUIDv7 } from 'node:crypto'
import { formatName } from '@vcc/x509'
import { canonical } from '../audit/record.ts'
import { compiled } from '../database/compiled.ts'
import { change, many, query, type Unit } from '../database/unit.ts'
import { epochSeconds } from '../epoch.ts'
import type { Authority, Grants } from './authority.ts'

export interface AuthorityRow {
  readonly ca_id: string
  readonly name: string
  readonly kind: 'root' | 'issuing'
  readonly profile: string
  readonly parent_ca_id: string | null
  readonly organization_id: string | null
  readonly certificate_der: Uint8Array
  readonly key_id: string
  readonly state: 'active' | 'disabled' | 'revoked'
  readonly crl_shards: number
  readonly grants: Grants
}

/** All CAs in order of creation. A few dozen at most. */
export function* authorityRows(): Unit<readonly AuthorityRow[]> {
  const rows = yield* many(
    query
      .selectFrom('certificate_authorities')
      .select([
        'ca_id',
        'name',
        'kind',
        'profile',
        'parent_ca_id',
        'organization_id',
        'certificate_der',
        'key_id',
        'state',
        'crl_shards',
        'grants',
      ])
      .orderBy('id')
      .limit(1000),
  )
  return rows.map((row) => ({ ...row, grants: JSON.parse(row.grants) as Grants })) // written by this module only
}

/** Whether a CA may still sign, with this key: asked again in the last commit of an issuance. */
export function* authorityMaySign(caId: string, keyId: string): Unit<boolean> {
  return (yield* many(activeByKey(caId, keyId))).length === 1
}

const activeByKey = compiled((caId: string, keyId: string) =>
  query
    .selectFrom('certificate_authorities')
    .select(['state', 'key_id'])
    .where('ca_id', '=', caId)
    .where('state', '=', 'active')
    .where('key_id', '=', keyId),
)

export function* setCrlShards(caId: string, shards: number): Unit<void> {
  yield* change(query.updateTable('certificate_authorities').set({ crl_shards: shards }).where('ca_id', '=', caId))
}

export function* isAuthorityRevoked(caId: string): Unit<boolean> {
  const rows = yield* many(
    query.selectFrom('certificate_authorities').select('id').where('ca_id', '=', caId).where('state', '=', 'revoked'),
  )
  return rows.length > 0
}

/** It signs no certificate from now on. */
export function* markAuthorityRevoked(caId: string): Unit<void> {
  yield* change(query.updateTable('certificate_authorities').set({ state: 'revoked' }).where('ca_id', '=', caId))
}

export function* insertAuthority(authority: Authority, now: Date): Unit<void> {
  const { certificate } = authority
  yield* change(
    query.insertInto('certificate_authorities').values({
      ca_id: authority.caId,
      name: authority.name,
      kind: authority.kind,
      profile: authority.profile,
      parent_ca_id: authority.parentCaId ?? null,
      organization_id: authority.organizationId ?? null,
      grants: canonical({ ...authority.grants }),
      certificate_der: certificate.der,
      key_id: authority.signer.keyId,
      state: 'active',
      created_at: epochSeconds(now),
    }),
  )
}

/** A root is its own issuer, and has no intent: see `createRoot`. */
export function* insertRootCertificate(root: Authority, now: Date): Unit<void> {
  const { certificate } = root
  yield* change(
    query.insertInto('certificates').values({
      cert_id: randomUUIDv7(),
      issuing_ca_id: root.caId,
      serial_number: certificate.serialHex,
      organization_id: null,
      service_id: null,
      instance_id: null,
      subject_dn: formatName(certificate.subject),
      dns_names: '[]',
      uri: null,
      class: null,
      template: null,
      profile: root.profile,
      purpose: 'ca',
      cause: 'init',
      spki_sha256: certificate.publicKey.spkiSha256Hex,
      der: certificate.der,
      crl_shard: 0,
      auto_renewal: 0,
      not_before: epochSeconds(certificate.notBefore),
      expires_at: epochSeconds(certificate.notAfter),
      created_at: epochSeconds(now),
      state: 'issued',
      revoked_at: null,
      revocation_reason: null,
      replaced_by: null,
    }),
  )
}
