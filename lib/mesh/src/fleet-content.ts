import { type Static, Type } from 'typebox'
import { DenialEntry, Release } from './denials.ts'
import { MeshError } from './errors.ts'
import {
  Base64Der,
  CLOSED,
  CompactJws,
  isSortedSet,
  Oid,
  Organization,
  parserOf,
  Sha256Hex,
  sortedBy,
} from './shapes.ts'

export const IssuerEntry = Type.Object(
  {
    spkiSha256: Sha256Hex,
    certificate: Base64Der,
    organizations: Type.Array(Organization, { maxItems: 1024 }),
    classes: Type.Array(Oid, { maxItems: 256 }),
    purposes: Type.Array(Type.Literal('service'), { minItems: 1, maxItems: 1 }),
  },
  CLOSED,
)

/** For whom an issuing CA may vouch. Name constraints cannot say it: a URI constraint covers only the host. */
export type IssuerEntry = Static<typeof IssuerEntry>

export const FleetContent = Type.Object(
  {
    trust: CompactJws,
    issuers: Type.Array(IssuerEntry, { maxItems: 256 }),
    denials: Type.Array(DenialEntry, { maxItems: 4096 }),
    revocations: Type.Array(DenialEntry, { maxItems: 16_384 }),
    releases: Type.Array(Release, { maxItems: 4096 }),
  },
  CLOSED,
)

/**
 * What every agent of a trust domain needs. `trust` is the trust statement verbatim. `denials` are decisions
 * of an operator, `revocations` follow certificates. The lists are sorted by `spkiSha256` or `id`, each key
 * once, and an id is in one of `denials`, `revocations` and `releases` only.
 */
export type FleetContent = Static<typeof FleetContent>

/** @throws {MeshError} `state_malformed` */
export function parseFleetContent(value: unknown): FleetContent {
  const content = parse(value)
  for (const list of ['issuers', 'denials', 'revocations', 'releases'] as const) {
    if (!isSortedSet(content[list].map(fleetKey))) {
      throw new MeshError('state_malformed', `fleet content: ${list} are not sorted, or one is listed twice`)
    }
  }
  const ids = [...content.denials, ...content.revocations, ...content.releases].map(({ id }) => id)
  if (new Set(ids).size !== ids.length) {
    throw new MeshError('state_malformed', 'fleet content: an id is denied, revoked or released at once')
  }
  return content
}

/** The content in its one order, from lists in any order. Does not check anything else. */
export function sortedFleetContent(content: FleetContent): FleetContent {
  return {
    trust: content.trust,
    issuers: sortedBy(content.issuers, fleetKey),
    denials: sortedBy(content.denials, fleetKey),
    revocations: sortedBy(content.revocations, fleetKey),
    releases: sortedBy(content.releases, fleetKey),
  }
}

/** By which an entry of a fleet list is sorted, added and removed. */
export function fleetKey(entry: IssuerEntry | DenialEntry | Release): string {
  return 'spkiSha256' in entry ? entry.spkiSha256 : entry.id
}

const parse = parserOf(FleetContent, 'state_malformed', 'fleet content')
