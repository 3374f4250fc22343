import { X509_FAILURES, X509Error } from '@vcc/x509'
import { test } from 'tap'
import { derOf, readCorpus } from './corpus.ts'
import { mutateDer } from './mutate/der.ts'
import { mutateHttp } from './mutate/http.ts'
import { mutateJson } from './mutate/json.ts'
import { randomOf } from './random.ts'
import { assertOriginal, FuzzFault, judge } from './target.ts'
import { fuzzInThread } from './watch.ts'

const X509 = { error: X509Error, codes: X509_FAILURES }
const certificates = readCorpus().certificates.map(derOf)

/** Fifty inputs of each kind, as text. */
function inputsOf(seed: number): string[] {
  return Array.from({ length: 50 }, (_, index) => [
    Buffer.from(mutateDer(certificates, randomOf(seed, 'der', index))).toString('hex'),
    Buffer.from(mutateHttp(randomOf(seed, 'http', index))).toString('hex'),
    JSON.stringify(mutateJson({ a: [1, { b: 'c' }], d: true }, randomOf(seed, 'json', index))),
  ]).flat()
}

test('a start value names the same inputs every time, another one names others', async (t) => {
  t.same(inputsOf(1), inputsOf(1))
  t.not(inputsOf(1).join(), inputsOf(2).join())
  t.equal(new Set(inputsOf(1)).size > 120, true)
})

test('one of our codes is a refusal; anything else is a fault', async (t) => {
  const throwing = (error: Error) => () =>
    judge(() => {
      throw error
    }, X509)
  t.equal(throwing(new X509Error('der_truncated', 'words'))(), 'refused')
  t.equal(
    judge(() => 1, X509),
    'taken',
  )
  t.throws(throwing(new TypeError('x is undefined')), FuzzFault)
  t.throws(throwing(new RangeError('Maximum call stack size exceeded')), FuzzFault)
  t.throws(throwing(Object.assign(new Error('words'), { code: 'der_truncated' })), FuzzFault)
})

test('what nobody signed and is taken is a fault', async (t) => {
  t.throws(() => judge(() => assertOriginal('b', new Set(['a'])), X509), FuzzFault)
})

test('a thread that ends without a report has failed', async (t) => {
  const { ok, line } = await fuzzInThread('no such target', 1, 0, 10)
  t.equal(ok, false)
  t.match(line, /no target no such target/)
})
