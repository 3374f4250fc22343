import { describe, expect, test } from 'vitest'
import { decide } from './decide.ts'
import { explain } from './explain.ts'
import { CLASSES, HOME, id, policyOf, SOURCE } from './fixtures.ts'
import { parseCompiled } from './parse-compiled.ts'
import { indexPolicy } from './policy-index.ts'
import { registeredOnly } from './registered.ts'
import { samePolicy, slice } from './slice.ts'

const all = ['argus', 'covina', 'clara', 'veritas', 'vpb'] as const
const policy = policyOf(SOURCE, { externals: [{ organization: HOME.organization, service: 'covina-database' }] })
const without = (...gone: string[]) =>
  registeredOnly(policy, new Set(all.filter((name) => !gone.includes(name)).map((name) => id(name))))

const call = (source: (typeof all)[number], target: (typeof all)[number]) => ({
  source: id(source),
  sourceClass: CLASSES[source],
  target: id(target),
  targetClass: CLASSES[target],
})

test('while everybody is registered nothing is another', () => expect(samePolicy(without(), policy)).toBe(true))

describe('covina is not registered', () => {
  const index = indexPolicy(without('covina'))
  const cases = [
    { name: 'is nobody’s target', pair: call('argus', 'covina'), code: 'target_not_registered' },
    { name: 'is nobody’s caller', pair: call('covina', 'clara'), code: 'source_not_registered' },
    { name: 'does not get what it was never allowed', pair: call('covina', 'argus'), code: 'not_allowed' },
  ] as const
  for (const { name, pair, code } of cases) {
    test(`${name}: ${code}`, () => expect(decide(index, pair)).toMatchObject({ allowed: false, code }))
  }
  test('calls no external service either', () => {
    const pair = { source: id('covina'), sourceClass: CLASSES.covina, target: id('covina-database') }
    expect(decide(index, { ...pair, targetClass: 'no-certificate' })).toMatchObject({ code: 'source_not_registered' })
  })
  test('others keep theirs', () => expect(decide(index, call('argus', 'clara'))).toMatchObject({ allowed: true }))
  test('the reason names the rule that would allow it', () =>
    expect(explain(index, id('argus'), id('covina'))).toBe(
      'argus → covina: refused by registry (target_not_registered): argus.allowed_outbound[0] allows the call, but covina is not registered',
    ))
  test('a slice of it is read back as it is', () => {
    const part = slice(without('covina'), id('argus'))
    expect(parseCompiled(JSON.parse(JSON.stringify(part)))).toEqual(part)
  })
})

test('an external service is there as long as it is a subject', () => {
  const index = indexPolicy(without())
  const pair = { source: id('covina'), sourceClass: CLASSES.covina, target: id('covina-database') }
  expect(decide(index, { ...pair, targetClass: 'no-certificate' })).toMatchObject({ allowed: true })
})

test('a slice is not narrowed', () =>
  expect(() => registeredOnly(slice(policy, id('argus')), new Set())).toThrow(TypeError))
