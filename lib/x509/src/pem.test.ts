import { describe, expect, test } from 'vitest'
import { decodePem, encodePem } from './pem.ts'
import { refusalOf } from './testing/refusal.ts'

const block = (label: string, body: string): string => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`

describe('what is refused', () => {
  test.each([
    { name: 'nothing', text: '' },
    { name: 'only another label', text: block('PRIVATE KEY', 'AAAA') },
    { name: 'a block that does not end', text: '-----BEGIN CERTIFICATE-----\nAAAA\n' },
    { name: 'an end without a beginning', text: '-----END CERTIFICATE-----\n' },
    { name: 'a block in a block', text: `-----BEGIN CERTIFICATE-----\n${block('CERTIFICATE', 'AAAA')}` },
    { name: 'an end with another label', text: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n' },
    { name: 'an empty block', text: block('CERTIFICATE', '') },
    { name: 'no Base64', text: block('CERTIFICATE', 'A?AA') },
    { name: 'missing padding', text: block('CERTIFICATE', 'AAA') },
    { name: 'padding with bits', text: block('CERTIFICATE', 'AAB=') },
    { name: 'a header', text: block('CERTIFICATE', 'Proc-Type: 4,ENCRYPTED\n\nAAAA') },
    { name: '17 blocks', text: block('CERTIFICATE', 'AAAA').repeat(17) },
    { name: 'more than 256 KiB', text: 'x'.repeat(262_145) },
  ])('$name', ({ text }) => {
    expect({ fails: refusalOf(() => decodePem(text, 'CERTIFICATE')) }).toEqual({ fails: 'pem_invalid' })
  })

  test('the message never quotes a key', () => {
    const secret = 'c2VjcmV0IGtleSBtYXRlcmlhbA'
    expect(() => decodePem(block('PRIVATE KEY', `${secret}!`), 'PRIVATE KEY')).toThrow(
      expect.not.stringContaining(secret),
    )
  })
})

describe('what is read', () => {
  test('blocks of the label, in order, among others and text', () => {
    const text = `subject=x\r\n${block('PRIVATE KEY', 'AAAA')}${encodePem('CERTIFICATE', new Uint8Array([1]))}# …\n${encodePem('CERTIFICATE', new Uint8Array(100).fill(2))}`
    expect(decodePem(text, 'CERTIFICATE')).toEqual([new Uint8Array([1]), new Uint8Array(100).fill(2)])
  })

  test('line ends of other systems, and no line feed at the end', () => {
    expect(decodePem(encodePem('X', new Uint8Array(80)).replaceAll('\n', '\r\n').trim(), 'X')).toEqual([
      new Uint8Array(80),
    ])
  })

  test('lines have 64 characters', () => {
    expect(
      encodePem('X', new Uint8Array(60))
        .split('\n')
        .map((line) => line.length),
    ).toEqual([17, 64, 16, 15, 0])
  })
})
