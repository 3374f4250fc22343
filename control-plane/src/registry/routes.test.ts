import { type StatusBody, signEnvelope } from '@vcc/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestControlPlane, testControlPlane } from '../testing/control-plane.ts'

let plane: TestControlPlane
let admin: ReturnType<TestControlPlane['as']>
beforeAll(async () => {
  plane = await testControlPlane()
  admin = plane.as(plane.admin)
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
})

const now = () => new Date(Math.floor(Date.now() / 1000) * 1000)
const iso = () => now().toISOString().replace('.000Z', 'Z')
const statusOf = (state: StatusBody['health']['state'], detail: string): StatusBody => ({
  version: '0.2.0',
  formats: [1],
  startedAt: iso(),
  ready: true,
  health: { state, detail },
  certificate: null,
  fleet: null,
  agent: null,
  clock: { state: 'ok', offsetSeconds: 0 },
  listeners: [],
  addresses: [{ host: '127.0.0.1', port: 9444 }],
  localBypass: 'possible',
  counters: {},
})

test('an instance and its service are as the agent reports them', async () => {
  const argus = await plane.join('argus')
  const show = () => admin.call('instanceShow', { params: { instance_id: argus.instance } })
  expect(await show()).toMatchObject({ health: 'unknown', addresses: ['127.0.0.1:9443'], in_force: false })
  const before = await admin.call('healthOverview', {})
  expect(before).toMatchObject({ services: 2, healthy: 0, failing: 0, unknown: 2 })

  for (const [state, health] of [
    ['unhealthy', 'failing'],
    ['healthy', 'ok'],
  ] as const) {
    const nonce = `status-${state}`.padEnd(22, '0')
    const body = statusOf(state, `says ${state}`)
    const envelope = await signEnvelope<'status'>(
      { kind: 'status', instance: argus.instance, nonce, correlation: nonce, body },
      60,
      argus.jwsSigner,
      { now: now() },
    )
    await plane.as(argus).call('meshReport', { body: { envelope } })
    expect(await show()).toMatchObject({ health, connected: true, version: '0.2.0', addresses: ['127.0.0.1:9444'] })
    const service = await admin.call('serviceHealth', { params: { service_id: 'argus' } })
    expect(service).toMatchObject({ healthy: health === 'ok', has_valid_cert: true })
    expect(service.instances).toMatchObject([{ instance_id: argus.instance, health, detail: `says ${state}` }])
    const overview = await admin.call('healthOverview', {})
    expect(overview).toMatchObject(health === 'ok' ? { healthy: 1, unknown: 1 } : { failing: 1, unknown: 1 })
  }
  const { items } = await admin.call('instanceList', { query: { service: 'covina' } })
  expect(items).toEqual([])
})

test('services are listed in pages, and shown by id and by name in any form', async () => {
  for (const service_name of ['page_one', 'page_two', 'page_three']) {
    await admin.call('serviceRegister', { body: { service_name } })
  }
  const all = (await admin.call('serviceList', { query: {} })).items
  expect(all.map((one) => one.service_name)).toEqual(['argus', 'covina', 'page-one', 'page-two', 'page-three'])
  const first = await admin.call('serviceList', { query: { limit: 3 } })
  const second = await admin.call('serviceList', { query: { limit: 3, after: first.next ?? '' } })
  expect([...first.items, ...second.items]).toEqual(all)
  expect(second.next).toBeNull()
  for (const service_id of ['page_two', 'page-two', all[3]?.service_id ?? '']) {
    expect(await admin.call('serviceShow', { params: { service_id } })).toEqual(all[3])
  }
  const { items } = await admin.call('serviceList', { query: { status: 'pending_cert' } })
  expect(items.map((one) => one.service_name)).not.toContain('argus')

  await admin.call('serviceDeregister', { params: { service_id: 'page_two' } })
  const gone = admin.call('serviceShow', { params: { service_id: 'page_two' } })
  await expect(gone).rejects.toMatchObject({ code: 'service_unknown' })
})

test('a token is open, then bound or withdrawn, and nobody sees it twice', async () => {
  const made = await admin.call('tokenCreate', { body: { service_name: 'covina', lifetime_seconds: 60 } })
  const stateOf = async () => {
    const { items } = await admin.call('tokenList', {})
    expect(JSON.stringify(items)).not.toContain(made.token)
    return items.find((one) => one.token_id === made.token_id)?.state
  }
  expect(await stateOf()).toBe('open')
  await admin.call('tokenWithdraw', { params: { token_id: made.token_id } })
  expect(await stateOf()).toBe('withdrawn')
  const { instance } = await plane.join('covina')
  const { items } = await admin.call('tokenList', {})
  expect(items.find((one) => one.instance_id === instance)?.state).toBe('bound')
})
