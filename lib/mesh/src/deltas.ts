import { type Static, type TSchema, Type } from 'typebox'
import { canonicalJson, contentHash } from './canonical.ts'
import { DenialEntry, DenialId, Release } from './denials.ts'
import { assertKnownFormat, assertTerm, Placement, type Signed, STATE_FORMATS, type StateInput } from './documents.ts'
import { MeshError } from './errors.ts'
import { type FleetContent, fleetKey, IssuerEntry, parseFleetContent, sortedFleetContent } from './fleet-content.ts'
import { type JwsSigner, signJws } from './jws.ts'
import { type Lifetimes, termOf } from './lifetimes.ts'
import { CLOSED, CompactJws, DomainName, FormatNumber, Ordinal, parserOf, Sha256Hex } from './shapes.ts'

const changesOf = <E extends TSchema, K extends TSchema>(entry: E, key: K) =>
  Type.Object({ add: Type.Array(entry, { maxItems: 4096 }), remove: Type.Array(key, { maxItems: 4096 }) }, CLOSED)

export const FleetDelta = Type.Object(
  {
    kind: Type.Literal('fleet'),
    format: FormatNumber,
    trustDomain: DomainName,
    base: Type.Object({ generation: Ordinal, contentHash: Sha256Hex }, CLOSED),
    ...Placement,
    contentHash: Sha256Hex,
    trust: Type.Union([CompactJws, Type.Null()]),
    issuers: changesOf(IssuerEntry, Sha256Hex),
    denials: changesOf(DenialEntry, DenialId),
    revocations: changesOf(DenialEntry, DenialId),
    releases: changesOf(Release, DenialId),
  },
  CLOSED,
)

/**
 * The step from one fleet content (`base`, same epoch) to another (`generation`, `contentHash`). `trust` is the
 * new statement or null. Removing an entry is bookkeeping of the document: agents keep what they were told.
 */
export type FleetDelta = Static<typeof FleetDelta>

/**
 * Signs the step from `base` to `input.content`.
 * @throws {MeshError} `state_malformed` (also when the generation does not rise), `state_signer_expired`, `jws_too_large`
 */
export async function fleetDelta(
  base: { readonly generation: number; readonly content: FleetContent },
  input: StateInput<FleetContent>,
  lifetimes: Lifetimes,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<Signed<FleetDelta>> {
  const before = parseFleetContent(sortedFleetContent(base.content))
  const after = parseFleetContent(sortedFleetContent(input.content))
  const payload = parseDelta({
    kind: 'fleet',
    format: STATE_FORMATS[0],
    trustDomain: input.trustDomain,
    base: { generation: base.generation, contentHash: contentHash(before) },
    epoch: input.epoch,
    generation: input.generation,
    ...termOf(deps.now, lifetimes, signer),
    contentHash: contentHash(after),
    trust: after.trust === before.trust ? null : after.trust,
    issuers: difference(before.issuers, after.issuers),
    denials: difference(before.denials, after.denials),
    revocations: difference(before.revocations, after.revocations),
    releases: difference(before.releases, after.releases),
  })
  return { jws: await signJws(signer, 'vcc-delta+jws', payload), payload }
}

/** @throws {MeshError} `state_format_unknown`, `state_malformed` */
export function parseDelta(value: unknown): FleetDelta {
  assertKnownFormat(value)
  const delta = parse(value)
  assertTerm(delta)
  if (delta.generation <= delta.base.generation) {
    throw new MeshError('state_malformed', 'a delta leads to a higher generation than its base')
  }
  return delta
}

/**
 * The content after the step. Names nobody and checks no signature.
 * @throws {MeshError} `state_hash_mismatch` when the result is not what the delta states, `state_malformed`
 */
export function applyDelta(before: FleetContent, delta: FleetDelta): FleetContent {
  const after = sortedFleetContent({
    trust: delta.trust ?? before.trust,
    issuers: changed(before.issuers, delta.issuers),
    denials: changed(before.denials, delta.denials),
    revocations: changed(before.revocations, delta.revocations),
    releases: changed(before.releases, delta.releases),
  })
  if (contentHash(after) !== delta.contentHash) {
    throw new MeshError('state_hash_mismatch', 'the delta does not lead to the content it states')
  }
  return parseFleetContent(after)
}

type Entry = IssuerEntry | DenialEntry | Release

interface Changes<E extends Entry> {
  readonly add: readonly E[]
  readonly remove: readonly string[]
}

/** An entry that differs under the same key is in `add` alone: adding replaces. */
function difference<E extends Entry>(before: readonly E[], after: readonly E[]): Changes<E> {
  const old = new Map(before.map((entry) => [fleetKey(entry), canonicalJson(entry)]))
  const kept = new Set(after.map(fleetKey))
  return {
    add: after.filter((entry) => old.get(fleetKey(entry)) !== canonicalJson(entry)),
    remove: [...old.keys()].filter((key) => !kept.has(key)),
  }
}

function changed<E extends Entry>(before: readonly E[], { add, remove }: Changes<E>): E[] {
  const entries = new Map(before.map((entry) => [fleetKey(entry), entry]))
  for (const key of remove) entries.delete(key)
  for (const entry of add) entries.set(fleetKey(entry), entry)
  return [...entries.values()]
}

const parse = parserOf(FleetDelta, 'state_malformed', 'fleet delta')
