import { expect, test } from 'vitest'
import { ipText } from './ip-text.ts'
import { hex } from './testing/refusal.ts'

test.each([
  ['c0000201', '192.0.2.1'],
  ['00000000', '0.0.0.0'],
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000000000000001', '::1'],
  ['20010db8000000000000000000000000', '2001:db8::'],
  ['20010db80000000000008a2e03707334', '2001:db8::8a2e:370:7334'],
  // RFC 5952 §4.2.2: one group of zeros is written out; §4.2.3: the longest run, the first of equal ones
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['20010000000000010000000000000001', '2001:0:0:1::1'],
  ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
])('%s is %s', (octets, text) => {
  expect(ipText(hex(octets))).toBe(text)
})
