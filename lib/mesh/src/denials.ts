import { type Static, Type } from 'typebox'
import { MeshError } from './errors.ts'
import { addSeconds, instantOf } from './instant.ts'
import { CLOSED, Instant, SerialHex, Sha256Hex, SpiffeId, sortedBy } from './shapes.ts'

/** Names one denial or revocation for ever: it is never used again for another target. */
export const DenialId = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })

/** `until`: when the target can no longer be presented (its notAfter); null: until released. */
const Common = { id: DenialId, until: Type.Union([Instant, Type.Null()]) }

export const DenialEntry = Type.Union([
  Type.Object({ ...Common, kind: Type.Literal('serial'), value: SerialHex, issuer: Sha256Hex }, CLOSED),
  Type.Object({ ...Common, kind: Type.Literal('spki'), value: Sha256Hex }, CLOSED),
  Type.Object({ ...Common, kind: Type.Literal('identity'), value: SpiffeId }, CLOSED),
  Type.Object({ ...Common, kind: Type.Literal('issuer'), value: Sha256Hex }, CLOSED),
])

/**
 * One thing that is shut out: a certificate (serial and SHA-256 of its issuer's SPKI), a key (SHA-256 of the
 * SPKI), an identity (SPIFFE ID), or everything an issuer signed (SHA-256 of the issuer's SPKI).
 */
export type DenialEntry = Static<typeof DenialEntry>

export const Release = Type.Object({ id: DenialId }, CLOSED)
export type Release = Static<typeof Release>

/** What an agent has been told to shut out, from all documents together. */
export interface Denied {
  /** Sorted by id. */
  readonly entries: readonly DenialEntry[]
  readonly targets: ReadonlyMap<string, DenialEntry>
}

export interface DeniedChange {
  readonly denials: readonly DenialEntry[]
  readonly revocations: readonly DenialEntry[]
  readonly releases: readonly Release[]
}

export const NOTHING_DENIED: Denied = { entries: [], targets: new Map() }

export function deniedOf(entries: Iterable<DenialEntry>): Denied {
  const sorted = sortedBy(entries, (entry) => entry.id)
  return { entries: sorted, targets: new Map(sorted.map((entry) => [targetOf(entry), entry])) }
}

/**
 * Adds what a newer document says to what is held. An entry leaves only when a release names it or its
 * `until` lies more than five minutes before `asOf`; that a document no longer lists it changes nothing.
 *
 * @param asOf The signed `issuedAt` of the document, not the local clock: a clock gone wrong forgets nothing.
 * @throws {MeshError} `denial_conflict` when an id changes its target, `denial_overflow` beyond 65,536 entries
 */
export function mergeDenied(held: Denied, change: DeniedChange, asOf: Date): Denied {
  const entries = new Map(held.entries.map((entry) => [entry.id, entry]))
  for (const entry of [...change.denials, ...change.revocations]) {
    const before = entries.get(entry.id)
    entries.set(entry.id, before === undefined ? entry : prolonged(before, entry))
  }
  for (const { id } of change.releases) entries.delete(id)
  const horizon = addSeconds(asOf, -EXPIRY_SLACK_SECONDS)
  for (const { id, until } of entries.values()) {
    if (until !== null && instantOf(until) < horizon) entries.delete(id)
  }
  if (entries.size > MAX_DENIED) throw new MeshError('denial_overflow', `more than ${MAX_DENIED} denials`)
  return deniedOf(entries.values())
}

/** A peer as the TLS layer verified it. */
export interface DeniedSubject {
  readonly serialHex: string
  readonly issuerSpkiSha256: string
  readonly spkiSha256: string
  readonly id: string
}

/**
 * The entry that shuts this peer out, or undefined. `until` plays no part: whoever is listed is out, and a
 * certificate past its notAfter is refused for that.
 */
export function isDenied(held: Denied, subject: DeniedSubject): DenialEntry | undefined {
  const { targets } = held
  return (
    targets.get(`serial ${subject.issuerSpkiSha256} ${subject.serialHex}`) ??
    targets.get(`spki ${subject.spkiSha256}`) ??
    targets.get(`identity ${subject.id}`) ??
    targets.get(`issuer ${subject.issuerSpkiSha256}`)
  )
}

function targetOf(entry: DenialEntry): string {
  return entry.kind === 'serial' ? `serial ${entry.issuer} ${entry.value}` : `${entry.kind} ${entry.value}`
}

function prolonged(before: DenialEntry, entry: DenialEntry): DenialEntry {
  if (targetOf(before) !== targetOf(entry)) {
    throw new MeshError('denial_conflict', `denial ${entry.id} has changed its target`)
  }
  const longer = before.until === null || (entry.until !== null && entry.until < before.until)
  return longer ? before : entry
}

const EXPIRY_SLACK_SECONDS = 300
const MAX_DENIED = 65_536
