import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { MAX_FRAME_BYTES, readFrames, writeFrame } from './frame.ts'
import { parseAnswer, parseReply } from './message.ts'

/** What a reader takes from these bytes, cut as given, and how its channel ended. */
async function read(chunks: readonly Uint8Array[]): Promise<{ values: unknown[]; error: Error | undefined }> {
  const [near, far] = duplexPair()
  const values: unknown[] = []
  const ended = new Promise<Error | undefined>((resolve) => {
    far.once('error', resolve)
    far.once('end', () => resolve(undefined))
  })
  readFrames(far, (value) => {
    if (value === 'poison') throw new TypeError('poison')
    values.push(value)
  })
  for (const chunk of chunks) near.write(chunk)
  near.end()
  return { values, error: await ended }
}

function framesOf(...values: readonly unknown[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
      const head = Buffer.alloc(4)
      head.writeUInt32BE(body.length)
      return Buffer.concat([head, body])
    }),
  )
}

test('frames arrive whole and in order, however they are cut', async () => {
  const bytes = framesOf({ id: 1 }, { id: 2, text: 'Schlüssel' }, [])
  for (const size of [1, 2, 3, 5, 7, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    expect(await read(chunks)).toEqual({ values: [{ id: 1 }, { id: 2, text: 'Schlüssel' }, []], error: undefined })
  }
})

test('what is written is read', async () => {
  const [near, far] = duplexPair()
  const value = { id: 7, answer: { signature: '00ff' } }
  const taken = new Promise((resolve) => readFrames(far, resolve))
  writeFrame(near, value)
  expect(await taken).toEqual(value)
})

const long = Buffer.alloc(4)
long.writeUInt32BE(MAX_FRAME_BYTES + 1)
const broken: readonly [name: string, bytes: Buffer][] = [
  ['a frame that says it is too long', long],
  ['four octets of 255', Buffer.alloc(4, 255)],
  ['a frame that is not JSON', framesOf('{"id":')],
  ['an empty frame', framesOf('')],
  ['a value its reader refuses', framesOf('"poison"')],
]
for (const [name, bytes] of broken) {
  test(`${name} ends the channel, and nothing after it is read`, async () => {
    const { values, error } = await read([framesOf({ id: 1 }), bytes, framesOf({ id: 2 })])
    expect(values).toEqual([{ id: 1 }])
    expect(error).toBeInstanceOf(TypeError)
  })
}

test('a value that is too long is not written', () => {
  const [near] = duplexPair()
  expect(() => writeFrame(near, 'x'.repeat(MAX_FRAME_BYTES))).toThrow(TypeError)
})

const replies: readonly unknown[] = [
  null,
  5,
  {},
  { id: 1 },
  { id: '1', answer: {} },
  { id: 1.5, answer: {} },
  { id: 1, answer: {}, more: true },
  { id: 1, fault: { code: 'unheard_of', detail: '', began: false } },
  { id: 1, fault: { code: 'toString', detail: '', began: false } },
  { id: 1, fault: { code: 'lost', detail: 'x'.repeat(301), began: false } },
  { id: 1, fault: { code: 'lost', detail: '' } },
  { lost: 5 },
]
for (const value of replies) {
  test(`no reply: ${JSON.stringify(value)?.slice(0, 80)}`, () => expect(() => parseReply(value)).toThrow(TypeError))
}

const keyId = '0'.repeat(32)
const material = { type: 'ec', params: '00', point: '00' }
const answers: readonly [op: 'sign' | 'list' | 'find', unknown][] = [
  ['sign', { signature: '0' }],
  ['sign', { signature: 'zz' }],
  ['sign', { signature: '00'.repeat(4096) }],
  ['sign', { signature: '00', more: 1 }],
  ['list', { keyIds: ['x'] }],
  ['list', { keyIds: Array(5001).fill(keyId) }],
  ['find', { keyId, label: '', material, protection: {} }],
  ['find', { keyId, label: '', material: { ...material, type: 'dsa' }, protection: {} }],
]
for (const [op, value] of answers) {
  test(`no answer to "${op}": ${JSON.stringify(value).slice(0, 80)}`, () => {
    expect(() => parseAnswer(op, value)).toThrow(TypeError)
  })
}
