import type { Certificate } from '@vcc/x509'
import { type Static, Type } from 'typebox'
import { ReplyBody } from './bodies.ts'
import { clockReading } from './clock.ts'
import { assertCurrent, assertLifetime, EnvelopeHead } from './envelopes.ts'
import { MeshError } from './errors.ts'
import { addSeconds, instantOf, isoSeconds, latest, wholeSeconds } from './instant.ts'
import { decodeJws, type JwsSigner, signJws } from './jws.ts'
import { CLOSED, parsePayload, parserOf } from './shapes.ts'
import { assertSignedByLeaf, assertStateSigner } from './state-signer.ts'
import type { TrustStatement } from './trust.ts'

export const Reply = Type.Object({ kind: Type.Literal('reply'), ...EnvelopeHead, body: ReplyBody }, CLOSED)

/** The answer to one envelope. `correlation` and `nonce` are those of the request. */
export type Reply = Readonly<Static<typeof Reply>>

export interface ReplyTarget {
  readonly instance: string
  readonly correlation: string
  readonly nonce: string
}

/** Signs an answer with the key that signs state. @throws {MeshError} `envelope_malformed`, `jws_too_large` */
export async function signReply(
  request: ReplyTarget,
  body: ReplyBody,
  lifetimeSeconds: number,
  signer: JwsSigner,
  deps: { readonly now: Date },
): Promise<string> {
  const { instance, correlation, nonce } = request
  const issuedAt = wholeSeconds(deps.now)
  const term = { issuedAt: isoSeconds(issuedAt), expiresAt: isoSeconds(addSeconds(issuedAt, lifetimeSeconds)) }
  const reply = parse({ kind: 'reply', instance, correlation, nonce, ...term, body })
  assertLifetime(reply)
  return signJws(signer, 'vcc-reply+jws', reply)
}

/**
 * Verifies the answer to `request`. That it repeats the request's nonce is what makes it unrepeatable: there is
 * no window to keep, an answer is taken once because its request is open once.
 *
 * @throws {MeshError} `jws_*`, `state_signature_invalid`, `state_signer_refused`, `envelope_malformed`,
 *   `reply_unexpected`, `envelope_expired`, `envelope_not_yet_valid`
 */
export function verifyReply(
  jws: string,
  request: ReplyTarget,
  by: {
    readonly root: Certificate
    readonly trust: TrustStatement
    readonly now: Date
    readonly floor: Date | undefined
  },
): ReplyBody {
  const decoded = decodeJws(jws, 'vcc-reply+jws')
  assertSignedByLeaf(decoded)
  const reply = parse(parsePayload(decoded.payload, 'envelope_malformed', 'reply'))
  const { at } = clockReading(by.now, by.floor)
  assertStateSigner(decoded, undefined, { root: by.root, trust: by.trust, at: latest(at, instantOf(reply.issuedAt)) })
  const { instance, correlation, nonce } = reply
  if (instance !== request.instance || correlation !== request.correlation || nonce !== request.nonce) {
    throw new MeshError('reply_unexpected', 'the reply answers another request')
  }
  assertCurrent(reply, at)
  return reply.body
}

const parse = parserOf(Reply, 'envelope_malformed', 'reply')
