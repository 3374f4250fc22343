import { createHash } from 'node:crypto'
import type { Certificate } from '@vcc/x509'
import { type Static, type TSchema, Type } from 'typebox'
import {
  type Acceptance,
  type AgentAcceptance,
  acceptAgent,
  acceptDelta,
  acceptFleet,
  acceptRefresh,
} from './accept.ts'
import { canonicalJson, parseCanonical } from './canonical.ts'
import { DenialEntry, deniedOf, mergeDenied } from './denials.ts'
import { MeshError } from './errors.ts'
import type { Held, HeldAgent, HeldFleet } from './held.ts'
import { instantOf } from './instant.ts'
import { decodeJws, type JwsType } from './jws.ts'
import { CLOSED, Instant, isSortedSet, parserOf } from './shapes.ts'
import { type TrustStatement, verifyTrustStatement } from './trust.ts'

const StoredJws = Type.String({ maxLength: 4 * 1024 * 1024 })
const FileOf = <S extends TSchema>(state: S) =>
  Type.Object({ format: Type.Literal(1), sha256: Type.String(), state }, CLOSED)
const FleetFile = FileOf(
  Type.Object(
    {
      kind: Type.Literal('fleet'),
      document: StoredJws,
      deltas: Type.Array(StoredJws, { maxItems: 64 }),
      refresh: Type.Union([StoredJws, Type.Null()]),
      denied: Type.Array(DenialEntry, { maxItems: 65_536 }),
    },
    CLOSED,
  ),
)
const AgentFile = FileOf(
  Type.Object(
    { kind: Type.Literal('agent'), document: StoredJws, refresh: Type.Union([StoredJws, Type.Null()]) },
    CLOSED,
  ),
)

/**
 * Held state as text for the disk: the signed texts as they came and, for the fleet, everything denied, under a
 * SHA-256. The digest finds damage, not forgery: whoever may write the file may also write the key beside it.
 */
export function encodeHeld(held: Held): string {
  const { kind, document } = held
  const refresh = held.refresh ?? null
  const state =
    held.kind === 'fleet'
      ? { kind, document, deltas: held.deltas, refresh, denied: held.denied.entries }
      : { kind, document, refresh }
  return canonicalJson({ format: 1, sha256: digestOf(state), state })
}

/**
 * Reads the fleet file and verifies everything in it as if it came from the network, each text at the instant it
 * was signed: that it can no longer be taken anew does not matter, how long it may be worked on is what
 * `enforcement` says.
 *
 * @param text At most 16 MiB.
 * @throws {MeshError} `held_malformed` (truncated, damaged, not ours) and all that `acceptFleet` throws
 */
export function decodeHeldFleet(text: string, by: Stored<Acceptance>): HeldFleet {
  const { document, deltas, refresh, denied } = readFile(text, parseFleetFile).state
  if (!isSortedSet(denied.map(({ id }) => id)))
    throw new MeshError('held_malformed', 'the denials in the file are not sorted')
  const base = acceptFleet(undefined, document, signedWhen(document, 'vcc-state+jws', by))
  const latest = deltas.reduce((held, delta) => acceptDelta(held, delta, signedWhen(delta, 'vcc-delta+jws', by)), base)
  const whole = {
    ...latest,
    denied: mergeDenied(
      deniedOf(denied),
      { denials: latest.denied.entries, revocations: [], releases: [] },
      latest.issuedAt,
    ),
  }
  return refresh === null ? whole : acceptRefresh(whole, refresh, signedWhen(refresh, 'vcc-refresh+jws', by))
}

/** Reads the file of one's own instance; the trust statement is that of the fleet. Otherwise as `decodeHeldFleet`. */
export function decodeHeldAgent(text: string, by: Stored<AgentAcceptance>): HeldAgent {
  const { document, refresh } = readFile(text, parseAgentFile).state
  const held = acceptAgent(undefined, document, signedWhen(document, 'vcc-state+jws', by))
  return refresh === null ? held : acceptRefresh(held, refresh, signedWhen(refresh, 'vcc-refresh+jws', by))
}

/**
 * The trust statement that a stored fleet document carries. The mesh root itself signed it, so that it can be believed
 * before anything else in the file: for a holder that has lost its own.
 *
 * @throws {MeshError} `held_malformed`, and all that `verifyTrustStatement` throws
 */
export function trustOfStoredFleet(text: string, root: Certificate): TrustStatement {
  const { document } = readFile(text, parseFleetFile).state
  const { content } = parseCarrier(parseCanonical(decodeJws(document, 'vcc-state+jws').payload)?.value)
  return verifyTrustStatement(content.trust, root)
}

/** Stored state is judged at the instants it names itself. */
export type Stored<A extends Acceptance> = Omit<A, 'now' | 'floor' | 'refresh'>

function readFile<F extends { readonly sha256: string; readonly state: unknown }>(
  text: string,
  parse: (value: unknown) => F,
): F {
  if (text.length > MAX_FILE_LENGTH) throw new MeshError('held_malformed', 'the stored state is too large')
  const value = parseCanonical(Buffer.from(text, 'utf8'))?.value
  if (value === undefined) throw new MeshError('held_malformed', 'the stored state is truncated or damaged')
  const file = parse(value)
  if (file.sha256 !== digestOf(file.state)) throw new MeshError('held_malformed', 'the stored state is damaged')
  return file
}

/** `issuedAt` is read before its signature is verified, and then verified at that instant. */
function signedWhen<A extends Acceptance>(
  jws: string,
  typ: JwsType,
  by: Stored<A>,
): Stored<A> & Pick<Acceptance, 'now' | 'floor'> {
  const payload = parseCanonical(decodeJws(jws, typ).payload)?.value
  const { issuedAt } = parseIssued(payload)
  return { ...by, now: instantOf(issuedAt), floor: undefined }
}

function digestOf(state: unknown): string {
  return createHash('sha256').update(canonicalJson(state), 'utf8').digest('hex')
}

const parseFleetFile: (value: unknown) => Static<typeof FleetFile> = parserOf(
  FleetFile,
  'held_malformed',
  'stored fleet state',
)
const parseAgentFile: (value: unknown) => Static<typeof AgentFile> = parserOf(
  AgentFile,
  'held_malformed',
  'stored agent state',
)
const parseIssued = parserOf(Type.Object({ issuedAt: Instant }), 'held_malformed', 'stored state')
const parseCarrier = parserOf(
  Type.Object({ content: Type.Object({ trust: StoredJws }) }),
  'held_malformed',
  'stored fleet document',
)
const MAX_FILE_LENGTH = 16 * 1024 * 1024
