import { expect, test } from 'vitest'
import { id, policyOf, SOURCE } from './fixtures.ts'
import { samePolicy, slice } from './slice.ts'

const policy = policyOf(SOURCE)

test('a slice has the edges of its service, both ways, and the subjects at their ends', () => {
  const part = slice(policy, id('clara'))
  expect(part.edges.map(({ source, target }) => [source, target])).toEqual([
    [id('argus'), id('clara')],
    [id('clara'), id('covina')],
    [id('covina'), id('clara')],
    [id('veritas'), id('clara')],
  ])
  expect(Object.keys(part.subjects)).toEqual(['argus', 'clara', 'covina', 'veritas'].map(id))
})

test('the slice of a service nobody knows is empty', () => {
  expect(slice(policy, id('nobody'))).toMatchObject({ scope: id('nobody'), subjects: {}, edges: [], refusals: [] })
})

test('a slice is not sliced again', () =>
  expect(() => slice(slice(policy, id('argus')), id('argus'))).toThrow(TypeError))

test('a slice is the same after a change elsewhere', () => {
  const after = policyOf(SOURCE.replace('[argus, covina]', '[argus]'), { version: 2 })
  const same = (name: string) => samePolicy(slice(policy, id(name)), slice(after, id(name)))
  expect(['argus', 'clara', 'covina', 'veritas', 'vpb'].filter((name) => !same(name))).toEqual(['covina', 'vpb'])
})
