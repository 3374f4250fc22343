import { expect, test } from 'vitest'
import { answerReader, encodeOk, encodeRefusal } from './wire.ts'

const RECORD = { code: 'not_allowed', rule: 'argus.allowed_outbound[0]', connection: 'ab12' }

function readAll(bytes: Uint8Array, pieces: number) {
  const read = answerReader()
  for (let at = 0; at < bytes.length; at += pieces) {
    const progress = read(bytes.subarray(at, at + pieces))
    if (progress.state === 'complete')
      return { ...progress, rest: Buffer.concat([progress.rest, bytes.subarray(at + pieces)]).toString() }
    if (progress.state === 'invalid') return progress
  }
  return { state: 'incomplete' }
}

test('OK and NO are read in pieces of any size, and what follows is not lost', () => {
  for (const pieces of [1, 2, 3, 7, 4_096]) {
    const ok = Buffer.concat([encodeOk(), Buffer.from('first bytes')])
    expect(readAll(ok, pieces)).toEqual({ state: 'complete', answer: { ok: true }, rest: 'first bytes' })
    const no = Buffer.concat([encodeRefusal(RECORD), Buffer.from('x')])
    expect(readAll(no, pieces)).toEqual({ state: 'complete', answer: { ok: false, record: RECORD }, rest: 'x' })
  }
})

test('a refusal is never longer than 1024 bytes, whatever it says', () => {
  const bytes = encodeRefusal({
    code: 'x'.repeat(5_000),
    rule: '\u00fc"\\'.repeat(5_000),
    connection: 'f'.repeat(5_000),
  })
  expect(bytes.length).toBeLessThanOrEqual(4 + 1_024)
  expect(readAll(bytes, 10)).toMatchObject({ state: 'complete' })
})

const record = (value: unknown) => framed(Buffer.from(JSON.stringify(value)))
function framed(json: Buffer, length = json.length) {
  const head = Buffer.from('NO\0\0')
  head.writeUInt16BE(length, 2)
  return Buffer.concat([head, json])
}

const invalid: readonly [string, Buffer][] = [
  ['another protocol', Buffer.from('HTTP/1.1 200 OK')],
  ['lower case', Buffer.from('ok')],
  ['one right byte', Buffer.from('OX')],
  ['a mixture', Buffer.from('NK')],
  ['a record that is too long', framed(Buffer.alloc(1_025, 0x20))],
  ['the longest length', framed(Buffer.alloc(0), 65_535)],
  ['an empty record', framed(Buffer.alloc(0))],
  ['no JSON', framed(Buffer.from('{'))],
  ['not an object', record('no')],
  ['null', record(null)],
  ['a missing field', record({ code: 'a', rule: 'b' })],
  ['an unknown field', record({ ...RECORD, more: 1 })],
  ['a code that is none', record({ ...RECORD, code: 'Not Allowed' })],
  ['a rule with a line break', record({ ...RECORD, rule: 'a\nb' })],
  ['a connection that is no hex', record({ ...RECORD, connection: '<script>' })],
  ['a number for a text', record({ ...RECORD, rule: 1 })],
]

test.each(invalid)('%s is not an answer', (_name, bytes) => {
  expect(readAll(bytes, 4_096)).toMatchObject({ state: 'invalid' })
})
