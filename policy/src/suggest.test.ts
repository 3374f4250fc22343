import { expect, test } from 'vitest'
import { editDistance, suggester } from './suggest.ts'

test.each([
  ['', '', 0],
  ['', 'abc', 3],
  ['abc', '', 3],
  ['covina', 'covina', 0],
  ['covnia', 'covina', 1],
  ['covin', 'covina', 1],
  ['covinaa', 'covina', 1],
  ['kovina', 'covina', 1],
  ['ca', 'abc', 3],
] as const)('from %j to %j are %i steps', (a, b, steps) => expect(editDistance(a, b)).toBe(steps))

const suggest = () => suggester(['covina', 'clara', 'veritas', 'vpb', 'high'])

test.each([
  ['covnia', 'covina'],
  ['Clara', 'clara'],
  ['verits', 'veritas'],
  ['vpd', 'vpb'],
  ['hi', undefined],
  ['argus', undefined],
  ['', undefined],
  ['x'.repeat(100), undefined],
] as const)('%j means %j', (written, meant) => {
  expect(suggest()(written)).toBe(meant === undefined ? undefined : `did you mean "${meant}"?`)
})

test('a file full of slips is answered a hundred times', () => {
  const ask = suggest()
  expect(Array.from({ length: 150 }, () => ask('covnia')).filter((answer) => answer !== undefined)).toHaveLength(100)
})
