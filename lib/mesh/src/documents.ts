import { type Static, Type } from 'typebox'
import { type AgentContent, parseAgentContent } from './agent-content.ts'
import { contentHash } from './canonical.ts'
import { MeshError } from './errors.ts'
import { type FleetContent, parseFleetContent, sortedFleetContent } from './fleet-content.ts'
import { instantOf } from './instant.ts'
import { type JwsSigner, signJws } from './jws.ts'
import { type Lifetimes, type Term, termOf } from './lifetimes.ts'
import { CLOSED, DomainName, FormatNumber, InstanceId, Instant, Ordinal, parserOf, Sha256Hex } from './shapes.ts'

/** The state formats this version reads and writes. Agents announce theirs in every status. */
export const STATE_FORMATS = [1] as const

export type StateKind = 'fleet' | 'agent'

/** Members that place a document in time and order; the same in documents, refreshes and deltas. */
export const Placement = {
  epoch: Ordinal,
  generation: Ordinal,
  issuedAt: Instant,
  acceptUntil: Instant,
  enforceUntil: Instant,
}

const Envelope = {
  format: FormatNumber,
  trustDomain: DomainName,
  ...Placement,
  contentHash: Sha256Hex,
  content: Type.Unsafe<object>(Type.Object({})),
}

const Shape = Type.Union([
  Type.Object({ kind: Type.Literal('fleet'), instance: Type.Null(), ...Envelope }, CLOSED),
  Type.Object({ kind: Type.Literal('agent'), instance: InstanceId, ...Envelope }, CLOSED),
])

interface Common<Content> {
  readonly format: number
  readonly trustDomain: string
  readonly epoch: number
  readonly generation: number
  readonly issuedAt: string
  readonly acceptUntil: string
  readonly enforceUntil: string
  readonly contentHash: string
  readonly content: Content
}
export type FleetDocument = Common<FleetContent> & { readonly kind: 'fleet'; readonly instance: null }
export type AgentDocument = Common<AgentContent> & { readonly kind: 'agent'; readonly instance: string }
export type StateDocument = FleetDocument | AgentDocument

export const Refresh = Type.Object(
  {
    kind: Type.Union([Type.Literal('fleet'), Type.Literal('agent')]),
    instance: Type.Union([InstanceId, Type.Null()]),
    ...Placement,
    contentHash: Sha256Hex,
  },
  CLOSED,
)

/** Extends exactly the content it names. Has no format number: another shape would be another `typ`. */
export type Refresh = Readonly<Static<typeof Refresh>>

/** A signed text together with what it says. */
export interface Signed<T> {
  readonly jws: string
  readonly payload: T
}

export interface StateInput<Content> {
  readonly trustDomain: string
  readonly epoch: number
  readonly generation: number
  readonly content: Content
}

/**
 * Signs the fleet document. Lists may come in any order. `enforceUntil` never passes a notAfter in `x5c`.
 * @param deps.now The instant of signing; the caller keeps it from going back.
 * @throws {MeshError} `state_malformed`, `state_signer_expired`, `jws_too_large`
 */
export async function fleetDocument(
  input: StateInput<FleetContent>,
  lifetimes: Lifetimes,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<Signed<FleetDocument>> {
  const content = parseFleetContent(sortedFleetContent(input.content))
  const term = termOf(deps.now, lifetimes, signer)
  const payload: FleetDocument = { kind: 'fleet', instance: null, ...commonOf(input, content, term) }
  return signed(payload, signer)
}

/** Signs the document of one instance. Otherwise as `fleetDocument`. */
export async function agentDocument(
  input: StateInput<AgentContent> & { readonly instance: string },
  lifetimes: Lifetimes,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<Signed<AgentDocument>> {
  const content = parseAgentContent(input.content)
  const term = termOf(deps.now, lifetimes, signer)
  const payload: AgentDocument = { kind: 'agent', instance: input.instance, ...commonOf(input, content, term) }
  return signed(payload, signer)
}

/** What a refresh names: a document that was signed, or what a database remembers of it. */
export type RefreshTarget = Pick<Refresh, 'kind' | 'instance' | 'epoch' | 'generation' | 'contentHash'>

/** Signs a refresh of content signed before. @throws {MeshError} `state_malformed`, `state_signer_expired` */
export async function refreshOf(
  target: RefreshTarget,
  lifetimes: Lifetimes,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<Signed<Refresh>> {
  const { kind, instance, epoch, generation, contentHash } = target
  const term = termOf(deps.now, lifetimes, signer)
  const payload = parseRefresh({ kind, instance, epoch, generation, contentHash, ...term })
  return { jws: await signJws(signer, 'vcc-refresh+jws', payload), payload }
}

/**
 * Reads the payload of a document. The format number is looked at first: a format that is not known is
 * `state_format_unknown`, whatever else it holds; in a known one nothing unknown is let through.
 *
 * @throws {MeshError} `state_format_unknown`, `state_malformed`, `state_hash_mismatch`
 */
export function parseDocument(value: unknown): StateDocument {
  assertKnownFormat(value)
  const document = parseShape(value)
  assertTerm(document)
  if (contentHash(document.content) !== document.contentHash) {
    throw new MeshError('state_hash_mismatch', 'the content of the document does not have the hash it states')
  }
  return document.kind === 'fleet'
    ? { ...document, content: parseFleetContent(document.content) }
    : { ...document, content: parseAgentContent(document.content) }
}

/** @throws {MeshError} `state_malformed` */
export function parseRefresh(value: unknown): Refresh {
  const refresh = parseRefreshShape(value)
  if ((refresh.kind === 'fleet') !== (refresh.instance === null)) {
    throw new MeshError('state_malformed', 'refresh: fleet has no instance, an agent has one')
  }
  assertTerm(refresh)
  return refresh
}

/** @throws {MeshError} `state_format_unknown` */
export function assertKnownFormat(value: unknown): void {
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (typeof format === 'number' && !STATE_FORMATS.some((known) => known === format)) {
    throw new MeshError('state_format_unknown', `state format ${format} is not one this version reads`)
  }
}

/** `issuedAt ≤ acceptUntil ≤ enforceUntil ≤ issuedAt + 5 d`, the longest outage budget there is. */
export function assertTerm({ issuedAt, acceptUntil, enforceUntil }: Term): void {
  const [issued, accept, enforce] = [issuedAt, acceptUntil, enforceUntil].map(
    (text) => instantOf(text).getTime() / 1000,
  )
  if (issued === undefined || accept === undefined || enforce === undefined) throw new TypeError('three instants')
  if (issued > accept || accept > enforce || enforce > issued + MAX_ENFORCE_SECONDS) {
    throw new MeshError('state_malformed', 'issuedAt, acceptUntil and enforceUntil contradict each other')
  }
}

const parseShape = parserOf(Shape, 'state_malformed', 'state document')
const parseRefreshShape = parserOf(Refresh, 'state_malformed', 'refresh')
const MAX_ENFORCE_SECONDS = 5 * 86_400

function commonOf<Content>(
  { trustDomain, epoch, generation }: StateInput<Content>,
  content: Content,
  term: Term,
): Common<Content> {
  return {
    format: STATE_FORMATS[0],
    trustDomain,
    epoch,
    generation,
    ...term,
    contentHash: contentHash(content),
    content,
  }
}

/** What we would not read, we do not sign. */
async function signed<T extends StateDocument>(payload: T, signer: JwsSigner): Promise<Signed<T>> {
  parseDocument(payload)
  return { jws: await signJws(signer, 'vcc-state+jws', payload), payload }
}
