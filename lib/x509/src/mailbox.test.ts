import { expect, test } from 'vitest'
import { mailboxParts } from './mailbox.ts'

test.each([
  ['a@example.com', 'a', 'example.com'],
  ['A.b+c@EXAMPLE.com', 'A.b+c', 'example.com'],
  ['*@example.com', '*', 'example.com'],
  ['"a@b"@example.com', '"a@b"', 'example.com'],
  [String.raw`"a\"b"@example.com`, String.raw`"a\"b"`, 'example.com'],
])('%s', (text, local, host) => {
  expect(mailboxParts(text)).toEqual({ local, host })
})

test.each([
  '',
  '@',
  'example.com',
  'a@',
  '@example.com',
  'a@b@example.com',
  'a@example.com@',
  '.a@example.com',
  'a.@example.com',
  'a..b@example.com',
  'a b@example.com',
  '"a@example.com',
  '"a"b@example.com',
  'a@192.0.2.1',
  'a@[192.0.2.1]',
  'a@example.com.',
  'a@a_b.example',
  'a@example.com\n',
])('%j is no mailbox', (text) => {
  expect(mailboxParts(text)).toBeUndefined()
})

test('a long one costs no more than its length', () => {
  expect(mailboxParts(`${'a.'.repeat(30_000)}@`)).toBeUndefined()
  expect(mailboxParts(`"${'\\'.repeat(60_000)}`)).toBeUndefined()
})
