import { randomBytes } from 'node:crypto'
import { instanceTopics, jwsSigner, signEnvelope, type UpBody, type UpKind } from '@vcc/mesh'
import type { ApiLink } from '../control/api-link.ts'
import type { BrokerLink } from '../control/broker-link.ts'
import { type Identity, isExpired } from '../identity/identity.ts'

export interface UplinkDeps {
  readonly identity: () => Identity
  readonly api: ApiLink
  readonly broker: BrokerLink
  readonly now: () => Date
}

/** The request part of an envelope, which an answer has to repeat. */
export interface Sent {
  readonly instance: string
  readonly correlation: string
  readonly nonce: string
}

const ENVELOPE_SECONDS = 120

/** Signs what the agent says with the key of its certificate. */
export async function sealed<K extends UpKind>(
  kind: K,
  body: UpBody<K>,
  deps: Pick<UplinkDeps, 'identity' | 'now'>,
): Promise<{ jws: string; sent: Sent }> {
  const identity = deps.identity()
  const sent = { instance: identity.instance, correlation: nonce(), nonce: nonce() }
  const signer = jwsSigner(
    identity.key,
    identity.chain.map((certificate) => certificate.der),
  )
  const jws = await signEnvelope({ kind, ...sent, body }, ENVELOPE_SECONDS, signer, { now: deps.now() })
  return { jws, sent }
}

/** Says it over MQTT, or over HTTPS while the broker is away or not to be relied on. Whether anybody heard it; never throws. */
export async function say<K extends 'status' | 'ack'>(
  kind: K,
  body: UpBody<K>,
  deps: UplinkDeps,
  over: 'broker' | 'https' = 'broker',
): Promise<boolean> {
  const identity = deps.identity()
  if (isExpired(identity, deps.now())) return false
  try {
    const { jws } = await sealed(kind, body, deps)
    if (over === 'broker' && (await deps.broker.publish(instanceTopics(identity.instance).up[kind], jws))) return true
    await deps.api.call('meshReport', { body: { envelope: jws } })
    return true
  } catch {
    return false // the outage is seen and told by the links themselves
  }
}

function nonce(): string {
  return randomBytes(24).toString('base64url')
}
