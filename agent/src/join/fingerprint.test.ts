import { expect, test } from 'vitest'
import { AgentError } from '../errors.ts'
import { fingerprintOf, parseFingerprint, sameFingerprint } from './fingerprint.ts'

const DIGITS = 'a1b2c3d4'.repeat(8)
const COLONS = DIGITS.match(/../g)?.join(':') ?? ''

for (const text of [
  DIGITS,
  DIGITS.toUpperCase(),
  `sha256:${DIGITS}`,
  `SHA256:${COLONS}`,
  COLONS,
  ` ${DIGITS}\n`,
  `SHA-256=${COLONS}`,
]) {
  test(`"${text.slice(0, 16)}…" is read`, () => expect(parseFingerprint(text)).toBe(DIGITS))
}

const wrong = [
  '',
  'sha256:',
  DIGITS.slice(1),
  `${DIGITS}0`,
  DIGITS.replace('a', 'g'),
  `md5:${DIGITS}`,
  COLONS.replace(':', ''),
  `${COLONS}:00`,
]
for (const text of wrong) {
  test(`"${text.slice(0, 16)}…" of ${text.length} characters is refused`, () => {
    expect(() => parseFingerprint(text)).toThrow(expect.objectContaining({ code: 'fingerprint_invalid' }))
    expect(() => parseFingerprint(text)).toThrow(AgentError)
  })
}

test('the fingerprint is SHA-256 over the bytes', () => {
  expect(fingerprintOf(Buffer.from('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('fingerprints of different length differ', () => {
  expect(sameFingerprint('aa', 'aab')).toBe(false)
  expect(sameFingerprint(DIGITS, DIGITS)).toBe(true)
})
