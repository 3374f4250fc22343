import { expect, test } from 'vitest'
import { INSTANCE, OTHER_INSTANCE } from './fixture.ts'
import { instanceTopics, isInstanceId, mayPublish, maySubscribe, parseTopic } from './topics.ts'

const FLEET = ['fleet/snapshot', 'fleet/delta', 'fleet/refresh']
const down = (id: string) => Object.values(instanceTopics(id).down)
const up = (id: string) => Object.values(instanceTopics(id).up)

/** Names and filters that nobody may use, for writing or for reading. */
const NEVER = [
  '',
  '#',
  '+',
  '/',
  'a',
  'a/#',
  'a/+/#',
  '+/+/+/+',
  'fleet',
  'fleet/',
  'fleet/#',
  'fleet/+',
  '/fleet/snapshot',
  'fleet/snapshot/',
  'fleet/Snapshot',
  'fleet/snapshot\u0000',
  'fleet/snapshot\n',
  '$SYS/#',
  '$SYS/broker/uptime',
  '$share/g/fleet/snapshot',
  `$share/g/a/${INSTANCE}/down/state`,
  '$queue/fleet/snapshot',
  `a/${INSTANCE}`,
  `a/${INSTANCE}/`,
  `a/${INSTANCE}/#`,
  `a/${INSTANCE}/+/state`,
  `a/${INSTANCE}/down`,
  `a/${INSTANCE}/down/#`,
  `a/${INSTANCE}/down/+`,
  `a/${INSTANCE}/down/reboot`,
  `a/${INSTANCE}/up/+`,
  `a/${INSTANCE}/up/reply`,
  `a/${INSTANCE}/up/re-enrol`,
  `a/${INSTANCE.slice(1)}/up/status`,
  `a/${INSTANCE}0/up/status`,
  `a/${INSTANCE.toUpperCase()}/up/status`,
  `a//up/status`,
  `a/control/down/state`,
  `A/${INSTANCE}/down/state`,
  'a/+/down/state',
  'a/+/+/status',
  `a/${INSTANCE}/down/state${'x'.repeat(70_000)}`,
]

test.each(NEVER)('nobody reads or writes %j', (topic) => {
  for (const client of ['control', 'broker', '', INSTANCE, OTHER_INSTANCE]) {
    expect(mayPublish(client, topic)).toBe(false)
    expect(maySubscribe(client, topic)).toBe(false)
  }
  expect(parseTopic(topic)).toBeUndefined()
})

test('the control plane writes fleet and down, and hears all up', () => {
  for (const topic of [...FLEET, ...down(INSTANCE)]) {
    expect(mayPublish('control', topic)).toBe(true)
    expect(maySubscribe('control', topic)).toBe(false)
  }
  for (const topic of [...up(INSTANCE), 'a/+/up/status', 'a/+/up/ack', 'a/+/up/renew']) {
    expect(mayPublish('control', topic)).toBe(false)
    expect(maySubscribe('control', topic)).toBe(true)
  }
})

test('an agent writes its own up, and reads fleet and its own down', () => {
  for (const topic of up(INSTANCE))
    expect([mayPublish(INSTANCE, topic), maySubscribe(INSTANCE, topic)]).toEqual([true, false])
  for (const topic of [...FLEET, ...down(INSTANCE)]) {
    expect([mayPublish(INSTANCE, topic), maySubscribe(INSTANCE, topic)]).toEqual([false, true])
  }
})

test.each([...down(OTHER_INSTANCE), ...up(OTHER_INSTANCE), 'a/+/up/status'])(
  'an agent neither reads nor writes %s of another',
  (topic) => {
    expect([mayPublish(INSTANCE, topic), maySubscribe(INSTANCE, topic)]).toEqual([false, false])
  },
)

test.each(['broker', 'Control', 'control ', '', '+', '#', 'admin', `${INSTANCE}x`, INSTANCE.toUpperCase()])(
  'client %j has no topics',
  (client) => {
    for (const topic of [...FLEET, ...down(INSTANCE), ...up(INSTANCE), 'a/+/up/ack']) {
      expect([mayPublish(client, topic), maySubscribe(client, topic)]).toEqual([false, false])
    }
  },
)

test.each(['', 'short', 'control', 'ARGUS00000000001', 'argus0000000000/', 'argus00000000001\n', 'argus000000000001'])(
  '%j is not an instance id',
  (id) => {
    expect(isInstanceId(id)).toBe(false)
    expect(() => instanceTopics(id)).toThrow(TypeError)
  },
)
