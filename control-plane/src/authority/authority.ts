import { assertKeyMatches, type KeyStore, type Signer } from '@vcc/keys'
import { type Certificate, decodeCertificate, type ProfileName } from '@vcc/x509'
import { coalesced } from '../coalesced.ts'
import type { ReadAccess } from '../database/access.ts'
import { DomainError } from '../errors.ts'
import { type AuthorityRow, authorityRows } from './store.ts'

/** A CA of ours with its key at hand. */
export interface Authority {
  /** Hex of the first 16 octets of SHA-256(SPKI). */
  readonly caId: string
  readonly name: string
  readonly kind: 'root' | 'issuing'
  readonly profile: ProfileName
  readonly parentCaId: string | undefined
  readonly organizationId: string | undefined
  readonly certificate: Certificate
  readonly signer: Signer
  /** What its leaves may say: organisations and class OIDs. */
  readonly grants: Grants
  /** Into how many CRLs what it issues now is spread. */
  readonly crlShards: number
  readonly active: boolean
  /** Nothing it ever signed is accepted. */
  readonly revoked: boolean
}

export interface Grants {
  readonly organizations: readonly string[]
  readonly classes: readonly string[]
}

/** The CAs of this installation, in memory. Written through `authority/create.ts` only, which reloads it. */
export interface Authorities {
  readonly all: () => readonly Authority[]
  readonly byId: (caId: string) => Authority
  /** The newest active CA of a profile: what issues now. Older ones stay trusted until they end. */
  readonly issuing: (profile: string, organization?: string) => Authority
  readonly root: (name: 'mesh-root' | 'artifact-root' | 'evidence-root') => Authority
  /** From a CA up to its root, DER, the root included. */
  readonly chainOf: (caId: string) => readonly Certificate[]
  readonly reload: () => Promise<void>
}

/**
 * Opens every CA's key and compares it with its certificate.
 * @throws {KeyError} `key_not_found`, `key_wrapping_wrong`, `key_certificate_mismatch`: the process must not start then.
 */
export async function openAuthorities(deps: { database: ReadAccess; keys: KeyStore }): Promise<Authorities> {
  let loaded = await load(deps, [])
  return {
    all: () => loaded,
    byId: (caId) => found(loaded, (one) => one.caId === caId, caId),
    issuing: (profile, organization) =>
      found(
        loaded.toReversed(),
        (one) => one.active && one.profile === profile && one.organizationId === organization,
        profile,
      ),
    root: (name) => found(loaded, (one) => one.kind === 'root' && one.profile === name, name),
    chainOf: (caId) => chainOf(loaded, caId),
    reload: coalesced(async () => {
      loaded = await load(deps, loaded)
    }),
  }
}

/** A CA that is known keeps its open key: that a store is away must not keep anybody from seeing that it is revoked. */
async function load(
  deps: { database: ReadAccess; keys: KeyStore },
  known: readonly Authority[],
): Promise<readonly Authority[]> {
  const rows = await deps.database.read(() => authorityRows())
  return Promise.all(
    rows.map(async (row) => {
      const before = known.find((one) => one.caId === row.ca_id && one.signer.keyId === row.key_id)
      const isSame = before !== undefined && Buffer.from(row.certificate_der).equals(before.certificate.der)
      return isSame ? { ...before, ...mutableOf(row) } : open(row, deps.keys)
    }),
  )
}

async function open(row: AuthorityRow, keys: KeyStore): Promise<Authority> {
  const certificate = decodeCertificate(row.certificate_der)
  const signer = await keys.open(row.key_id, row.kind)
  await assertKeyMatches(signer, certificate)
  return {
    caId: row.ca_id,
    name: row.name,
    kind: row.kind,
    profile: row.profile as ProfileName, // written by insertAuthority
    parentCaId: row.parent_ca_id ?? undefined,
    organizationId: row.organization_id ?? undefined,
    certificate,
    signer,
    ...mutableOf(row),
  }
}

/** What may change about a CA. */
function mutableOf({ grants, crl_shards: crlShards, state }: AuthorityRow) {
  return { grants, crlShards, active: state === 'active', revoked: state === 'revoked' }
}

function found(list: readonly Authority[], matches: (one: Authority) => boolean, what: string): Authority {
  const one = list.find(matches)
  if (one === undefined) throw new DomainError('authority_unknown', `there is no CA ${what}`)
  return one
}

function chainOf(list: readonly Authority[], caId: string): readonly Certificate[] {
  const chain: Certificate[] = []
  for (let next: string | undefined = caId; next !== undefined && chain.length < 4; ) {
    const one = found(list, (candidate) => candidate.caId === next, next)
    chain.push(one.certificate)
    next = one.parentCaId
  }
  return chain
}
