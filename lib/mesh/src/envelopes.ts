import {
  type Certificate,
  nameValues,
  OID,
  uriIdentityOf,
  type VerifiedPath,
  validateChain,
  X509Error,
} from '@vcc/x509'
import { type TSchema, Type } from 'typebox'
import { UP_BODIES, type UpBody, type UpKind } from './bodies.ts'
import { MeshError } from './errors.ts'
import { addSeconds, earliest, instantOf, isoSeconds, wholeSeconds } from './instant.ts'
import { decodeJws, type JwsSigner, signJws, verifyJws } from './jws.ts'
import { CLOSED, InstanceId, Instant, parsePayload, parserOf } from './shapes.ts'
import { leafOf } from './state-signer.ts'
import { isInstanceId } from './topics.ts'

/** 128 random bits or more, base64url. Drawn by the caller, never used twice. */
const Nonce = Type.String({ pattern: '^[A-Za-z0-9_-]{22,64}$' })

/** Members that an envelope and its answer share. */
export const EnvelopeHead = {
  instance: InstanceId,
  /** Ties an answer to its request. */
  correlation: Nonce,
  nonce: Nonce,
  issuedAt: Instant,
  expiresAt: Instant,
}

/** The longest an envelope or a reply may live. */
export const MAX_ENVELOPE_SECONDS = 900

const shapeOf = <K extends UpKind, B extends TSchema>(kind: K, body: B) =>
  Type.Object({ kind: Type.Literal(kind), ...EnvelopeHead, body }, CLOSED)

export interface UpEnvelope<K extends UpKind> {
  readonly kind: K
  readonly instance: string
  readonly correlation: string
  readonly nonce: string
  readonly issuedAt: string
  readonly expiresAt: string
  readonly body: UpBody<K>
}

export interface EnvelopeInput<K extends UpKind> {
  readonly kind: K
  readonly instance: string
  readonly correlation: string
  readonly nonce: string
  readonly body: UpBody<K>
}

/**
 * Signs what an agent says, with the key of its certificate.
 * @param lifetimeSeconds At most 900; a minute is usual.
 * @throws {MeshError} `envelope_malformed`, `jws_too_large`
 */
export async function signEnvelope<K extends UpKind>(
  input: EnvelopeInput<K>,
  lifetimeSeconds: number,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<string> {
  const { kind, instance, correlation, nonce, body } = input
  const issuedAt = wholeSeconds(deps.now)
  const term = { issuedAt: isoSeconds(issuedAt), expiresAt: isoSeconds(addSeconds(issuedAt, lifetimeSeconds)) }
  const envelope = PARSERS[kind]({ kind, instance, correlation, nonce, ...term, body })
  assertLifetime(envelope)
  return signJws(signer, 'vcc-up+jws', envelope)
}

export interface EnvelopeContext<K extends UpKind> {
  /** Mesh roots: one, or two while a root is rolled over. */
  readonly anchors: readonly Certificate[]
  readonly now: Date
  /** What the topic or route is for; an envelope of another kind is refused. */
  readonly purpose: K
  /** The instance that the topic names, where there is one. */
  readonly expectInstance?: string
}

/** Who signed, as the certificates say. Whether it is registered, latest, or revoked is not known here. */
export interface Sender {
  /** Common name of the certificate. */
  readonly instance: string
  /** SPIFFE ID. */
  readonly id: string
  readonly serialHex: string
  readonly spkiSha256: string
  /** SHA-256 of the SPKI of the CA that issued the certificate. */
  readonly issuerSpkiSha256: string
  readonly certificate: Certificate
  readonly path: VerifiedPath
}

declare const verified: unique symbol

/** An envelope whose signature, sender and term were checked. Minted only by `verifyEnvelope`. */
export type VerifiedEnvelope<K extends UpKind> = UpEnvelope<K> & { readonly sender: Sender; readonly [verified]: true }

/**
 * Verifies an envelope. For `re-enrol` the certificate is judged at its own notAfter when it has expired: how
 * long ago is the caller's to weigh. Does **not** detect replay (see `ReplayWindow`), nor ask who may send.
 *
 * @throws {MeshError} `jws_*`, `envelope_signature_invalid`, `envelope_malformed`, `envelope_purpose_mismatch`,
 *   `envelope_sender_refused` (chain, EKU, names; its `cause` is the X509Error), `envelope_sender_mismatch`,
 *   `envelope_expired`, `envelope_not_yet_valid`
 */
export function verifyEnvelope<K extends UpKind>(jws: string, by: EnvelopeContext<K>): VerifiedEnvelope<K> {
  const decoded = decodeJws(jws, 'vcc-up+jws')
  const leaf = leafOf(decoded)
  if (!verifyJws(decoded, leaf.publicKey)) {
    throw new MeshError('envelope_signature_invalid', 'the envelope is not signed by the key of its certificate')
  }
  const sender = senderOf(decoded.x5cDer, leaf, by)
  const payload = parsePayload(decoded.payload, 'envelope_malformed', 'envelope')
  assertPurpose(payload, by.purpose)
  const envelope = PARSERS[by.purpose](payload) as UpEnvelope<K> // the parser of this kind
  if (envelope.instance !== sender.instance) {
    throw new MeshError(
      'envelope_sender_mismatch',
      `the envelope speaks for ${envelope.instance}, its certificate is ${sender.instance}'s`,
    )
  }
  assertCurrent(envelope, by.now)
  return { ...envelope, sender } as VerifiedEnvelope<K> // the mint
}

/** `issuedAt` may lie five minutes ahead of our clock, and `expiresAt` is the last second. */
export function assertCurrent(term: { readonly issuedAt: string; readonly expiresAt: string }, now: Date): void {
  assertLifetime(term)
  if (wholeSeconds(now) > instantOf(term.expiresAt)) {
    throw new MeshError('envelope_expired', `it was valid until ${term.expiresAt}`)
  }
  if (addSeconds(wholeSeconds(now), MAX_AHEAD_SECONDS) < instantOf(term.issuedAt)) {
    throw new MeshError('envelope_not_yet_valid', `it is valid from ${term.issuedAt}`)
  }
}

/** @throws {MeshError} `envelope_malformed` */
export function assertLifetime({
  issuedAt,
  expiresAt,
}: {
  readonly issuedAt: string
  readonly expiresAt: string
}): void {
  const seconds = (instantOf(expiresAt).getTime() - instantOf(issuedAt).getTime()) / 1000
  if (seconds < 0 || seconds > MAX_ENVELOPE_SECONDS) {
    throw new MeshError('envelope_malformed', `an envelope lives at most ${MAX_ENVELOPE_SECONDS} s`)
  }
}

function senderOf<K extends UpKind>(x5cDer: readonly Uint8Array[], leaf: Certificate, by: EnvelopeContext<K>): Sender {
  const at = by.purpose === 're-enrol' ? earliest(by.now, leaf.notAfter) : by.now
  const [instance, ...others] = nameValues(leaf.subject, OID.commonName)
  try {
    const path = validateChain(x5cDer, { anchors: by.anchors, at, eku: OID.clientAuth })
    const id = uriIdentityOf(leaf)
    if (instance === undefined || others.length > 0 || !isInstanceId(instance)) {
      throw new MeshError('envelope_sender_refused', 'the certificate does not name an instance')
    }
    if (by.expectInstance !== undefined && by.expectInstance !== instance) {
      throw new MeshError(
        'envelope_sender_mismatch',
        `the topic is ${by.expectInstance}'s, the certificate ${instance}'s`,
      )
    }
    return {
      instance,
      id,
      serialHex: leaf.serialHex,
      spkiSha256: leaf.publicKey.spkiSha256Hex,
      issuerSpkiSha256: (path.chain[1] ?? path.anchor).publicKey.spkiSha256Hex,
      certificate: leaf,
      path,
    }
  } catch (cause) {
    if (cause instanceof X509Error) {
      throw new MeshError('envelope_sender_refused', `the certificate of the sender is refused: ${cause.message}`, {
        cause,
      })
    }
    throw cause
  }
}

function assertPurpose(payload: unknown, purpose: UpKind): void {
  const kind = typeof payload === 'object' && payload !== null && 'kind' in payload ? payload.kind : undefined
  if (typeof kind === 'string' && kind !== purpose && Object.hasOwn(UP_BODIES, kind)) {
    throw new MeshError('envelope_purpose_mismatch', `an envelope of kind ${kind} where ${purpose} belongs`)
  }
}

const PARSERS = {
  status: parserOf(shapeOf('status', UP_BODIES.status), 'envelope_malformed', 'envelope'),
  ack: parserOf(shapeOf('ack', UP_BODIES.ack), 'envelope_malformed', 'envelope'),
  renew: parserOf(shapeOf('renew', UP_BODIES.renew), 'envelope_malformed', 'envelope'),
  're-enrol': parserOf(shapeOf('re-enrol', UP_BODIES['re-enrol']), 'envelope_malformed', 'envelope'),
} as const satisfies Record<UpKind, unknown>

const MAX_AHEAD_SECONDS = 300
