import { expect, test } from 'vitest'
import { KEY_PURPOSES } from '../signer.ts'
import { drawKeyId, purposeOfKeyId } from './key-id.ts'

for (const purpose of KEY_PURPOSES) {
  test(`an id drawn for "${purpose}" says so, and for nothing else`, () => {
    const keyId = drawKeyId(purpose)
    expect(keyId).toMatch(/^[0-9a-f]{32}$/)
    expect(purposeOfKeyId(keyId)).toBe(purpose)
  })
}

test('no id is drawn twice', () => {
  expect(new Set(Array.from({ length: 1000 }, () => drawKeyId('issuing'))).size).toBe(1000)
})

const foreign: readonly [name: string, (keyId: string) => string][] = [
  ['empty', () => ''],
  ['one digit short', (keyId) => keyId.slice(1)],
  ['one digit long', (keyId) => `${keyId}0`],
  ['in capitals', () => 'A'.repeat(32)],
  ['not hexadecimal', (keyId) => `${keyId.slice(1)}g`],
  ['with another random half', (keyId) => 'f'.repeat(16) + keyId.slice(16)],
  [
    'with its last bit changed',
    (keyId) => keyId.slice(0, 31) + (Number.parseInt(keyId.slice(31), 16) ^ 1).toString(16),
  ],
  ['all zero', () => '0'.repeat(32)],
]
for (const [name, make] of foreign) {
  test(`an id ${name} is nobody's`, () => expect(purposeOfKeyId(make(drawKeyId('root')))).toBeUndefined())
}
