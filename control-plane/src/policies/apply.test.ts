import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { change, query } from '../database/unit.ts'
import { join } from '../enrolment/join.ts'
import { deregisterInstance, registerService } from '../registry/services.ts'
import { servicesOf } from '../registry/store.ts'
import { MATRIX, newCsr, type TestInstallation, testInstallation } from '../testing/installation.ts'
import { applyMatrix, propose, rollBack } from './apply.ts'
import { readPolicyInForce } from './in-force.ts'

let place: TestInstallation
beforeAll(async () => {
  place = await testInstallation()
})
afterAll(async () => {
  await place[Symbol.asyncDispose]()
})

const inForce = async () => (await readPolicyInForce(place.installation, place.database))?.version ?? 0
const apply = async (yaml: string) => applyMatrix(yaml, await inForce(), place.context, place.policyDeps)
const yamlOf = (entries: Record<string, object>) =>
  JSON.stringify({ service_communication_policies: entries }, undefined, 1)

const ARGUS = { allowed_outbound: ['covina'], required_auth: 'mtls_certificate' }
const DATABASE = { kind: 'external', address: '127.0.0.1:5432', trust: { kind: 'plain' } } as const
const COVINA = { allowed_outbound: [], required_auth: 'management_core_certificate' }

async function joinedArgus() {
  const request = { csr: await newCsr(), addresses: [], stateFormats: [1], agentVersion: '0.1.0', requestId: 'test' }
  return (await join({ ...request, token: await place.token('argus') }, place.enrol)).instance
}

describe('apply', () => {
  test('the text that is in force already changes nothing', async () => {
    const before = await inForce()
    expect(await apply(MATRIX)).toMatchObject({ version: before, changed: false })
  })

  test('of two at once that were compared with the same version one wins, the other is told so', async () => {
    const before = await inForce()
    const texts = [yamlOf({ argus: ARGUS }), yamlOf({ argus: { ...ARGUS, allowed_outbound: [] } })]
    const outcomes = await Promise.allSettled(
      texts.map((yaml) => applyMatrix(yaml, before, place.context, place.policyDeps)),
    )
    const codes = outcomes.map((one) => (one.status === 'fulfilled' ? 'won' : (one.reason as { code: string }).code))
    expect(codes.toSorted()).toEqual(['policy_changed_meanwhile', 'won'])
    expect(await inForce()).toBe(before + 1)
  })

  test('a version that is no longer the current one is refused', async () => {
    const stale = (await inForce()) - 1
    await expect(applyMatrix(MATRIX, stale, place.context, place.policyDeps)).rejects.toMatchObject({
      code: 'policy_changed_meanwhile',
    })
  })

  const refused: readonly { name: string; yaml: string; code: string }[] = [
    { name: 'no YAML', yaml: '{', code: 'policy_invalid' },
    { name: 'an empty text', yaml: '', code: 'policy_invalid' },
    { name: 'an unknown field', yaml: yamlOf({ argus: { ...ARGUS, surprise: 1 } }), code: 'policy_invalid' },
    {
      name: 'a class nobody may grant',
      yaml: yamlOf({ argus: { ...ARGUS, required_auth: 'root_certificate' } }),
      code: 'policy_invalid',
    },
  ]
  for (const { name, yaml, code } of refused) {
    test(`${name} is ${code}, and changes nothing`, async () => {
      const before = await inForce()
      await expect(apply(yaml)).rejects.toMatchObject({ code })
      expect(await inForce()).toBe(before)
    })
  }
})

describe('roll-back', () => {
  test('brings back the text before, and again the one before that', async () => {
    const [first, second, third] = [MATRIX, yamlOf({ argus: ARGUS, covina: COVINA }), yamlOf({ argus: ARGUS })]
    for (const yaml of [first, second, third]) await apply(yaml)
    const texts: (string | undefined)[] = []
    for (let step = 0; step < 2; step++) {
      await rollBack(undefined, place.context, place.policyDeps)
      texts.push((await readPolicyInForce(place.installation, place.database))?.yaml)
    }
    expect(texts).toEqual([second, first])
  })

  test('to a version that never was is refused', async () => {
    await expect(rollBack(9999, place.context, place.policyDeps)).rejects.toMatchObject({ code: 'policy_unknown' })
  })
})

describe('live instances', () => {
  test('keep their class, also where the entry was taken out before it comes back with another', async () => {
    await apply(MATRIX)
    const instance = await joinedArgus()
    const other = yamlOf({ argus: { ...ARGUS, required_auth: 'ui_service_certificate' } })
    await expect(apply(other)).rejects.toMatchObject({ code: 'class_change_unsupported' })
    await apply(yamlOf({ covina: COVINA }))
    await expect(apply(other)).rejects.toMatchObject({ code: 'class_change_unsupported' })
    await deregisterInstance(instance, place.context, place.registry)
    expect(await apply(other)).toMatchObject({ changed: true })
    await apply(MATRIX)
  })

  test('that cannot read our state are named, and nothing is applied', async () => {
    const instance = await joinedArgus()
    await place.database.runUnit(() =>
      change(query.updateTable('agents').set({ state_formats: '[99]' }).where('instance_id', '=', instance)),
    )
    const refusal = propose(yamlOf({ argus: ARGUS }), place.policyDeps)
    await expect(refusal).rejects.toMatchObject({ code: 'format_not_supported' })
    await expect(refusal).rejects.toThrow(instance)
    await deregisterInstance(instance, place.context, place.registry)
  })
})

test('a service with more targets than its agents take is named, at apply and at what is registered later', async () => {
  const most = Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`n${n}_database`, COVINA]))
  const callsThem = { ...ARGUS, allowed_outbound: ['*_database'] }
  const tooMany = apply(yamlOf({ argus: callsThem, ...most, one_more_database: COVINA }))
  await expect(tooMany).rejects.toMatchObject({ code: 'too_many_targets' })
  await expect(tooMany).rejects.toThrow('svc/argus might call 257 services')

  expect(await apply(yamlOf({ argus: callsThem, ...most }))).toMatchObject({ changed: true })
  const oneMore = registerService({ service_name: 'a_database', ...DATABASE }, place.context, place.registry)
  await expect(oneMore).rejects.toMatchObject({ code: 'too_many_targets' })
  const services = await place.database.read(() => servicesOf(place.installation.homeOrganization))
  expect(services.map((one) => one.service_name)).not.toContain('a-database')
  await apply(MATRIX)
})

test('an external service that is registered later resolves what names it', async () => {
  await apply(yamlOf({ argus: { ...ARGUS, allowed_outbound: ['covina', '*_database'] } }))
  const target = 'spiffe://vcc.internal/org/brandenburg/svc/covina-database'
  const edges = async () => (await readPolicyInForce(place.installation, place.database))?.compiled.edges ?? []
  expect((await edges()).map((edge) => edge.target)).not.toContain(target)
  await registerService({ service_name: 'covina_database', ...DATABASE }, place.context, place.registry)
  expect((await edges()).map((edge) => edge.target)).toContain(target)
})
