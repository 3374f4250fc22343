import type { Certificate } from '@vcc/x509'
import { clockReading } from './clock.ts'
import { applyDelta, type FleetDelta, parseDelta } from './deltas.ts'
import { mergeDenied, NOTHING_DENIED } from './denials.ts'
import {
  type AgentDocument,
  type FleetDocument,
  parseDocument,
  parseRefresh,
  type Refresh,
  type StateDocument,
} from './documents.ts'
import { MeshError } from './errors.ts'
import type { Held, HeldAgent, HeldFleet } from './held.ts'
import { instantOf, isoSeconds, latest } from './instant.ts'
import { type DecodedJws, decodeJws } from './jws.ts'
import type { Term } from './lifetimes.ts'
import { parsePayload } from './shapes.ts'
import { assertSignedByLeaf, assertStateSigner } from './state-signer.ts'
import { replacedTrust, type TrustStatement, verifyTrustStatement } from './trust.ts'

/** Under what something is accepted. Nothing here comes from the message. */
export interface Acceptance {
  /** The pinned mesh root. */
  readonly root: Certificate
  /** The trust statement in force: that of the held fleet, or the one from join. */
  readonly trust: TrustStatement
  readonly now: Date
  /** The highest signed `issuedAt` ever seen; kept on disk by the caller. */
  readonly floor: Date | undefined
  /** A refresh that came with the document or before it. One that does not extend the document is ignored. */
  readonly refresh?: string | undefined
}

export interface AgentAcceptance extends Acceptance {
  /** Whose state it has to be: instance id and SPIFFE ID of one's own certificate. */
  readonly instance: string
  readonly service: string
}

/**
 * Takes a fleet document, or refuses it. Its signer must be named by the trust statement it carries, which must
 * be the held one or replace it.
 *
 * @returns `current` itself when the document is the held one and no newer; otherwise the new state, with what
 *   was denied before carried over
 * @throws {MeshError} `jws_*`, `trust_*`, `state_*` (not `state_gap`), `denial_*`
 */
export function acceptFleet(current: HeldFleet | undefined, jws: string, by: Acceptance): HeldFleet {
  const { decoded, document } = openDocument(jws)
  if (document.kind !== 'fleet')
    throw new MeshError('state_foreign', 'this is the document of an instance, not of the fleet')
  assertDomain(document.trustDomain, by)
  assertNotOlder(current, document)
  const trust = trustAfter(current, document.content.trust, by)
  assertStateSigner(decoded, document, { root: by.root, trust, at: judgedAt(document, by) })
  if (current !== undefined && isHeldAlready(current, document)) return extended(current, by)
  return mintedFleet(current, jws, document, trust, by)
}

/** Takes the document of one's own instance, or refuses it. Otherwise as `acceptFleet`. */
export function acceptAgent(current: HeldAgent | undefined, jws: string, by: AgentAcceptance): HeldAgent {
  const { decoded, document } = openDocument(jws)
  if (document.kind !== 'agent')
    throw new MeshError('state_foreign', 'this is the document of the fleet, not of an instance')
  assertDomain(document.trustDomain, by)
  if (document.instance !== by.instance || document.content.service !== by.service) {
    throw new MeshError(
      'state_foreign',
      `the document is for instance ${document.instance} of ${document.content.service}`,
    )
  }
  assertNotOlder(current, document)
  assertStateSigner(decoded, document, { root: by.root, trust: by.trust, at: judgedAt(document, by) })
  if (current !== undefined && isHeldAlready(current, document)) return extended(current, by)
  return alive(mintedAgent(jws, document), by)
}

/**
 * Extends held state by a refresh that names exactly its content.
 *
 * @returns `current` itself when the refresh is no newer
 * @throws {MeshError} `jws_*`, `state_signature_invalid`, `state_signer_refused`, `state_malformed`, and
 *   `state_foreign` (another kind or instance), `state_stale` (of an older generation), `state_gap` (of a newer
 *   one: a document was missed, pull it), `state_conflict` (other content), `state_expired`
 */
export function acceptRefresh<H extends Held>(current: H, jws: string, by: Acceptance): H {
  const decoded = decodeJws(jws, 'vcc-refresh+jws')
  assertSignedByLeaf(decoded)
  const refresh = parseRefresh(parsePayload(decoded.payload, 'state_malformed', 'refresh'))
  assertNamesHolder(current, refresh)
  assertNotOlder(current, refresh)
  assertNotNewer(current, refresh)
  const trust = current.kind === 'fleet' ? newerTrust(current.trust, by.trust) : by.trust
  assertStateSigner(decoded, refresh, { root: by.root, trust, at: judgedAt(refresh, by) })
  if (refresh.contentHash !== current.contentHash) throw conflict(refresh)
  if (instantOf(refresh.issuedAt) <= current.issuedAt) return current
  assertTakeable(refresh, by)
  return { ...current, refresh: jws, ...instantsOf(refresh) }
}

/**
 * Takes the step from the held fleet content to the next one.
 *
 * @returns `current` itself when the step was taken already
 * @throws {MeshError} as `acceptFleet`, and `state_gap` when the base is not what is held, or when so many deltas
 *   lie on the document that it is time for a new one
 */
export function acceptDelta(current: HeldFleet | undefined, jws: string, by: Acceptance): HeldFleet {
  const decoded = decodeJws(jws, 'vcc-delta+jws')
  assertSignedByLeaf(decoded)
  const delta = parseDelta(parsePayload(decoded.payload, 'state_malformed', 'fleet delta'))
  assertDomain(delta.trustDomain, by)
  if (current === undefined) throw new MeshError('state_gap', 'a delta without a document to lay it on')
  assertNotOlder(current, delta)
  const taken = order(current, delta) === 0
  if (!taken) assertBase(current, delta)
  const trust = trustAfter(current, delta.trust ?? current.content.trust, by)
  assertStateSigner(decoded, delta, { root: by.root, trust, at: judgedAt(delta, by) })
  if (taken) {
    if (current.contentHash !== delta.contentHash) throw conflict(delta)
    return current
  }
  assertTakeable(delta, by)
  return {
    ...current,
    ...instantsOf(delta),
    generation: delta.generation,
    contentHash: delta.contentHash,
    ...contentAfter(current, applyDelta(current.content, delta), delta),
    deltas: [...current.deltas, jws],
    refresh: undefined,
    trust,
  }
}

interface Place {
  readonly epoch: number
  readonly generation: number
}

function openDocument(jws: string): { decoded: DecodedJws; document: StateDocument } {
  const decoded = decodeJws(jws, 'vcc-state+jws')
  assertSignedByLeaf(decoded)
  return { decoded, document: parseDocument(parsePayload(decoded.payload, 'state_malformed', 'state document')) }
}

/**
 * The instant at which the signer's certificates are judged. Its own `issuedAt` counts as a lower bound, so that
 * a clock a little behind does not refuse a certificate issued this minute; it can never make anything younger.
 */
function judgedAt(term: Term, by: Acceptance): Date {
  return latest(clockReading(by.now, by.floor).at, instantOf(term.issuedAt))
}

function assertDomain(trustDomain: string, by: Acceptance): void {
  if (trustDomain !== by.trust.trustDomain) {
    throw new MeshError('state_foreign', `the state is for trust domain ${trustDomain}`)
  }
}

/** The statement in force after the one that the message carries was seen. */
function trustAfter(current: HeldFleet | undefined, carried: string, by: Acceptance): TrustStatement {
  const known = current === undefined ? by.trust : newerTrust(current.trust, by.trust)
  return replacedTrust(known, verifyTrustStatement(carried, by.root))
}

function newerTrust(a: TrustStatement, b: TrustStatement): TrustStatement {
  return b.version > a.version ? b : a
}

/** Negative when `a` comes before `b`. The epoch decides first: it changes only at init and restore. */
function order(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.generation - b.generation
}

/**
 * What is older is refused whoever signed it. This comes before the signer is judged: a late message was signed
 * under an older trust statement, and being late is no alarm.
 */
function assertNotOlder(current: Held | undefined, message: Place): void {
  if (current !== undefined && order(current, message) > 0) {
    throw new MeshError('state_stale', `${placeOf(message)} is older than ${placeOf(current)}, which is held`)
  }
}

/** @throws {MeshError} `state_conflict` */
function isHeldAlready(current: Held, document: StateDocument): boolean {
  if (order(current, document) !== 0) return false
  if (current.contentHash !== document.contentHash) throw conflict(document)
  return instantOf(document.issuedAt) <= current.issuedAt
}

function assertNamesHolder(current: Held, refresh: Refresh): void {
  if (refresh.kind !== current.kind || refresh.instance !== current.instance) {
    throw new MeshError('state_foreign', 'the refresh is for another document')
  }
}

/**
 * Decided before the signer is judged: the trust statement that names it may be in what was missed. A pull is all
 * that a liar gains.
 */
function assertNotNewer(current: Held, refresh: Refresh): void {
  if (order(current, refresh) < 0) {
    throw new MeshError('state_gap', `the refresh names ${placeOf(refresh)}, ${placeOf(current)} is held`)
  }
}

/** As `assertNotNewer`. */
function assertBase(current: HeldFleet, { base, epoch }: FleetDelta): void {
  if (current.epoch !== epoch || current.generation !== base.generation || current.contentHash !== base.contentHash) {
    throw new MeshError('state_gap', `the delta builds on generation ${base.generation}, ${placeOf(current)} is held`)
  }
  if (current.deltas.length >= MAX_DELTAS) throw new MeshError('state_gap', `${MAX_DELTAS} deltas lie on one document`)
}

function assertTakeable(term: Pick<Term, 'acceptUntil'>, by: Acceptance): void {
  if (clockReading(by.now, by.floor).at > instantOf(term.acceptUntil)) {
    throw new MeshError('state_expired', `it was to be taken until ${term.acceptUntil}`)
  }
}

/** A document whose own time to be taken is over needs a live refresh; any other may be extended by one. */
function alive<H extends Held>(held: H, by: Acceptance): H {
  const result = extended(held, by)
  if (result === held) assertTakeable({ acceptUntil: isoSeconds(held.acceptUntil) }, by)
  return result
}

/** With the refresh that came along, if it is one for this. What else it may be is for `acceptRefresh` to say. */
function extended<H extends Held>(held: H, by: Acceptance): H {
  if (by.refresh === undefined) return held
  try {
    return acceptRefresh(held, by.refresh, by)
  } catch (error) {
    if (error instanceof MeshError) return held
    throw error
  }
}

function mintedFleet(
  current: HeldFleet | undefined,
  jws: string,
  document: FleetDocument,
  trust: TrustStatement,
  by: Acceptance,
): HeldFleet {
  const { content } = document
  const held = { ...commonOf(jws, document), kind: 'fleet', instance: null, deltas: [], trust } as const
  const denied = mergeDenied(current?.denied ?? NOTHING_DENIED, content, instantOf(document.issuedAt))
  return alive({ ...held, content, denied } as unknown as HeldFleet, { ...by, trust }) // the mint of HeldFleet
}

function mintedAgent(jws: string, document: AgentDocument): HeldAgent {
  const { instance, content } = document
  return { ...commonOf(jws, document), kind: 'agent', instance, content } as unknown as HeldAgent // the mint of HeldAgent
}

function commonOf(jws: string, document: StateDocument) {
  const { trustDomain, epoch, generation, contentHash } = document
  return { trustDomain, epoch, generation, contentHash, ...instantsOf(document), document: jws, refresh: undefined }
}

function contentAfter(current: HeldFleet, content: HeldFleet['content'], { issuedAt }: FleetDelta) {
  return { content, denied: mergeDenied(current.denied, content, instantOf(issuedAt)) }
}

function instantsOf(term: Term): { issuedAt: Date; acceptUntil: Date; enforceUntil: Date } {
  return {
    issuedAt: instantOf(term.issuedAt),
    acceptUntil: instantOf(term.acceptUntil),
    enforceUntil: instantOf(term.enforceUntil),
  }
}

function conflict(message: Place): MeshError {
  return new MeshError('state_conflict', `there are two different contents of ${placeOf(message)}`)
}

function placeOf({ epoch, generation }: Place): string {
  return `generation ${generation} of epoch ${epoch}`
}

/** Enough for an hour of one change a minute; after that a snapshot costs less than the list. */
const MAX_DELTAS = 64
