/** The client that is the control plane: the common name of the API's certificate. */
export const CONTROL_CLIENT_ID = 'control'

/** An instance: common name of its certificate, MQTT client id, topic level. */
export const INSTANCE_PATTERN = '^[a-z0-9]{16}$'

/** Topics that every agent reads. `snapshot` and `refresh` are retained. */
export const FLEET_TOPICS = {
  snapshot: 'fleet/snapshot',
  delta: 'fleet/delta',
  refresh: 'fleet/refresh',
} as const

export type DownChannel = 'state' | 'refresh' | 'reply'
export type UpChannel = 'status' | 'ack' | 'renew'

export interface InstanceTopics {
  readonly down: Readonly<Record<DownChannel, string>>
  readonly up: Readonly<Record<UpChannel, string>>
}

/** Documents above this size travel as a refresh plus a pull over HTTPS. Counted in bytes of the compact JWS. */
export const INLINE_DOCUMENT_BYTES = 200 * 1024

export function isInstanceId(text: string): boolean {
  return INSTANCE.test(text)
}

/** The six topics of one instance. @throws {TypeError} when `instance` is not an instance id */
export function instanceTopics(instance: string): InstanceTopics {
  if (!isInstanceId(instance)) throw new TypeError('not an instance id')
  return {
    down: {
      state: `a/${instance}/down/state`,
      refresh: `a/${instance}/down/refresh`,
      reply: `a/${instance}/down/reply`,
    },
    up: { status: `a/${instance}/up/status`, ack: `a/${instance}/up/ack`, renew: `a/${instance}/up/renew` },
  }
}

/** The filters under which the control plane hears all agents; it may subscribe to nothing else. */
export const CONTROL_FILTERS = ['a/+/up/status', 'a/+/up/ack', 'a/+/up/renew'] as const

/** What a topic name says, or undefined when it is none of ours. Never throws, whatever the text. */
export function parseTopic(topic: string): Topic | undefined {
  if (topic.length > MAX_TOPIC_LENGTH) return undefined
  const fleet = FLEET_BY_TOPIC.get(topic)
  if (fleet !== undefined) return { scope: 'fleet', channel: fleet }
  const match = INSTANCE_TOPIC.exec(topic)
  if (match === null) return undefined
  const [, instance = '', down, up] = match
  if (down !== undefined) return { scope: 'down', instance, channel: down as DownChannel } // the expression lists them
  return { scope: 'up', instance, channel: up as UpChannel }
}

export type Topic =
  | { readonly scope: 'fleet'; readonly channel: keyof typeof FLEET_TOPICS }
  | { readonly scope: 'down'; readonly instance: string; readonly channel: DownChannel }
  | { readonly scope: 'up'; readonly instance: string; readonly channel: UpChannel }

/**
 * Whether a client may publish to a topic. The client id is the authenticated one (certificate CN), and
 * nothing else: the broker checks that before. Exact names only; a wildcard is never a topic name.
 */
export function mayPublish(clientId: string, topic: string): boolean {
  const parsed = parseTopic(topic)
  if (parsed === undefined) return false
  if (clientId === CONTROL_CLIENT_ID) return parsed.scope !== 'up'
  return parsed.scope === 'up' && isInstanceId(clientId) && parsed.instance === clientId
}

/**
 * Whether a client may subscribe to a filter. Agents: the fleet topics and their own `down`, by exact name.
 * The control plane: all `up`, by the three filters above or by exact name. Everything else is refused,
 * `#`, `$share/…` and `$SYS/…` among it.
 */
export function maySubscribe(clientId: string, filter: string): boolean {
  const parsed = parseTopic(filter)
  if (clientId === CONTROL_CLIENT_ID) {
    return parsed?.scope === 'up' || CONTROL_FILTERS.some((allowed) => allowed === filter)
  }
  if (parsed === undefined || !isInstanceId(clientId)) return false
  return parsed.scope === 'fleet' || (parsed.scope === 'down' && parsed.instance === clientId)
}

const INSTANCE = new RegExp(INSTANCE_PATTERN, 'u')
const MAX_TOPIC_LENGTH = 64
const FLEET_BY_TOPIC: ReadonlyMap<string, keyof typeof FLEET_TOPICS> = new Map([
  [FLEET_TOPICS.snapshot, 'snapshot'],
  [FLEET_TOPICS.delta, 'delta'],
  [FLEET_TOPICS.refresh, 'refresh'],
])
const INSTANCE_TOPIC = /^a\/([a-z0-9]{16})\/(?:down\/(state|refresh|reply)|up\/(status|ack|renew))$/u
